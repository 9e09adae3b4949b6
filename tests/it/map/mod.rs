//! Maps of sealed files.

mod huge;
mod lock;
mod sealed;
mod transparent;

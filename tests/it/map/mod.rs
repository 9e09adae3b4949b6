//! Maps of sealed files.

mod huge;
mod sealed;

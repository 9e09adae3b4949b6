//! The sections of the report, one in each file.

pub mod copy;
pub mod create;
pub mod fill;
pub mod handover;
pub mod huge;
pub mod read;
pub mod shared;
pub mod small;
pub mod stream;
pub mod tried;

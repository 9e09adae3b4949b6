//! One section of the report each.

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

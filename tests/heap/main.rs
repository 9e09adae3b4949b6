//! Runs the crate's modules with a simulated kernel, so that Miri can check them: this `sys` uses
//! memory of the heap (`sys/kernel.rs`), and all other modules are those of `src`. If the signature
//! of a function of `src/sys` changes, `sys/mod.rs` must follow, or this program does not compile.
//!
//! `ci/miri` runs it under Miri, and `cargo test` without.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the report")]
#![allow(clippy::panic, clippy::cast_possible_truncation, reason = "as above; the numbers in tests are small")]
#![allow(clippy::std_instead_of_core, reason = "the tests need std anyway")]
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    unused_qualifications,
    reason = "what the crate exports, a program does not"
)]

// The included tests and examples refer to the crate by this name.
extern crate self as memfile;

#[path = "../../src/error/mod.rs"]
mod error;
#[path = "../../src/file/mod.rs"]
mod file;
#[path = "../../src/fill/mod.rs"]
mod fill;
#[path = "../../src/kernel.rs"]
pub mod kernel;
#[path = "../../src/map/mod.rs"]
mod map;
#[path = "../../src/options.rs"]
mod options;
#[path = "../../src/seal.rs"]
mod seal;
#[path = "../../src/sealed/mod.rs"]
mod sealed;
mod sys;

mod constant;
mod drafts;
mod shared;
#[path = "../threads.rs"]
mod threads;
mod values;

pub use error::{Cause, Error, ErrorWith};
pub use file::{FileCommand, FileName, FromFdError, MemFile, proc};
pub use fill::Draft;
pub use map::{AtomicInteger, CowMap, Map, MapOptions, SharedAtomic, SharedAtomicView, SharedMap, SharedView};
pub use options::{CreateOptions, Exec, HugeTlb};
pub use seal::{Seal, Seals};
pub use sealed::{Holes, SealedFile, SealedFileOptions};

/// Bytes that depend on their position.
fn pattern(len: usize) -> Vec<u8> {
    // Copies whole periods, which is fast under Miri.
    let mut bytes = (1..=251).collect::<Vec<u8>>().repeat(len.div_ceil(251));
    bytes.truncate(len);
    bytes
}

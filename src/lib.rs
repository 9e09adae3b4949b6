//! Memory files, seals and sound mappings.
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "std")]
extern crate std;

mod error;
mod file;
mod map;
mod options;
mod sealed;
mod seals;
mod sys;

cfg_if::cfg_if! {
    // FreeBSD has no `/proc/self/fd`, and no copy in the kernel to a memory file.
    if #[cfg(not(target_os = "freebsd"))] {
        mod copy;
        mod proc_path;

        pub use copy::{Copied, CopyMethod};
        pub use proc_path::{Name, ProcPath};
    }
}

cfg_if::cfg_if! {
    if #[cfg(feature = "std")] {
        mod error_std;
        mod file_std;
    }
}

pub use error::{Error, ErrorWith};
pub use file::{FromFdError, MemFile};
pub use map::{Atomic, AtomicView, AtomicWord, Builder, CowMap, Map, MapOptions, SharedMap, SharedView};
pub use options::{CreateOptions, Exec, HugeTlb};
pub use sealed::{Holes, SealedFile};
pub use seals::{Seal, Seals, SealsIterator};
pub use sys::fd;

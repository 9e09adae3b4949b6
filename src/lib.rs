// The pages link to each other by their files. Of two definitions of a link the first one counts, so these lead rustdoc to the
// pages that it makes of the files.
//! [the design]: guide::design
//! [receiving from a stranger]: guide::receiving
//! [sharing memory that changes]: guide::sharing
//! [what each seal forbids]: guide::sealing
//! [without libc]: guide::without_libc
//! [kernels]: guide::kernels
//! [benchmarks]: guide#benchmarks
//! [coming from memfile 0.3, memfd, memmap2]: guide::migrating
//! [changelog]: guide::changelog
//! [`SealedFile`]: SealedFile
//! [`Map`]: Map
//! [`CowMap`]: CowMap
//! [`SharedMap`]: SharedMap
//! [`SharedView`]: SharedView
//! [`MemFile`]: MemFile
//! [`MemFile::proc_path`]: MemFile::proc_path
#![doc = include_str!("../README.md")]
//!
//! # Guide
//!
//! Its pages are the modules of [`guide`].
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "std")]
extern crate std;

mod error;
mod file;
mod map;
#[cfg(doctest)]
mod must_not_compile;
mod options;
mod reason;
mod sealed;
mod seals;
mod sys;

cfg_if::cfg_if! {
    // FreeBSD has no `/proc/self/fd`, and no copy in the kernel to a memory file.
    if #[cfg(not(target_os = "freebsd"))] {
        mod copy;
        mod proc_path;
        mod support;

        pub use copy::{Copied, CopyMethod};
        pub use proc_path::{Name, ProcPath};
        pub use support::{ExecSealHole, Feature, KernelSupport, NoexecPolicy};
    }
}

cfg_if::cfg_if! {
    if #[cfg(feature = "std")] {
        mod error_std;
        mod file_std;
        mod sealed_std;
    }
}

cfg_if::cfg_if! {
    // They need `/proc/self/fd`.
    if #[cfg(all(feature = "std", not(target_os = "freebsd")))] {
        mod exec_std;
        mod inherit_std;
        mod stdio_std;

        pub use exec_std::FileCommand;
    }
}

cfg_if::cfg_if! {
    if #[cfg(feature = "net")] {
        pub mod socket;
    }
}

pub use error::{Error, ErrorWith};
pub use file::{FromFdError, MemFile};
pub use map::{Atomic, AtomicView, AtomicWord, Builder, CowMap, Map, MapOptions, SharedMap, SharedView};
pub use options::{CreateOptions, Exec, HugeTlb};
pub use sealed::{Holes, SealedFile};
pub use seals::{Seal, Seals, SealsIterator};
pub use sys::fd;

/// The guide: one page a question.
///
/// # Benchmarks
///
/// What each call costs, beside other crates and by hand, is in `docs/benchmarks.md` of the package, with the program that
/// measures it.
#[cfg(doc)]
pub mod guide {
    #[doc = include_str!("../docs/design.md")]
    pub mod design {}
    /// [kernels]: kernels
    #[doc = include_str!("../docs/sealing.md")]
    pub mod sealing {}
    /// [design]: design
    #[doc = include_str!("../docs/receiving.md")]
    pub mod receiving {}
    /// [design]: design
    #[doc = include_str!("../docs/sharing.md")]
    pub mod sharing {}
    #[doc = include_str!("../docs/without-libc.md")]
    pub mod without_libc {}
    /// [changelog]: changelog
    #[doc = include_str!("../docs/migrating.md")]
    pub mod migrating {}
    #[doc = include_str!("../docs/kernels.md")]
    pub mod kernels {}
    #[doc = include_str!("../CHANGELOG.md")]
    pub mod changelog {}
}

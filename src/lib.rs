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
#[cfg(doctest)]
mod must_not_compile;
mod options;
mod reason;
mod sealed;
mod seals;
mod sys;

// After `sealed`: rustdoc shows the methods of a type in the order of the modules.
mod map;

// Each by an attribute of its own, which rustdoc shows as a badge. It does not see those that `cfg_if` makes.

#[cfg(feature = "std")]
mod error_std;
#[cfg(feature = "std")]
mod file_std;
#[cfg(feature = "std")]
mod sealed_std;

// FreeBSD has no `/proc/self/fd`, and no copy in the kernel to a memory file.
#[cfg(not(target_os = "freebsd"))]
mod copy;
#[cfg(not(target_os = "freebsd"))]
mod proc_path;
#[cfg(not(target_os = "freebsd"))]
mod support;

// They need `/proc/self/fd`.
#[cfg(all(feature = "std", not(target_os = "freebsd")))]
mod exec_std;
#[cfg(all(feature = "std", not(target_os = "freebsd")))]
mod inherit_std;
#[cfg(all(feature = "std", not(target_os = "freebsd")))]
mod stdio_std;

#[cfg(feature = "net")]
pub mod socket;

#[cfg(not(target_os = "freebsd"))]
pub use copy::{Copied, CopyMethod};
pub use error::{Error, ErrorWith};
#[cfg(all(feature = "std", not(target_os = "freebsd")))]
pub use exec_std::FileCommand;
pub use file::{FromFdError, MemFile};
pub use map::{Atomic, AtomicView, AtomicWord, Builder, CowMap, Map, MapOptions, SharedMap, SharedView};
pub use options::{CreateOptions, Exec, HugeTlb};
#[cfg(not(target_os = "freebsd"))]
pub use proc_path::{Name, ProcPath};
pub use sealed::{Holes, SealedFile};
pub use seals::{Seal, Seals, SealsIterator};
#[cfg(not(target_os = "freebsd"))]
pub use support::{ExecSealHole, Feature, KernelSupport, NoexecPolicy};
pub use sys::fd;

#[cfg(doc)]
pub mod guide {
    //! The guide: one page a question.
    //!
    //! - [What does each seal forbid, and what not?](sealing)
    //! - [Somebody sends me a file. Can I trust it?](receiving)
    //! - [What if the bytes must change?](sharing)
    //! - [How do I do without libc, or with a static one?](without_libc)
    //! - [I come from memfile 0.3, memfd or memmap2. What changes?](migrating) And [since then?](changelog)
    //! - [Does it work on my kernel?](kernels)
    //! - [Why is all this true, and where does it end?](design)
    //!
    //! # Benchmarks
    //!
    //! What each call costs, beside other crates and by hand, is in `docs/benchmarks.md` of the package, with the program
    //! that measures it.

    #[doc = include_str!("../docs/design.md")]
    pub mod design {}
    /// [kernels]: kernels
    /// [sharing]: sharing
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

// The pages link to each other by their files. Of two definitions of a link the first one counts,
// so these lead rustdoc to the pages that it makes of the files.
//! [the design]: guide::design
//! [examples]: guide::examples
//! [receiving from a stranger]: guide::receiving
//! [sharing memory that changes]: guide::sharing
//! [what each seal forbids]: guide::sealing
//! [without libc]: guide::without_libc
//! [kernels]: guide::kernels
//! [benchmarks]: guide#benchmarks
//! [coming from memfile 0.3, memfd, memmap2]: guide::migrating
//! [changelog]: guide::changelog
//! [`SealedFile`]: SealedFile
//! [`Draft`]: Draft
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

cfg_if::cfg_if! {
    if #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))] {
        mod error;
        mod file;
        #[cfg(doc)]
        pub mod guide;
        #[cfg(doctest)]
        mod must_not_compile;
        mod options;
        mod sealed;
        mod seal;
        mod sys;

        // After `sealed`: rustdoc shows the methods of a type in the order of the modules.
        mod fill;
        mod map;

        pub mod kernel;
        #[cfg(feature = "net")]
        pub mod socket;

        pub use error::{Cause, Error, ErrorWith};
        #[cfg(feature = "std")]
        pub use file::FileCommand;
        pub use file::{FileName, FromFdError, MemFile, proc};
        pub use fill::Draft;
        pub use map::{
            AtomicInteger, CowMap, Map, MapOptions, SharedAtomic, SharedAtomicView, SharedMap, SharedView,
        };
        pub use options::{CreateOptions, Exec, HugeTlb};
        pub use sealed::{Holes, SealedFile, SealedFileOptions};
        pub use seal::{Seal, Seals};
        pub use sys::fd;

        pub mod seals {
            //! The iterator over a set of [`Seals`](crate::Seals).
            pub use crate::seal::Iter;
        }
    } else {
        // Nothing else is compiled, so that this is the only error.
        compile_error!("memfile needs memfd_create and file seals: Linux, Android, or FreeBSD 13 and later");
    }
}

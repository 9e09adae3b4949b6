//! A file in memory that nobody can change any more: give it to another process, and both read the
//! same pages as a `&[u8]`, without a copy and without `unsafe`.
//!
// The picture is a part of the page, because a page cannot refer to a file of the repository.
#![doc = include_str!("../docs/sealed.svg")]
//!
//! # The main job
//!
//! Put bytes into a file and seal it. From then on nobody can change them, including you:
//!
//! ```
//! use memfile::SealedFile;
//!
//! fn main() -> Result<(), memfile::Error> {
//!     let config = SealedFile::from_bytes("config", b"threads = 8")?;
//!     assert_eq!(&config.map()?[..], b"threads = 8");
//!     Ok(())
//! }
//! ```
//!
//! Hand it to another process. A child can get it as its stdin (`command.stdin(config.to_stdio()?)`),
//! and any process can get it over a Unix socket (`config.send(&socket, b"v1")?`, with the feature
//! `net`). Either way, the other process receives a descriptor that may be of any file, so it checks
//! the descriptor first, with `try_from`:
//!
//! ```
//! use memfile::{Cause, Map, MemFile, SealedFile, fd::OwnedFd};
//!
//! /// Maps a file that somebody else has sent, if nobody can change it any more.
//! fn receive(descriptor: OwnedFd) -> Result<Map, memfile::Error> {
//!     SealedFile::try_from(descriptor)?.map()
//! }
//!
//! fn main() -> Result<(), memfile::Error> {
//!     let sealed = SealedFile::from_bytes("config", b"threads = 8")?;
//!     assert_eq!(&receive(sealed.into_fd())?[..], b"threads = 8");
//!
//!     // A file without seals is refused.
//!     let unsealed = MemFile::create_sealable("config")?;
//!     assert_eq!(receive(unsealed.into_fd()).unwrap_err().cause(), Cause::MissingSeals);
//!     Ok(())
//! }
//! ```
//!
//! A [`Map`] is a `&[u8]`. It stays valid for as long as you keep it, even after the file was closed
//! everywhere else. [Receiving from a stranger](guide::receiving) has the socket calls, limits on the
//! length, and what to do with a file that is refused. [The examples](guide::examples) are complete
//! programs, `handoff` first.
//!
//! # Which type do I want?
//!
//! What you want, and the type for it with the calls that make one. Start with [`SealedFile`].
//!
//! | I want | type |
//! |---|---|
//! | finished data that nobody can change | [`SealedFile`], by [`from_bytes`](SealedFile::from_bytes), [`create_with`](SealedFile::create_with) or [`copy_of`](SealedFile::copy_of), or by [`into_sealed`](MemFile::into_sealed) of your own file |
//! | to check a file that I have received | [`SealedFile`], by [`try_from`](SealedFile#impl-TryFrom%3COwnedFd%3E-for-SealedFile), or by [`verify`](SealedFileOptions::verify) with a limit |
//! | to read its bytes, as `&[u8]` | [`Map`], by [`map`](SealedFile::map) |
//! | a private copy to change, as `&mut [u8]` | [`CowMap`], by [`map_copy_on_write`](SealedFile::map_copy_on_write) |
//! | to fill a file piece by piece, as `&mut [u8]`, and then seal it | [`Draft`], by [`draft`](SealedFileOptions::draft) |
//! | memory that changes while others read it | [`SharedMap`], by [`create`](SharedMap::create) or [`create_fixed_size`](SharedMap::create_fixed_size) |
//! | to read such memory | [`SharedView`], by [`try_from`](SharedView#impl-TryFrom%3CMemFile%3E-for-SharedView) of the writer's [`reader`](SharedMap::reader) |
//! | a file in memory, for an API that wants a `File` or a path | [`MemFile`], by [`create_default`](MemFile::create_default); it has a [`proc_path`](MemFile::proc_path) |
//!
//! Memory that changes is never a slice: bytes are copied in and out, and integers are atomic. [Sharing
//! memory that changes](guide::sharing) explains how.
//!
//! # Words
//!
//! What this documentation means by the words that it uses in a sense of their own.
//!
//! | word | meaning |
//! |---|---|
//! | **seal** | A lock on a file: it takes a right, such as writing, away from everybody for ever ([`Seal`]). |
//! | **sealed** | Having the seals Write and Shrink, so that the contents can never change. |
//! | **proof** | The result of checking once that a file is sealed, not forged, and free of holes. A [`SealedFile`] carries it, so nothing needs to be checked again. |
//! | **hole** | A part of a file that has no memory yet and reads as zeros. The first access allocates it, and raises SIGBUS if no memory is left. |
//! | **draft** | A new file that nobody else has yet, being filled as a `&mut [u8]` ([`Draft`]). |
//! | **share** | To keep a map that can write the file, and forbid everybody else to write it ([`SharedMap`]). |
//! | **view** | A read-only map of a file that others may still change ([`SharedView`]). |
//! | **freeze** | To end sharing by sealing the file as it is then ([`SharedMap::freeze`]). |
//!
//! # Holes: which call does what
//!
//! How each call treats holes. The policies are the variants of [`Holes`].
//!
//! | call | holes |
//! |---|---|
//! | [`SealedFile::try_from`](SealedFile#impl-TryFrom%3COwnedFd%3E-for-SealedFile), `SealedFile::recv`, [`SharedView::try_from`](SharedView#impl-TryFrom%3COwnedFd%3E-for-SharedView) | refuses the file |
//! | [`verify`](SealedFileOptions::verify), [`seal`](SealedFileOptions::seal) | refuses the file, unless the [options](SealedFileOptions::holes) say otherwise |
//! | [`MemFile::into_sealed`], [`SharedMap::freeze`] | allocates them |
//! | [`MemFile::share`], [`SharedMap::create`], [`SharedMap::create_fixed_size`], [`SharedMap::try_from`](SharedMap#impl-TryFrom%3CMemFile%3E-for-SharedMap) | allocates them |
//! | [`SharedMap::grow`] | allocates the new part |
//! | [`SharedMap::map`], [`SharedView::map`], both `map_range`, [`SharedView::refresh`] | as its argument says |
//! | [`from_bytes`](SealedFile::from_bytes), [`create_with`](SealedFile::create_with), [`copy_of`](SealedFile::copy_of), `from_reader`, [`Draft`] | none are left: the file is allocated in full while it is filled |
//! | [`SealedFile::map`] and its relatives, [`SealedFile::reopen_read_only`] | does not look again: the proof stands |
//!
//! Of these policies, only [`Holes::Populate`] fills holes by reading them, and only if you ask for it.
//!
//! # Which calls can wait
//!
//! Checking, mapping, copying and reading a received file at an offset never wait for another process.
//! Adding seals can, and so can changing a file, moving its position, or copying from a pipe.
//! [This table](guide::receiving#calls-that-another-process-can-make-wait) lists every such call with how
//! long it may take and what to do instead.
//!
//! # Errors
//!
//! Every call returns one [`Error`], which is `Copy`. Its message says what is wrong and what to do, and
//! its [`cause`](Error::cause) is for programs. `?` converts it into a `std::io::Error`. A call that takes
//! a file and fails gives the file back, in an [`ErrorWith`].
//!
//! # Features
//!
//! What each feature adds. A feature never changes what a call does.
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `std` | yes | `File`, `Read`, `Write`, `Seek`, `Stdio`, commands, conversion into `io::Error` |
//! | `net` | no | `socket`, `SealedFile::send` and `recv`: files over Unix sockets |
//! | `use-libc` | no | the C library instead of raw system calls |
//!
//! # Guide
//!
//! [`guide`] has one page for each question, from what a seal forbids to why all this is sound.
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
        #[cfg(doctest)]
        #[doc = include_str!("../README.md")]
        mod readme {}
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

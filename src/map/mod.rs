//! Mappings of memory files, and why they are sound.
//!
//! # The argument
//!
//! A `&[u8]` promises that its bytes do not change and can be read while it lives. A mapping keeps
//! that promise only if nobody can write the file or shorten it. [`SealedFile`](crate::SealedFile)
//! is the proof of that, so:
//!
//! - [`Map`] and [`CowMap`] are made from a `&SealedFile` and from nothing else, within the length
//!   of the proof. A shared read-only mapping cannot be made writable later, not by `mprotect` and
//!   not by a debugger's `/proc/PID/mem` (EIO). Where the kernel refuses it for a write-sealed file
//!   (before Linux 6.7 through a descriptor open for writing, and 6.12.0 to 6.12.8) the mapping is
//!   private, which every kernel allows.
//! - A [`Draft`](crate::Draft) is a `&mut [u8]` of a file that was just created, whose descriptor
//!   nobody else has, and the mapping is gone before anybody gets it.
//! - [`SharedMap`] and [`SharedView`] are for files that others change. They never form a reference
//!   to the memory, only copy it or use atomics on it, so there is nothing that a peer could break.
//!   Shrink keeps the pages readable.
//!
//! What faults can remain: a hole that cannot be filled, excluded by [`Holes`](crate::Holes); a
//! page that was swapped out and cannot be read back; broken memory. They end the process (SIGBUS),
//! and change no byte.
//!
//! # Outside the promise
//!
//! - broken memory; before Linux 5.16 (huge pages: 6.1) such a page read as zeros silently
//!   (a76054266661, 8625147cafaa)
//! - devices that this process or a peer was given to program: DMA through `/dev/iommu` pins pages
//!   without regard to seals (Linux 6.13 and later), `/dev/udmabuf` raced with sealing (until 6.13,
//!   9cb189a88273)
//! - a process that may trace this one: `/proc/PID/mem` and `ptrace` write to any private mapping,
//!   as to all its memory
//! - kernel bugs that write into page cache, such as CVE-2022-0847 and CVE-2022-2590

mod atomic;
mod constant;
mod field;
mod grow;
mod options;
mod raw;
mod share;
mod shared;
mod wait;

// After `constant`, for the order in which rustdoc shows methods.
mod private;

pub use atomic::{AtomicInteger, SharedAtomic, SharedAtomicView};
pub use constant::Map;
pub use options::MapOptions;
pub use private::CowMap;
pub(crate) use raw::Exclusive;
pub use shared::{SharedMap, SharedView};

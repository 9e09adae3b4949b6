//! Mappings of memory files, and why they are sound.
//!
//! # The argument
//!
//! A `&[u8]` promises that its bytes do not change and can be read for as long as it exists. A mapping
//! keeps that promise only if nobody can write to the file or make it shorter.
//! [`SealedFile`](crate::SealedFile) is the proof of that, so:
//!
//! - [`Map`] and [`CowMap`] are made from a `&SealedFile` and from nothing else, within the length
//!   of the proof. A shared read-only mapping cannot be made writable later, not by `mprotect` and
//!   not by a debugger's `/proc/PID/mem` (EIO). If the kernel refuses it for a write-sealed file
//!   (6.12.0 to 6.12.8, and some before 6.7 if the descriptor is open for writing), the mapping is
//!   private, which every kernel permits.
//! - A [`Draft`](crate::Draft) is a `&mut [u8]` of a file that was just created, whose descriptor
//!   nobody else has. It is unmapped before anybody else gets the file.
//! - [`SharedMap`] and [`SharedView`] are for files that others change. They never form a reference
//!   to the bytes. They only copy them or use atomics, so a peer cannot break any promise of the
//!   language. Shrink keeps the pages readable.
//!
//! The faults that remain are a hole that cannot be filled, which [`Holes`](crate::Holes) excludes
//! unless a peer can punch new ones (into a shared file without FutureWrite and Write); a
//! page that was swapped out and cannot be read back; and broken memory. They raise SIGBUS, which ends
//! the process, and change no byte.
//!
//! # Outside the promise
//!
//! - broken memory; before Linux 5.16 (huge pages: 6.1) such a page silently read as zeros
//!   (a76054266661, 8625147cafaa)
//! - devices that this process or a peer was given to program: DMA through `/dev/iommu` pins pages
//!   without regard to seals (Linux 6.13 and later), `/dev/udmabuf` raced with sealing (until 6.13,
//!   9cb189a88273)
//! - a process that may trace this one: through `/proc/PID/mem` and `ptrace` it can write to any
//!   private mapping, as it can to all memory of this process
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

//! The guide: one page for each question.
//!
//! - [Is there an example of what I want to do?](examples)
//! - [Somebody sends me a file. Can I trust it?](receiving)
//! - [What does each seal forbid, and what does it allow?](sealing)
//! - [What if the bytes must change?](sharing)
//! - [How do I send and receive files with tokio?](async_programs)
//! - [How do I build without libc, or with a static one?](without_libc)
//! - [I come from memfile 0.3, memfd, memmap2, `shm_open`, tempfile, shmem-ipc, pentacle or
//!   memfd-exec. What do I write instead?](migrating) And [what is new since 0.3?](changelog)
//! - [Does it work on my kernel?](kernels)
//! - [Why is this sound, and what are the limits?](design)
//!
//! # Benchmarks
//!
//! `docs/benchmarks.md` in the repository shows what each call costs, compared with other crates
//! and with direct system calls, and names the program that measures it.

/// [receiving]: receiving
#[doc = include_str!("../docs/design.md")]
pub mod design {}
/// [kernels]: kernels
/// [receiving]: receiving
/// [sharing]: sharing
#[doc = include_str!("../docs/sealing.md")]
pub mod sealing {}
/// [design]: design
/// [sharing]: sharing
#[doc = include_str!("../docs/receiving.md")]
pub mod receiving {}
/// [design]: design
#[doc = include_str!("../docs/sharing.md")]
pub mod sharing {}
/// [receiving]: receiving
/// [sealing]: sealing
#[doc = include_str!("../docs/async.md")]
pub mod async_programs {}
/// [without-libc]: without_libc
#[doc = include_str!("../docs/examples.md")]
pub mod examples {}
#[doc = include_str!("../docs/without-libc.md")]
pub mod without_libc {}
/// [changelog]: changelog
/// [design]: design
/// [receiving]: receiving
/// [sharing]: sharing
#[doc = include_str!("../docs/migrating.md")]
pub mod migrating {}
#[doc = include_str!("../docs/kernels.md")]
pub mod kernels {}
#[doc = include_str!("../CHANGELOG.md")]
pub mod changelog {}

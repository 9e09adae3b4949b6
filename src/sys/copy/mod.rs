//! Copies between private memory and memory that others change meanwhile. No Rust reference to the
//! shared side ever exists.
//!
//! How the copy is made on each processor.
//!
//! | processor | file | how |
//! |---|---|---|
//! | x86_64 | `x86_64.rs` | assembly, which writes each byte once |
//! | others | `words.rs` | one relaxed atomic access a word |
//!
//! # Order
//!
//! Both are at least as ordered as `SharedMap` promises: like relaxed atomic accesses, they are ordered
//! by fences and other atomics, and have no order among themselves.
//!
//! - `words.rs` makes exactly such accesses, so Rust's memory model guarantees the order on every
//!   processor, and Miri tests it. On aarch64, for instance, the words are plain `ldr` and `str`,
//!   `fence(Acquire)` is `dmb ishld`, which no earlier load passes, and `fence(Release)` is `dmb
//!   ish`, which no access passes.
//! - The compiler moves no access to shared memory across an `asm!` block without `nomem`, which
//!   might contain any such access itself. The processor reorders neither loads with other loads,
//!   nor stores with other stores or earlier loads (Intel's manual, volume 3A, "Memory Ordering in
//!   P6 and More Recent Processor Families"). String stores are the exception, but only among
//!   themselves: "stores within a single string operation may be executed out of order", but
//!   "string operations are not reordered with other store operations" ("Fast-String Operation and
//!   Out-of-Order Stores"). So acquire and release fences need no instruction here, as everywhere
//!   on x86_64.

cfg_if::cfg_if! {
    // Not x32, whose pointers leave the upper halves of the registers undefined.
    if #[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))] {
        mod x86_64;
        pub(crate) use x86_64::{copy_from_shared, copy_to_shared};
    } else {
        mod words;
        pub(crate) use words::{copy_from_shared, copy_to_shared};
    }
}

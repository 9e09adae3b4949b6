//! Copies between private memory and memory that others change meanwhile. No Rust reference to the
//! shared side exists.
//!
//! | processor | file | how |
//! |---|---|---|
//! | x86_64 | `x86_64.rs` | assembly, which writes each byte once |
//! | others | `words.rs` | one relaxed atomic access a word |

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

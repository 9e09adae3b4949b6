//! What a C library would bring: the start of the program, its end, and the functions that the compiler calls by itself.
//!
//! The start calls `fn program(arguments: usize) -> i32`, which each program of this package defines, with the number of
//! its arguments, its own name included, and ends the process with what that returns.
#![no_std]

#[cfg_attr(target_arch = "x86_64", path = "start/x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "start/aarch64.rs")]
#[cfg_attr(target_arch = "riscv64", path = "start/riscv64.rs")]
mod start;

/// Without a word: what a panic says is not linked in then. `memfile` has none; rustix has one, for a kernel that answers
/// with a descriptor of -1.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        safe fn exit(status: i32) -> !;
    }
    exit(101)
}

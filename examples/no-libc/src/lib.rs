//! What a C library would bring: the start of the program, its end, `fork`, and the functions that the compiler calls by
//! itself: `memcpy`, `memmove`, `memset`, `memcmp`, `bcmp` and `strlen`, which are all that
//! [`core`](https://doc.rust-lang.org/core) asks for. They are assembly, since the compiler turns a loop that copies into a
//! call of `memcpy`. Each has a section of its own, so that the linker leaves out what a program does not need.
//!
//! The start calls `fn program() -> i32`, which each program of this package defines, and ends the process with what that
//! returns.
#![no_std]

#[cfg_attr(target_arch = "x86_64", path = "start/x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "start/aarch64.rs")]
#[cfg_attr(target_arch = "riscv64", path = "start/riscv64.rs")]
mod start;

unsafe extern "C" {
    /// Makes a second process: 0 in it, its id in this one, or a negative errno. Safe: these programs have one thread, and no
    /// library whose state could be left in disorder.
    pub safe fn fork() -> i32;
}

/// Prints nothing, so that the texts of panics are not linked in. `memfile` has none; rustix has one, for a kernel that
/// answers with the descriptor -1.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        safe fn exit(status: i32) -> !;
    }
    exit(101)
}

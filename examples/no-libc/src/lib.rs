//! What a C library would provide: the start of the program, its end, `fork`, and the functions that the compiler calls by
//! itself: `memcpy`, `memmove`, `memset`, `memcmp`, `bcmp` and `strlen`. [`core`](https://doc.rust-lang.org/core) requires no
//! others. They are assembly, because the compiler would turn a loop that copies into a call of `memcpy`. Each has a section of its
//! own, so that the linker leaves out those that a program does not use.
//!
//! The start calls `fn program() -> i32`, which each program of this package defines, and ends the process with its result.
#![no_std]

#[cfg_attr(target_arch = "x86_64", path = "start/x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "start/aarch64.rs")]
#[cfg_attr(target_arch = "riscv64", path = "start/riscv64.rs")]
mod start;

unsafe extern "C" {
    /// Makes a second process. Returns 0 in that process, its id in this one, or a negative errno. It is safe, because these programs
    /// have one thread, and no library whose state the second process could find unfinished.
    pub safe fn fork() -> i32;
}

/// Prints nothing, so that the messages of panics are not linked in. `memfile` cannot panic; rustix can in one place, if the kernel
/// returns the descriptor -1.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        safe fn exit(status: i32) -> !;
    }
    exit(101)
}

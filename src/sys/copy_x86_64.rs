//! Copies of memory that others change meanwhile, by `rep movsb`.
//!
//! The compiler knows of an `asm!` block only that it reads or writes the memory it is given, so a race with another process
//! is no data race of Rust's, as it would be with `copy_nonoverlapping`.

use core::arch::asm;
use core::ptr::NonNull;

/// # Safety
/// `source` is readable for the length of `target`, and no reference to it exists but to atomics.
pub(crate) unsafe fn copy_from_shared(source: NonNull<u8>, target: &mut [u8]) {
    // SAFETY: Reads what the caller vouches for, and writes `target`. The direction flag is clear by the ABI.
    unsafe {
        asm!(
            "rep movsb",
            inout("rcx") target.len() => _,
            inout("rdi") target.as_mut_ptr() => _,
            inout("rsi") source.as_ptr() => _,
            options(nostack, preserves_flags),
        );
    }
}

/// # Safety
/// `target` is writable for the length of `source`, and no reference to it exists but to atomics.
pub(crate) unsafe fn copy_to_shared(source: &[u8], target: NonNull<u8>) {
    // SAFETY: Writes what the caller vouches for, and reads `source`. The direction flag is clear by the ABI.
    unsafe {
        asm!(
            "rep movsb",
            inout("rcx") source.len() => _,
            inout("rdi") target.as_ptr() => _,
            inout("rsi") source.as_ptr() => _,
            options(nostack, preserves_flags),
        );
    }
}

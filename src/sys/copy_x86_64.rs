//! Copies of memory that others change meanwhile, by assembly.
//!
//! The compiler knows of an `asm!` block only that it reads or writes the memory it is given, so a race with another process
//! is no data race of Rust's, as it would be with `copy_nonoverlapping`.

use core::arch::asm;
use core::ptr::NonNull;

/// From this length on the processor's own copy is faster; it takes long to start.
const LONG: usize = 1024;

/// # Safety
/// `source` is readable for the length of `target`, and no reference to it exists but to atomics.
#[inline]
pub(crate) unsafe fn copy_from_shared(source: NonNull<u8>, target: &mut [u8]) {
    // SAFETY: The caller vouches for `source`.
    unsafe { copy(source.as_ptr(), target.as_mut_ptr(), target.len()) }
}

/// # Safety
/// `target` is writable for the length of `source`, and no reference to it exists but to atomics.
#[inline]
pub(crate) unsafe fn copy_to_shared(source: &[u8], target: NonNull<u8>) {
    // SAFETY: The caller vouches for `target`.
    unsafe { copy(source.as_ptr(), target.as_ptr(), source.len()) }
}

/// # Safety
/// `source` is readable and `target` writable for `len` bytes. Either may be changed by others meanwhile.
#[inline]
unsafe fn copy(source: *const u8, target: *mut u8, len: usize) {
    if len >= LONG {
        // SAFETY: The ranges are the caller's. The direction flag is clear by the ABI.
        unsafe {
            asm!(
                "rep movsb",
                inout("rcx") len => _,
                inout("rsi") source => _,
                inout("rdi") target => _,
                options(nostack, preserves_flags),
            );
        }
        return;
    }
    // SAFETY: The ranges are the caller's: `i` goes up to `len`, by 16 as long as as many are left, then to the last 16 at once if
    // there were any, else by 1.
    unsafe {
        asm!(
            "sub {len}, 16",
            "jb 4f",
            "2:",
            "movups {block}, [{source} + {i}]",
            "movups [{target} + {i}], {block}",
            "add {i}, 16",
            "cmp {i}, {len}",
            "jbe 2b",
            "movups {block}, [{source} + {len}]",
            "movups [{target} + {len}], {block}",
            "jmp 5f",
            "3:",
            "mov {byte}, [{source} + {i}]",
            "mov [{target} + {i}], {byte}",
            "inc {i}",
            "4:",
            "cmp {i}, {end}",
            "jne 3b",
            "5:",
            source = in(reg) source,
            target = in(reg) target,
            end = in(reg) len,
            len = inout(reg) len => _,
            i = inout(reg) 0_usize => _,
            byte = out(reg_byte) _,
            block = out(xmm_reg) _,
            options(nostack),
        );
    }
}

//! Copies of memory that others change meanwhile, by assembly.
//!
//! The compiler knows of an `asm!` block only that it reads or writes the memory it is given, so a
//! race with another process is not a data race in Rust's sense, as it would be with
//! `copy_nonoverlapping`.

use core::arch::asm;
use core::ptr::NonNull;

/// From this length on, the processor's own copy (`rep movsb`) is faster. It is slow to start.
const LONG: usize = 1536;

/// From this length on, registers of 32 bytes are faster than those of 16.
const WIDE: usize = 128;

/// Whether the processor and the system have registers of 32 bytes. Without std, only the settings of the
/// compiler are known.
#[inline]
fn has_avx() -> bool {
    cfg_if::cfg_if! {
        if #[cfg(feature = "std")] {
            std::arch::is_x86_feature_detected!("avx")
        } else {
            cfg!(target_feature = "avx")
        }
    }
}

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

/// Writes each byte once, because a second write could undo what others have written after they saw the
/// first.
///
/// # Safety
/// `source` is readable and `target` writable for `len` bytes. Either may be changed by others
/// meanwhile.
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
    let mut done = 0;
    if len >= WIDE && has_avx() {
        // SAFETY: The ranges are the caller's, and the processor has AVX.
        done = unsafe { copy_rounds(source, target, len) };
        if done == len {
            return;
        }
    }
    // SAFETY: The ranges are the caller's: `i` goes up to `len`, by 64 while that many bytes are
    // left, then by each of 32, 16, 8, 4, 2 and 1 that the remainder contains. `rest` ends 64 below
    // the remainder, so its low six bits are the same.
    unsafe {
        asm!(
            "sub {rest}, 64",
            "jb 3f",
            "2:",
            "movups {a}, [{source} + {i}]",
            "movups {b}, [{source} + {i} + 16]",
            "movups {c}, [{source} + {i} + 32]",
            "movups {d}, [{source} + {i} + 48]",
            "movups [{target} + {i}], {a}",
            "movups [{target} + {i} + 16], {b}",
            "movups [{target} + {i} + 32], {c}",
            "movups [{target} + {i} + 48], {d}",
            "add {i}, 64",
            "sub {rest}, 64",
            "jae 2b",
            "3:",
            "test {rest:l}, 32",
            "jz 4f",
            "movups {a}, [{source} + {i}]",
            "movups {b}, [{source} + {i} + 16]",
            "movups [{target} + {i}], {a}",
            "movups [{target} + {i} + 16], {b}",
            "add {i}, 32",
            "4:",
            "test {rest:l}, 16",
            "jz 5f",
            "movups {a}, [{source} + {i}]",
            "movups [{target} + {i}], {a}",
            "add {i}, 16",
            "5:",
            "test {rest:l}, 8",
            "jz 6f",
            "mov {word}, [{source} + {i}]",
            "mov [{target} + {i}], {word}",
            "add {i}, 8",
            "6:",
            "test {rest:l}, 4",
            "jz 7f",
            "mov {word:e}, [{source} + {i}]",
            "mov [{target} + {i}], {word:e}",
            "add {i}, 4",
            "7:",
            "test {rest:l}, 2",
            "jz 8f",
            "mov {word:x}, [{source} + {i}]",
            "mov [{target} + {i}], {word:x}",
            "add {i}, 2",
            "8:",
            "test {rest:l}, 1",
            "jz 9f",
            "mov {word:l}, [{source} + {i}]",
            "mov [{target} + {i}], {word:l}",
            "9:",
            source = in(reg) source,
            target = in(reg) target,
            rest = inout(reg) len.wrapping_sub(done) => _,
            i = inout(reg) done => _,
            word = out(reg) _,
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            options(nostack),
        );
    }
}

/// Copies all whole rounds of 64 bytes, and returns how many bytes it copied.
///
/// # Safety
/// As for [`copy`]; `len` is at least 64, and the processor has AVX.
#[inline]
unsafe fn copy_rounds(source: *const u8, target: *mut u8, len: usize) -> usize {
    let end = len & !63;
    // SAFETY: The ranges are the caller's: `rax` goes up to `end`. The upper halves of the
    // registers are cleared at the end, since instructions without AVX would be slow otherwise.
    unsafe {
        asm!(
            "2:",
            "vmovdqu ymm0, [{source} + rax]",
            "vmovdqu ymm1, [{source} + rax + 32]",
            "vmovdqu [{target} + rax], ymm0",
            "vmovdqu [{target} + rax + 32], ymm1",
            "add rax, 64",
            "cmp rax, {end}",
            "jb 2b",
            "vzeroupper",
            source = in(reg) source,
            target = in(reg) target,
            end = in(reg) end,
            inout("rax") 0_usize => _,
            clobber_abi("sysv64"),
            options(nostack),
        );
    }
    end
}

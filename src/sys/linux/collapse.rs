//! `madvise(MADV_COLLAPSE)`. For memory files since Linux 6.1 (7d8faaf15545).
//!
//! rustix 1.1 has no name for this advice, and a value that is not in its enum would be undefined
//! behaviour. So this file makes the call itself, without libc wherever rustix does without it. The file
//! can go once `rustix::mm::Advice` has the advice.

use core::ffi::c_int;
use core::ptr::NonNull;

const MADV_COLLAPSE: c_int = 25;

/// Makes huge pages of a mapping under every policy but `deny`: one of each range that has the size of a
/// huge page, is aligned in memory and in the file, and has at least one page. The contents stay the same.
/// The call takes as long as copying them, and longer if the kernel has to make room first.
///
/// Returns whether the kernel reports success for the whole mapping.
pub(crate) fn madvise_collapse(base: NonNull<u8>, len: usize) -> bool {
    // SAFETY: The advice makes pages larger, and changes neither contents nor mappings. A range that
    // is not mapped fails with ENOMEM.
    unsafe { madvise(base.as_ptr(), len, MADV_COLLAPSE) == 0 }
}

cfg_if::cfg_if! {
    if #[cfg(all(
        target_os = "linux",
        not(feature = "use-libc"),
        any(
            all(target_arch = "x86_64", target_pointer_width = "64"),
            all(target_arch = "aarch64", target_pointer_width = "64"),
            target_arch = "arm",
            target_arch = "riscv64",
            target_arch = "x86",
        ),
    ))] {
        use core::arch::asm;

        /// # Safety
        /// As for `madvise(2)`.
        unsafe fn madvise(base: *mut u8, len: usize, advice: c_int) -> isize {
            let result;
            // SAFETY: The kernel takes its arguments from these registers, and preserves all
            // others.
            unsafe {
                #[cfg(target_arch = "x86_64")]
                asm!(
                    "syscall",
                    inlateout("rax") 28_isize => result,
                    in("rdi") base,
                    in("rsi") len,
                    in("rdx") advice,
                    lateout("rcx") _,
                    lateout("r11") _,
                    options(nostack),
                );
                #[cfg(target_arch = "aarch64")]
                asm!(
                    "svc 0",
                    in("x8") 233,
                    inlateout("x0") base => result,
                    in("x1") len,
                    in("x2") advice,
                    options(nostack),
                );
                // In Thumb code the compiler reserves r7, so its value is restored.
                #[cfg(target_arch = "arm")]
                asm!(
                    "mov {saved}, r7",
                    "mov r7, #220",
                    "svc 0",
                    "mov r7, {saved}",
                    saved = out(reg) _,
                    inlateout("r0") base => result,
                    in("r1") len,
                    in("r2") advice,
                    options(nostack),
                );
                #[cfg(target_arch = "riscv64")]
                asm!(
                    "ecall",
                    in("a7") 233,
                    inlateout("a0") base => result,
                    in("a1") len,
                    in("a2") advice,
                    // A system call preserves no vector register.
                    clobber_abi("C"),
                    options(nostack),
                );
                #[cfg(target_arch = "x86")]
                asm!(
                    "int 0x80",
                    inlateout("eax") 219_isize => result,
                    in("ebx") base,
                    in("ecx") len,
                    in("edx") advice,
                    options(nostack),
                );
            }
            result
        }
    } else {
        unsafe extern "C" {
            fn madvise(base: *mut u8, len: usize, advice: c_int) -> c_int;
        }
    }
}

//! Start, end, `fork` and memory functions for aarch64.

core::arch::global_asm!(
    ".section .text._start,\"ax\"",
    ".globl _start",
    "_start:",
    "mov x29, #0",
    "mov x30, #0",
    "bl program",
    ".globl exit",
    "exit:",
    "mov x8, #94", // exit_group
    "svc #0",

    ".section .text.fork,\"ax\"",
    ".globl fork",
    "fork:",
    "mov x0, #17", // SIGCHLD
    "mov x1, #0",
    "mov x2, #0",
    "mov x3, #0",
    "mov x4, #0",
    "mov x8, #220", // clone
    "svc #0",
    "ret",

    ".section .text.memcpy,\"ax\"",
    ".globl memcpy",
    "memcpy:",
    "mov x3, x0",
    "2: cbz x2, 3f",
    "ldrb w4, [x1], #1",
    "strb w4, [x3], #1",
    "sub x2, x2, #1",
    "b 2b",
    "3: ret",

    ".section .text.memset,\"ax\"",
    ".globl memset",
    "memset:",
    "mov x3, x0",
    "2: cbz x2, 3f",
    "strb w1, [x3], #1",
    "sub x2, x2, #1",
    "b 2b",
    "3: ret",

    // 0 if the bytes are equal.
    ".section .text.bcmp,\"ax\"",
    ".globl bcmp",
    "bcmp:",
    "mov x3, x0",
    "mov w0, #0",
    "2: cbz x2, 3f",
    "ldrb w4, [x3], #1",
    "ldrb w5, [x1], #1",
    "sub x2, x2, #1",
    "eor w0, w4, w5",
    "cbz w0, 2b",
    "3: ret",
);

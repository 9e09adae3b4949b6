//! Start, end, `fork` and memory functions for riscv64.

core::arch::global_asm!(
    ".section .text._start,\"ax\"",
    ".globl _start",
    "_start:",
    "call program",
    ".globl exit",
    "exit:",
    "li a7, 94", // exit_group
    "ecall",

    ".section .text.fork,\"ax\"",
    ".globl fork",
    "fork:",
    "li a0, 17", // SIGCHLD
    "li a1, 0",
    "li a2, 0",
    "li a3, 0",
    "li a4, 0",
    "li a7, 220", // clone
    "ecall",
    "ret",

    ".section .text.memcpy,\"ax\"",
    ".globl memcpy",
    "memcpy:",
    "mv a3, a0",
    "2: beqz a2, 3f",
    "lb a4, 0(a1)",
    "sb a4, 0(a3)",
    "addi a1, a1, 1",
    "addi a3, a3, 1",
    "addi a2, a2, -1",
    "j 2b",
    "3: ret",

    ".section .text.memset,\"ax\"",
    ".globl memset",
    "memset:",
    "mv a3, a0",
    "2: beqz a2, 3f",
    "sb a1, 0(a3)",
    "addi a3, a3, 1",
    "addi a2, a2, -1",
    "j 2b",
    "3: ret",

    // 0 if the bytes are equal.
    ".section .text.bcmp,\"ax\"",
    ".globl bcmp",
    "bcmp:",
    "mv a3, a0",
    "li a0, 0",
    "2: beqz a2, 3f",
    "lb a4, 0(a3)",
    "lb a5, 0(a1)",
    "addi a3, a3, 1",
    "addi a1, a1, 1",
    "addi a2, a2, -1",
    "xor a0, a4, a5",
    "beqz a0, 2b",
    "3: ret",
);

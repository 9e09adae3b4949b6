//! Start, end, `fork` and memory functions for x86_64.

core::arch::global_asm!(
    ".section .text._start,\"ax\"",
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "call program",
    "mov edi, eax",
    ".globl exit",
    "exit:",
    "mov eax, 231", // exit_group
    "syscall",

    ".section .text.fork,\"ax\"",
    ".globl fork",
    "fork:",
    "mov eax, 57", // fork
    "syscall",
    "ret",

    ".section .text.memcpy,\"ax\"",
    ".globl memcpy",
    "memcpy:",
    "mov rax, rdi",
    "mov rcx, rdx",
    "rep movsb",
    "ret",

    ".section .text.memset,\"ax\"",
    ".globl memset",
    "memset:",
    "mov r8, rdi",
    "mov eax, esi",
    "mov rcx, rdx",
    "rep stosb",
    "mov rax, r8",
    "ret",

    // 0 if the bytes are equal.
    ".section .text.bcmp,\"ax\"",
    ".globl bcmp",
    "bcmp:",
    "mov rcx, rdx",
    "xor eax, eax",
    "repe cmpsb",
    "setne al",
    "ret",
);

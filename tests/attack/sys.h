// SPDX-License-Identifier: Apache-2.0
// System calls from OpenCL C, on x86-64: what any kernel can do where the driver compiles for the processor that it runs on.
#pragma once

/// By the number of this architecture.
long sys(long number, long a, long b, long c, long d, long e, long f);
long sys(long number, long a, long b, long c, long d, long e, long f) {
  long result;
  __asm__ volatile(
      "movq %5, %%r10\n\t"
      "movq %6, %%r8\n\t"
      "movq %7, %%r9\n\t"
      "syscall"
      : "=a"(result)
      : "a"(number), "D"(a), "S"(b), "d"(c), "g"(d), "g"(e), "g"(f)
      : "rcx", "r8", "r9", "r10", "r11", "memory");
  return result;
}

/// By the door of 32-bit programs, which has numbers of its own.
long sys32(long number, long a, long b, long c);
long sys32(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("xchgq %%rbx, %2\n\tint $0x80\n\txchgq %%rbx, %2"
                   : "=a"(result)
                   : "a"(number), "r"(a), "c"(b), "d"(c)
                   : "r8", "r9", "r10", "r11", "memory");
  return result;
}

/// A thread that outlives its kernel, computes for ever and counts at an address. Its number, or an error.
long sys_thread(volatile global long* counter);
long sys_thread(volatile global long* counter) {
  const long flags = 0x50f00;  // CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM
  long result = 56;            // clone; it uses no stack, so it needs none
  __asm__ volatile(
      "xorl %%edx, %%edx\n\t"
      "xorl %%r10d, %%r10d\n\t"
      "xorl %%r8d, %%r8d\n\t"
      "syscall\n\t"
      "testq %%rax, %%rax\n\t"
      "jnz 2f\n"
      "1: incq (%%rbx)\n\t"
      "jmp 1b\n"
      "2:"
      : "+a"(result)
      : "D"(flags), "S"(0L), "b"(counter)
      : "rcx", "rdx", "r8", "r10", "r11", "memory");
  return result;
}

enum { kSysNanosleep = 35, kSysFork = 57, kSysWait4 = 61, kSysExitGroup = 231, kNoHang = 1 };

// SPDX-License-Identifier: Apache-2.0
// A machine that makes the system calls which a script tells it: so attacks are written where they are judged (tenant.py),
// and one kernel is compiled for all of them.
//
//   memory, in longs:  [0] steps   [16 + 16 i] step i: what, number, kinds of arguments, six arguments
//                      [4096 + i] what step i gave   [4608 …] data
//   kinds, four bits an argument:  0 the number itself   1 the address of that byte of memory   2 what that step gave
//                                  3 the int at that byte of memory
#include "sys.h"

enum What {
  kCall,         // number(arguments)
  kCall32,       // by int 0x80
  kCallInChild,  // in a child, since it may end or block whoever makes it
  kFork,         // a child makes the next `a` steps and ends; we go on after them
  kRun,          // computes for ever, and counts in the long at byte `a`
  kAwait,        // `b` short sleeps, or until the int at byte `a` is not zero
  kPut,          // the int at byte `a` becomes `b`
  kStay,         // a thread of the worker's computes for ever, and counts in the long at byte `a`
  kLoop          // makes the next `a` steps `b` times
};

enum { kFirstStep = 16, kStepLongs = 16, kResults = 4096, kBlocked = 1 << 20, kKilled = 1 << 21, kLooks = 200 };

void rest(void);
void rest(void) {
  private long time[2] = {0, 1000000};
  sys(kSysNanosleep, (long)time, 0, 0, 0, 0, 0);
}

long argument(global long* memory, global long* step, int which);
long argument(global long* memory, global long* step, int which) {
  const long value = step[3 + which];
  switch ((step[2] >> (4 * which)) & 15) {
    case 1: return (long)((global char*)memory + value);
    case 2: return memory[kResults + value];
    case 3: return *(global int*)((global char*)memory + value);
    default: return value;
  }
}

long call(global long* memory, global long* step);
long call(global long* memory, global long* step) {
  long a[6];
  for (int i = 0; i < 6; ++i) a[i] = argument(memory, step, i);
  if (step[0] == kCall32) return sys32(step[1], a[0], a[1], a[2]);
  return sys(step[1], a[0], a[1], a[2], a[3], a[4], a[5]);
}

/// What it gave; kBlocked: it is still at it, and stays; kKilled + the signal that it died of.
void call_in_child(global long* memory, global long* step, volatile global long* result);
void call_in_child(global long* memory, global long* step, volatile global long* result) {
  *result = kBlocked;
  const long child = sys(kSysFork, 0, 0, 0, 0, 0, 0);
  if (child == 0) {
    *result = call(memory, step);
    sys(kSysExitGroup, 0, 0, 0, 0, 0, 0);
  }
  if (child < 0) {
    *result = child;
    return;
  }
  private int status = 0;
  for (int look = 0; look < kLooks; ++look) {
    if (sys(kSysWait4, child, (long)&status, kNoHang, 0, 0, 0) == child) {
      if ((status & 127) != 0) *result = kKilled + (status & 127);
      return;
    }
    rest();
  }
}

kernel void machine(global long* memory) {
  const long steps = memory[0];
  long child_ends = -1, loop_begins = -1, loop_ends = -1, turns = 0;
  for (long i = 0; i < steps; ++i) {
    if (i == child_ends) sys(kSysExitGroup, 0, 0, 0, 0, 0, 0);
    if (i == loop_ends && --turns > 0) i = loop_begins;
    global long* step = memory + kFirstStep + kStepLongs * i;
    volatile global long* result = memory + kResults + i;
    const long a = step[3], b = step[4];
    volatile global int* word = (volatile global int*)((global char*)memory + a);
    if (step[0] == kCall || step[0] == kCall32) *result = call(memory, step);
    if (step[0] == kCallInChild) call_in_child(memory, step, result);
    if (step[0] == kFork) {
      const long child = sys(kSysFork, 0, 0, 0, 0, 0, 0);
      if (child == 0) child_ends = i + 1 + a;
      if (child != 0) {
        *result = child;
        i += a;
      }
    }
    if (step[0] == kRun)
      for (;;) ++*(volatile global long*)word;
    if (step[0] == kStay) *result = sys_thread((volatile global long*)word);
    if (step[0] == kAwait)
      for (long look = 0; look < b && *word == 0; ++look) rest();
    if (step[0] == kPut) *word = (int)b;
    if (step[0] == kLoop) {
      loop_begins = i + 1;
      loop_ends = i + 1 + a;
      turns = b;
    }
  }
  if (steps == child_ends) sys(kSysExitGroup, 0, 0, 0, 0, 0, 0);
}

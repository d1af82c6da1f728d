// SPDX-License-Identifier: Apache-2.0
// Leaves a pattern wherever a kernel can write, and looks for it where nobody has written yet.
//
//   memory, in longs:  [0] words that look like the pattern: global  [1] local  [2] private

enum { kGlobalLongs = 2 << 20, kLocalLongs = 2048, kPrivateLongs = 512 };
constant long kPattern = 0x5ec0de5ec0de5ec0;

kernel void leave(global long* memory, global long* fresh) {
  local volatile long shared[kLocalLongs];
  volatile long own[kPrivateLongs];
  for (int i = 0; i < kGlobalLongs; ++i) fresh[i] = kPattern;
  for (int i = 0; i < kLocalLongs; ++i) shared[i] = kPattern;
  for (int i = 0; i < kPrivateLongs; ++i) own[i] = kPattern;
  memory[0] = own[kPrivateLongs - 1] == shared[kLocalLongs - 1];
}

kernel void look(global long* memory, global long* fresh) {
  local volatile long shared[kLocalLongs];
  volatile long own[kPrivateLongs];
  long found[3] = {0, 0, 0};
  for (int i = 0; i < kGlobalLongs; ++i) found[0] += fresh[i] == kPattern;
  for (int i = 0; i < kLocalLongs; ++i) found[1] += shared[i] == kPattern;
  for (int i = 0; i < kPrivateLongs; ++i) found[2] += own[i] == kPattern;
  for (int i = 0; i < 3; ++i) memory[i] = found[i];
}

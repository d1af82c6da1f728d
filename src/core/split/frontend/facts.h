// SPDX-License-Identifier: Apache-2.0
// Facts: what the parser saw that decides whether a kernel can be cut, and where the text must change for it.
//
// Positions are offsets into the preprocessed text. Functions are numbers into Facts::functions.
//
// Threads: plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace amalgam::split {

struct Function {
  std::string name;
  bool is_kernel = false;
  bool has_body = false;
  uint32_t arguments = 0;
  std::set<size_t> callees;                ///< functions of the program that it calls
  std::set<std::string> builtins;          ///< built-in functions that it calls
  std::set<std::string> shared_variables;  ///< program-scope variables in global memory that it names
  bool uses_local_memory = false;
  bool uses_global_atomics = false;
  bool is_fixed = false;  ///< its text cannot be changed: a macro of the compiler makes part of it
  std::string forbids;    ///< a construct that no piece may have, in words; empty if there is none
  std::string waits;      ///< why a loop in it may wait for other work-groups; empty if none does
};

/// A parameter list: the extra parameter replaces [begin, end), which is empty or `void`.
struct ParameterList {
  size_t function = 0;
  size_t begin = 0, end = 0;
  bool is_empty = false;  ///< no comma before it
};

/// A call of a function of the program, or of a built-in.
struct Call {
  size_t caller = 0;
  size_t callee = 0;    ///< of the program, if `builtin` is empty
  std::string builtin;  ///< at [name, name + size)
  size_t name = 0;
  size_t close = 0;       ///< the closing parenthesis
  bool is_empty = false;  ///< no arguments
};

struct Facts {
  std::vector<Function> functions;
  std::vector<ParameterList> lists;
  std::vector<Call> calls;
  std::string error;  ///< the first error, with its line
};

/// Built-ins whose answer differs between a piece and the whole.
bool is_position_builtin(const std::string& name);
/// Built-ins whose answer or effect depends on how the range is grouped.
bool is_group_builtin(const std::string& name);

}  // namespace amalgam::split

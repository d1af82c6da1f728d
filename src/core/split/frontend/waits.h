// SPDX-License-Identifier: Apache-2.0
// Does a loop wait for other work-groups?
//
// Work-groups of a launch may be cut apart only if none waits for another: the other may lie in a piece that is not launched
// before this one ends. Nothing in the language marks waiting; what can be seen is a loop that ends only when shared memory
// says so. So, for each loop:
//
//     sources   results of atomics on global memory, volatile reads of it, and calls of functions that have such; in a loop
//     with a fence
//               on global memory also plain reads of it
//     flow      from sources through assignments, arguments and conditions to variables of the loop, to a fixed point
//     verdict   the loop's condition, or one that decides over a break, return or goto in it, is reached → it may wait
//
// This is conservative: compare-and-swap loops that merely retry are found too. Their kernels run whole, which is always
// right.
//
// Threads: pure functions on one thread's syntax tree.
#pragma once

#include <clang/AST/Decl.h>
#include <clang/AST/Expr.h>

#include <set>
#include <string>

namespace amalgam::split {

using FunctionSet = std::set<const clang::FunctionDecl*>;

/// True if memory of this type may be written by other work-groups.
bool is_shared_memory(clang::QualType type);
/// A call of an atomic built-in on memory that other work-groups may write.
bool is_global_atomic(const clang::CallExpr* call);
/// True if the statement itself (not what it contains) reads what other work-groups may just have written.
bool is_shared_read(const clang::Stmt* statement);
/// The same for all that the statement contains.
bool contains_shared_read(const clang::Stmt* statement);

/// Why a loop of the function may wait, empty if none may. `readers`: the functions whose results may come from shared
/// reads.
std::string find_wait(const clang::FunctionDecl* function, const FunctionSet& readers);

}  // namespace amalgam::split

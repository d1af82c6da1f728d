// SPDX-License-Identifier: Apache-2.0
#include "core/split/frontend/waits.h"

#include <clang/AST/ASTContext.h>
#include <clang/AST/Stmt.h>

namespace amalgam::split {
namespace {

using clang::Expr;
using clang::Stmt;

std::string name_of(const clang::CallExpr* call) {
  const clang::FunctionDecl* callee = call->getDirectCallee();
  return callee != nullptr && callee->getIdentifier() != nullptr ? callee->getName().str() : std::string();
}

/// Reads a value out of memory: the conversion that the compiler writes where an object's value is taken.
const Expr* read_object(const Stmt* statement) {
  const auto* cast = llvm::dyn_cast<clang::ImplicitCastExpr>(statement);
  return cast != nullptr && cast->getCastKind() == clang::CK_LValueToRValue ? cast->getSubExpr() : nullptr;
}

/// The address spaces that a pointer's target may lie in, as bits. Constant memory is none: nobody writes it.
unsigned spaces_of(clang::QualType type) {
  constexpr unsigned kPrivate = 1, kLocal = 2, kGlobal = 4;
  switch (type.getAddressSpace()) {
    case clang::LangAS::opencl_constant: return 0;
    case clang::LangAS::opencl_global: return kGlobal;
    case clang::LangAS::opencl_local: return kLocal;
    case clang::LangAS::opencl_generic: return kPrivate | kLocal | kGlobal;
    default: return kPrivate;
  }
}

/// True if `test` holds for the statement or one inside it.
template <typename Test>
bool contains(const Stmt* statement, const Test& test) {
  if (statement == nullptr) return false;
  if (test(statement)) return true;
  for (const Stmt* child : statement->children()) {
    if (contains(child, test)) return true;
  }
  return false;
}

/// A fence or barrier on global memory.
bool is_global_fence(const Stmt* statement, const clang::ASTContext& context) {
  constexpr uint64_t kGlobalFence = 2;
  const auto* call = llvm::dyn_cast<clang::CallExpr>(statement);
  if (call == nullptr || call->getNumArgs() == 0) return false;
  const std::string name = name_of(call);
  const bool is_fence = name == "barrier" || name == "work_group_barrier" || name == "sub_group_barrier" ||
                        name == "atomic_work_item_fence" || name.ends_with("mem_fence");
  clang::Expr::EvalResult value;
  return is_fence &&
         (!call->getArg(0)->EvaluateAsInt(value, context) || (value.Val.getInt().getZExtValue() & kGlobalFence) != 0);
}

/// Follows shared reads through one loop.
class Flow {
 public:
  Flow(const FunctionSet& readers, bool plain_reads) : readers_(readers), plain_reads_(plain_reads) {}

  /// Why the loop may wait; empty if it does not.
  std::string judge(const Stmt* loop) {
    do {
      changed_ = false;
      walk(loop, false);
    } while (changed_);
    return reason_;
  }

 private:
  /// True if the value of the expression may come from a shared read.
  bool is_reached(const Stmt* statement) {
    if (statement == nullptr) return false;
    if (is_shared_read(statement)) return note(statement);
    if (const Expr* object = read_object(statement)) {
      if (plain_reads_ && is_shared_memory(object->getType())) return note(statement);
      const bool is_behind_pointer = !llvm::isa<clang::DeclRefExpr>(object->IgnoreParens());
      // What is declared const is not what this loop has written.
      if (is_behind_pointer && !object->getType().isConstQualified() && (memory_ & spaces_of(object->getType())) != 0)
        return true;
    }
    if (const auto* call = llvm::dyn_cast<clang::CallExpr>(statement)) {
      const clang::FunctionDecl* callee = call->getDirectCallee();
      if (callee != nullptr && readers_.contains(callee->getCanonicalDecl())) return note(statement);
    }
    if (const auto* reference = llvm::dyn_cast<clang::DeclRefExpr>(statement))
      return variables_.contains(reference->getDecl());
    for (const Stmt* child : statement->children()) {
      if (is_reached(child)) return true;
    }
    return false;
  }

  /// Remembers the first source by name, for the reason.
  bool note(const Stmt* source) {
    if (!source_.empty()) return true;
    const auto* call = llvm::dyn_cast<clang::CallExpr>(source);
    source_ = call != nullptr ? name_of(call) : "";
    if (source_.empty()) source_ = llvm::isa<clang::AtomicExpr>(source) ? "an atomic operation" : "a read of global memory";
    return true;
  }

  void reach(const Expr* target) {
    target = target->IgnoreParenCasts();
    if (const auto* reference = llvm::dyn_cast<clang::DeclRefExpr>(target)) {
      if (variables_.insert(reference->getDecl()).second) changed_ = true;
      // What lies behind a pointer may have other names.
      if (reference->getType()->isPointerType()) reach_memory(reference->getType()->getPointeeType());
    } else if (const auto* member = llvm::dyn_cast<clang::MemberExpr>(target)) {
      reach(member->getBase());
    } else if (const auto* element = llvm::dyn_cast<clang::ArraySubscriptExpr>(target)) {
      reach(element->getBase());
    } else if (const auto* vector = llvm::dyn_cast<clang::ExtVectorElementExpr>(target)) {
      reach(vector->getBase());
    } else if (const auto* unary = llvm::dyn_cast<clang::UnaryOperator>(target)) {
      reach(unary->getSubExpr());
    } else {
      const clang::QualType type = target->getType();
      reach_memory(type->isPointerType() ? type->getPointeeType() : type);
    }
  }

  void reach_memory(clang::QualType type) {
    if ((spaces_of(type) & ~memory_) != 0) changed_ = true;
    memory_ |= spaces_of(type);
  }

  /// `decided`: whether this statement runs may depend on a shared read.
  void walk(const Stmt* statement, bool decided) {
    if (statement == nullptr) return;
    if (const auto* branch = llvm::dyn_cast<clang::IfStmt>(statement)) {
      decided = decided || is_reached(branch->getCond());
    } else if (const auto* choice = llvm::dyn_cast<clang::SwitchStmt>(statement)) {
      decided = decided || is_reached(choice->getCond());
    } else if (const Expr* condition = loop_condition(statement)) {
      if (is_reached(condition)) waits();
    } else if (llvm::isa<clang::BreakStmt, clang::ReturnStmt, clang::GotoStmt>(statement)) {
      if (decided) waits();
    } else if (const auto* declaration = llvm::dyn_cast<clang::DeclStmt>(statement)) {
      for (const clang::Decl* each : declaration->decls()) declare(each, decided);
    } else if (const auto* binary = llvm::dyn_cast<clang::BinaryOperator>(statement)) {
      if (binary->isAssignmentOp() && (decided || is_reached(binary->getRHS()))) reach(binary->getLHS());
    } else if (const auto* unary = llvm::dyn_cast<clang::UnaryOperator>(statement)) {
      if (unary->isIncrementDecrementOp() && decided) reach(unary->getSubExpr());
    } else if (const auto* call = llvm::dyn_cast<clang::CallExpr>(statement)) {
      pass(call, decided);
    }
    for (const Stmt* child : statement->children()) walk(child, decided);
  }

  static const Expr* loop_condition(const Stmt* statement) {
    if (const auto* loop = llvm::dyn_cast<clang::ForStmt>(statement)) return loop->getCond();
    if (const auto* loop = llvm::dyn_cast<clang::WhileStmt>(statement)) return loop->getCond();
    if (const auto* loop = llvm::dyn_cast<clang::DoStmt>(statement)) return loop->getCond();
    return nullptr;
  }

  void declare(const clang::Decl* declaration, bool decided) {
    const auto* variable = llvm::dyn_cast<clang::VarDecl>(declaration);
    if (variable == nullptr || variable->getInit() == nullptr || !(decided || is_reached(variable->getInit()))) return;
    if (variables_.insert(variable).second) changed_ = true;
  }

  /// A function may write what it was told through every pointer that it was given.
  void pass(const clang::CallExpr* call, bool decided) {
    if (!decided && !is_reached(call)) return;
    for (const Expr* argument : call->arguments()) {
      // An atomic changes the object itself, which is a source anyway; its value comes out by result and the other
      // arguments.
      if (is_global_atomic(call) && argument == call->getArg(0)) continue;
      if (argument->getType()->isPointerType() && !argument->getType()->getPointeeType().isConstQualified()) reach(argument);
    }
  }

  void waits() {
    if (reason_.empty()) reason_ = source_.empty() ? "a read of global memory" : source_;
  }

  const FunctionSet& readers_;
  bool plain_reads_;
  std::set<const clang::ValueDecl*> variables_;
  unsigned memory_ = 0;  // address spaces with something reached behind a pointer
  bool changed_ = false;
  std::string source_, reason_;
};

bool is_loop(const Stmt* statement) { return llvm::isa<clang::ForStmt, clang::WhileStmt, clang::DoStmt>(statement); }

}  // namespace

bool is_shared_memory(clang::QualType type) {
  const clang::LangAS space = type.getAddressSpace();
  return space == clang::LangAS::opencl_global || space == clang::LangAS::opencl_generic;
}

bool is_global_atomic(const clang::CallExpr* call) {
  const std::string name = name_of(call);
  if (!name.starts_with("atomic_") && !name.starts_with("atom_")) return false;
  if (call->getNumArgs() == 0) return false;
  // The built-in may take a generic pointer; what the program gave it says more.
  const clang::QualType given = call->getArg(0)->IgnoreParenImpCasts()->getType();
  return given->isPointerType() && is_shared_memory(given->getPointeeType());
}

bool is_shared_read(const Stmt* statement) {
  if (const auto* call = llvm::dyn_cast<clang::CallExpr>(statement)) return is_global_atomic(call);
  if (const Expr* object = read_object(statement)) {
    return is_shared_memory(object->getType()) &&
           (object->getType().isVolatileQualified() || object->getType()->isAtomicType());
  }
  return llvm::isa<clang::AtomicExpr>(statement);
}

bool contains_shared_read(const Stmt* statement) { return contains(statement, is_shared_read); }

std::string find_wait(const clang::FunctionDecl* function, const FunctionSet& readers) {
  const clang::ASTContext& context = function->getASTContext();
  const Stmt* body = function->getBody();
  std::string reason;
  const auto judge = [&](const Stmt* loop) {
    const bool has_fence = contains(loop, [&](const Stmt* each) { return is_global_fence(each, context); });
    reason = Flow(readers, has_fence).judge(loop);
    return !reason.empty();
  };
  // Labels make loops that have no shape of their own.
  if (contains(body, [](const Stmt* each) { return llvm::isa<clang::GotoStmt>(each); })) judge(body);
  if (reason.empty()) contains(body, [&](const Stmt* each) { return is_loop(each) && judge(each); });
  return reason;
}

}  // namespace amalgam::split

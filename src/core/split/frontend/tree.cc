// SPDX-License-Identifier: Apache-2.0
#include <clang/AST/ASTConsumer.h>
#include <clang/AST/ASTContext.h>
#include <clang/Basic/SourceManager.h>
#include <clang/Frontend/FrontendAction.h>

#include <map>
#include <optional>

#include "core/split/frontend/arguments.h"
#include "core/split/frontend/compiler.h"
#include "core/split/frontend/instance.h"
#include "core/split/frontend/waits.h"

namespace amalgam::split {
namespace {

using clang::FunctionDecl;

/// Built-ins are what the compiler declares by itself; a program's functions are all that it writes down.
bool is_builtin(const FunctionDecl* function) { return function->isImplicit() || function->getBuiltinID() != 0; }

bool is_device_queue_builtin(llvm::StringRef name) {
  return name.starts_with("enqueue_") || name.starts_with("ndrange_") || name == "get_default_queue" ||
         name.starts_with("get_kernel_");
}

bool is_pipe_builtin(llvm::StringRef name) {
  return name.contains("_pipe") &&
         (name.starts_with("read_") || name.starts_with("write_") || name.starts_with("reserve_") ||
          name.starts_with("commit_") || name.starts_with("get_pipe_") || name.contains("_group_"));
}

bool points_to_local(clang::QualType type) {
  return type->isPointerType() && type->getPointeeType().getAddressSpace() == clang::LangAS::opencl_local;
}

/// Walks over every function of the program. Types, attributes and initialisers of program-scope variables hold constants
/// alone, so statements are all that is looked at.
class Collector {
 public:
  Collector(const clang::ASTContext& context, Facts* facts) : sources_(context.getSourceManager()), facts_(facts) {}

  void walk(FunctionDecl* function) {
    if (is_builtin(function)) return;
    current_ = number_of(function);
    describe(function);
    for (const clang::ParmVarDecl* parameter : function->parameters()) visit(parameter);
    if (function->doesThisDeclarationHaveABody()) walk(function->getBody());
  }

  /// What can be told only when every function is known.
  void finish() {
    for (const auto& [function, reference] : references_) {
      if (calls_of_references_.contains(reference)) continue;
      facts_->functions[function].forbids = "the address of " + reference->getDecl()->getNameAsString();
    }
    for (const auto& [declaration, number] : numbers_) {
      const FunctionDecl* body = nullptr;
      Function& function = facts_->functions[number];
      if (declaration->hasBody(body)) bodies_[number] = body;
      function.has_body = body != nullptr;
    }
    FunctionSet readers = find_readers();
    for (const auto& [number, body] : bodies_) facts_->functions[number].waits = find_wait(body, readers);
  }

 private:
  void walk(const clang::Stmt* statement) {
    if (statement == nullptr) return;
    if (const auto* call = llvm::dyn_cast<clang::CallExpr>(statement)) visit(call);
    if (const auto* reference = llvm::dyn_cast<clang::DeclRefExpr>(statement)) visit(reference);
    if (llvm::isa<clang::AtomicExpr>(statement)) here().uses_global_atomics = true;
    if (llvm::isa<clang::AsmStmt>(statement)) forbid("inline assembler");
    if (const auto* block = llvm::dyn_cast<clang::BlockExpr>(statement)) {
      forbid("a block");
      walk(block->getBody());
    }
    if (const auto* declaration = llvm::dyn_cast<clang::DeclStmt>(statement)) {
      for (const clang::Decl* each : declaration->decls()) {
        if (const auto* variable = llvm::dyn_cast<clang::VarDecl>(each)) visit(variable);
      }
    }
    for (const clang::Stmt* child : statement->children()) walk(child);
  }

  void visit(const clang::CallExpr* call) {
    const FunctionDecl* callee = call->getDirectCallee();
    if (callee == nullptr) {
      forbid("a call through a pointer or block");
      return;
    }
    calls_of_references_.insert(call->getCallee()->IgnoreParenImpCasts());
    const std::string name = callee->getNameAsString();
    Call fact{current_, 0, {}, 0, 0, call->getNumArgs() == 0};
    if (is_builtin(callee)) {
      Function& caller = here();
      caller.builtins.insert(name);
      caller.uses_global_atomics |= is_global_atomic(call);
      if (is_device_queue_builtin(name)) forbid("device-side enqueue (" + name + ")");
      if (is_pipe_builtin(name)) forbid("pipes (" + name + ")");
      if (!is_position_builtin(name)) return;
      fact.builtin = name;
    } else {
      fact.callee = number_of(callee);
      here().callees.insert(fact.callee);
    }
    const auto at = offset_of(call->getCallee()->IgnoreParenImpCasts()->getExprLoc());
    const auto close = offset_of(call->getRParenLoc());
    if (!at || !close) return unplaced("a call of " + name);
    fact.name = *at;
    fact.close = *close;
    facts_->calls.push_back(std::move(fact));
  }

  void visit(const clang::DeclRefExpr* reference) {
    if (const auto* variable = llvm::dyn_cast<clang::VarDecl>(reference->getDecl())) {
      const clang::LangAS space = variable->getType().getAddressSpace();
      const bool is_shared = space == clang::LangAS::opencl_global || space == clang::LangAS::opencl_generic;
      if (variable->hasGlobalStorage() && is_shared) here().shared_variables.insert(variable->getNameAsString());
      if (space == clang::LangAS::opencl_local) here().uses_local_memory = true;
    } else if (const auto* function = llvm::dyn_cast<FunctionDecl>(reference->getDecl())) {
      references_.emplace_back(current_, reference);
      if (!is_builtin(function)) here().callees.insert(number_of(function));
    }
  }

  void visit(const clang::VarDecl* variable) {
    const clang::QualType type = variable->getType();
    if (type.getAddressSpace() == clang::LangAS::opencl_local || points_to_local(type)) here().uses_local_memory = true;
    if (variable->hasGlobalStorage() && type.getAddressSpace() == clang::LangAS::opencl_global) {
      here().shared_variables.insert(variable->getNameAsString());
    }
    if (type->isPipeType()) forbid("pipes (argument " + variable->getNameAsString() + ")");
    if (type->isQueueT() || type->isBlockPointerType()) forbid("device-side enqueue (" + variable->getNameAsString() + ")");
  }

  Function& here() { return facts_->functions[current_]; }

  void forbid(const std::string& what) {
    if (here().forbids.empty()) here().forbids = what;
  }

  /// The text there is made by a macro of the compiler's prelude, which the driver has in its own wording.
  void unplaced(const std::string& what) {
    here().is_fixed = true;
    forbid(what + " inside a macro of the compiler");
  }

  size_t number_of(const FunctionDecl* function) {
    const auto [at, is_new] = numbers_.try_emplace(function->getCanonicalDecl(), facts_->functions.size());
    if (is_new) facts_->functions.emplace_back().name = function->getNameAsString();
    return at->second;
  }

  std::optional<size_t> offset_of(clang::SourceLocation location) const {
    location = sources_.getSpellingLoc(location);
    if (location.isInvalid() || sources_.getFileID(location) != sources_.getMainFileID()) return std::nullopt;
    return sources_.getFileOffset(location);
  }

  void describe(FunctionDecl* function) {
    here().is_kernel |= function->hasAttr<clang::OpenCLKernelAttr>();
    here().arguments = function->getNumParams();
    const clang::FunctionTypeLoc type = function->getFunctionTypeLoc();
    if (type.isNull()) {
      here().is_fixed = true;
      forbid("a function declared through a typedef (" + function->getNameAsString() + ")");
      return;
    }
    const auto open = offset_of(type.getLParenLoc()), close = offset_of(type.getRParenLoc());
    if (!open || !close) {
      unplaced("the declaration of " + function->getNameAsString());
      return;
    }
    const bool is_empty = function->getNumParams() == 0;
    facts_->lists.push_back({current_, is_empty ? *open + 1 : *close, *close, is_empty});
  }

  /// Functions that hand out what they have read from shared memory, directly or through others.
  FunctionSet find_readers() {
    std::set<size_t> numbers;
    for (const auto& [number, body] : bodies_) {
      if (contains_shared_read(body->getBody())) numbers.insert(number);
    }
    for (size_t before = 0; before != numbers.size();) {
      before = numbers.size();
      for (size_t i = 0; i < facts_->functions.size(); ++i) {
        for (const size_t callee : facts_->functions[i].callees) {
          if (numbers.contains(callee)) numbers.insert(i);
        }
      }
    }
    FunctionSet readers;
    for (const auto& [declaration, number] : numbers_) {
      if (numbers.contains(number)) readers.insert(declaration);
    }
    return readers;
  }

  const clang::SourceManager& sources_;
  Facts* facts_;
  size_t current_ = 0;
  std::map<const FunctionDecl*, size_t> numbers_;  // by first declaration
  std::map<size_t, const FunctionDecl*> bodies_;
  std::vector<std::pair<size_t, const clang::DeclRefExpr*>> references_;
  std::set<const clang::Expr*> calls_of_references_;
};

class Consumer : public clang::ASTConsumer {
 public:
  explicit Consumer(Facts* facts) : facts_(facts) {}
  void HandleTranslationUnit(clang::ASTContext& context) override {
    if (context.getDiagnostics().hasErrorOccurred()) return;
    Collector collector(context, facts_);
    for (clang::Decl* declaration : context.getTranslationUnitDecl()->decls()) {
      if (auto* function = llvm::dyn_cast<FunctionDecl>(declaration)) collector.walk(function);
    }
    collector.finish();
  }

 private:
  Facts* facts_;
};

class Action : public clang::ASTFrontendAction {
 public:
  explicit Action(Facts* facts) : facts_(facts) {}

 protected:
  std::unique_ptr<clang::ASTConsumer> CreateASTConsumer(clang::CompilerInstance&, llvm::StringRef) override {
    return std::make_unique<Consumer>(facts_);
  }

 private:
  Facts* facts_;
};

}  // namespace

Facts parse(const std::string& text, const DeviceTraits& traits, const KnownMacros& macros) {
  Facts facts;
  Diagnostics diagnostics;
  auto instance = make_instance(text, {prelude()}, parse_arguments(traits, macros), &diagnostics);
  if (instance != nullptr) {
    Action action(&facts);
    const bool is_done = instance->ExecuteAction(action);
    if (!is_done && diagnostics.error.empty()) diagnostics.error = "the front end gave up";
  }
  facts.error = diagnostics.error;
  return facts;
}

}  // namespace amalgam::split

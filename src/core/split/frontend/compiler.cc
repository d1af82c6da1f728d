// SPDX-License-Identifier: Apache-2.0
#include "core/split/frontend/compiler.h"

#include <clang/Basic/TargetInfo.h>
#include <clang/Frontend/CompilerInvocation.h>
#include <clang/Frontend/PreprocessorOutputOptions.h>
#include <clang/Frontend/Utils.h>
#include <clang/Lex/HeaderSearch.h>
#include <clang/Lex/LexDiagnostic.h>
#include <clang/Lex/Preprocessor.h>
#include <llvm/Support/VirtualFileSystem.h>
#include <llvm/Support/raw_ostream.h>

#include <regex>

#include "base/limits.h"
#include "core/split/frontend/arguments.h"
#include "core/split/frontend/instance.h"
#include "core/split/frontend/prelude.h"

namespace amalgam::split {
namespace {

using clang::MacroDefinition;
using clang::SourceLocation;
using clang::SourceRange;
using clang::Token;

/// Sees which macros of the device's compiler a program asks for.
class MacroWatch : public clang::PPCallbacks {
 public:
  MacroWatch(clang::Preprocessor& preprocessor, const KnownMacros& known, std::set<std::string>* unknown,
             std::string* opaque)
      : preprocessor_(preprocessor), known_(known), unknown_(unknown), opaque_(opaque) {}

  void Ifdef(SourceLocation, const Token& name, const MacroDefinition& macro) override { asked(name, macro); }
  void Ifndef(SourceLocation, const Token& name, const MacroDefinition& macro) override { asked(name, macro); }
  void Elifdef(SourceLocation, const Token& name, const MacroDefinition& macro) override { asked(name, macro); }
  void Elifndef(SourceLocation, const Token& name, const MacroDefinition& macro) override { asked(name, macro); }
  void Defined(const Token& name, const MacroDefinition& macro, SourceRange) override { asked(name, macro); }

  void MacroExpands(const Token& name, const MacroDefinition& macro, SourceRange, const clang::MacroArgs*) override {
    if (macro.getMacroInfo() != nullptr && macro.getMacroInfo()->isBuiltinMacro()) builtin(text_of(name));
  }

  void InclusionDirective(SourceLocation, const Token&, llvm::StringRef, bool, clang::CharSourceRange,
                          clang::OptionalFileEntryRef file, llvm::StringRef, llvm::StringRef, const clang::Module*, bool,
                          clang::SrcMgr::CharacteristicKind) override {
    if (file) included_.push_back(*file);
  }

  /// Include guards ask for a name that is theirs.
  void EndOfMainFile() override {
    for (const clang::FileEntryRef& file : included_) {
      const auto* guard = preprocessor_.getHeaderSearchInfo().getFileInfo(file).getControllingMacro(nullptr);
      if (guard != nullptr) unknown_->erase(guard->getName().str());
    }
  }

 private:
  static std::string text_of(const Token& name) {
    return name.getIdentifierInfo() != nullptr ? name.getIdentifierInfo()->getName().str() : std::string();
  }

  void asked(const Token& token, const MacroDefinition& macro) {
    const std::string name = text_of(token);
    if (macro.getMacroInfo() != nullptr) {
      if (macro.getMacroInfo()->isBuiltinMacro()) builtin(name);
    } else if (known_.is_unknown(name)) {
      unknown_->insert(name);
    }
  }

  /// Macros that each compiler computes for itself.
  void builtin(const std::string& name) {
    if (name != "__LINE__" && name != "_Pragma" && opaque_->empty()) *opaque_ = name;
  }

  clang::Preprocessor& preprocessor_;
  const KnownMacros& known_;
  std::set<std::string>* unknown_;
  std::string* opaque_;
  std::vector<clang::FileEntryRef> included_;
};

/// Macros whose value the specification fixes, so that #if may compare it; they are integers.
bool is_fixed_limit(const std::string& name) {
  static const std::regex kLimits(
      "(CHAR|SCHAR|UCHAR|SHRT|USHRT|INT|UINT|LONG|ULONG)_(MIN|MAX|BIT)|[A-Z]+(_[A-Z0-9]+)*_(DIG|EXP|RADIX)");
  return std::regex_match(name, kLimits);
}

/// The prelude's macros as the first pass knows them: each stands for itself.
std::string prelude_names(const DeviceTraits& traits, const KnownMacros& macros) {
  Diagnostics diagnostics;
  auto instance = make_instance("", {prelude()}, parse_arguments(traits, macros), &diagnostics);
  if (instance == nullptr) return {};
  instance->createPreprocessor(clang::TU_Complete);
  clang::Preprocessor& preprocessor = instance->getPreprocessor();
  preprocessor.EnterMainSourceFile();
  Token token;
  do preprocessor.Lex(token);
  while (token.isNot(clang::tok::eof));
  const clang::SourceManager& sources = instance->getSourceManager();
  std::string text;
  for (const auto& [identifier, state] : preprocessor.macros()) {
    const clang::MacroInfo* macro = preprocessor.getMacroInfo(identifier);
    if (macro == nullptr || macro->isBuiltinMacro()) continue;
    const std::string name = identifier->getName().str();
    if (!sources.getFilename(macro->getDefinitionLoc()).ends_with(prelude().name) || name.starts_with("__") ||
        name.starts_with("cl_")) {
      continue;
    }
    text += "#define " + name;
    if (macro->isObjectLike() && is_fixed_limit(name)) {
      for (const Token& part : macro->tokens()) text += " " + preprocessor.getSpelling(part);
    } else {
      text += " " + name;
    }
    text += "\n";
  }
  return text;
}

/// Text up to a bound: macros can make a few lines into more than any memory.
class BoundedStream : public llvm::raw_ostream {
 public:
  explicit BoundedStream(std::string* text) : text_(text) { SetUnbuffered(); }
  bool is_full() const { return is_full_; }

 private:
  void write_impl(const char* bytes, size_t size) override {
    is_full_ = is_full_ || size > kMaxSplitBytes - text_->size();
    if (!is_full_) text_->append(bytes, size);
  }
  uint64_t current_pos() const override { return text_->size(); }

  std::string* text_;
  bool is_full_ = false;
};

}  // namespace

Preprocessed preprocess(const ProgramText& program, const DeviceTraits& traits, const Options& options,
                        const KnownMacros& macros) {
  constexpr char kPredefined[] = "__amalgam_predefined.h";  // a name that no program may use
  std::vector<Header> files = program.headers;
  for (Header& file : files) file.name = "headers/" + file.name;
  files.push_back({kPredefined, macros.text() + prelude_names(traits, macros)});
  Preprocessed result;
  Diagnostics diagnostics;
  auto instance =
      make_instance(program.source, files, preprocess_arguments(traits, options, macros, kPredefined), &diagnostics);
  if (instance != nullptr) {
    instance->createPreprocessor(clang::TU_Complete);
    clang::Preprocessor& preprocessor = instance->getPreprocessor();
    std::set<std::string> unknown;
    preprocessor.addPPCallbacks(std::make_unique<MacroWatch>(preprocessor, macros, &unknown, &result.opaque));
    clang::PreprocessorOutputOptions output;
    output.ShowCPP = true;
    output.ShowLineMarkers = true;
    output.UseLineDirectives = true;
    BoundedStream stream(&result.text);
    clang::DoPrintPreprocessedInput(preprocessor, &stream, output);
    preprocessor.EndSourceFile();
    if (stream.is_full()) result.error = "it is too large";
    for (const std::string& name : diagnostics.undefined) {
      if (macros.is_unknown(name)) unknown.insert(name);
    }
    result.unknown_macros.assign(unknown.begin(), unknown.end());
  }
  if (result.error.empty()) result.error = diagnostics.error;
  return result;
}

Header prelude() { return {"prelude/opencl-c-base.h", std::string(prelude_text())}; }

void Diagnostics::HandleDiagnostic(clang::DiagnosticsEngine::Level level, const clang::Diagnostic& diagnostic) {
  if (diagnostic.getID() == clang::diag::warn_pp_undef_identifier) {
    undefined.insert(diagnostic.getArgIdentifier(0)->getName().str());
  }
  if (level < clang::DiagnosticsEngine::Error || !error.empty()) return;
  llvm::SmallString<128> message;
  diagnostic.FormatDiagnostic(message);
  if (diagnostic.hasSourceManager() && diagnostic.getLocation().isValid()) {
    const clang::PresumedLoc place = diagnostic.getSourceManager().getPresumedLoc(diagnostic.getLocation());
    if (place.isValid()) error = "line " + std::to_string(place.getLine()) + ": ";
  }
  error += message.str().str();
}

std::unique_ptr<clang::CompilerInstance> make_instance(const std::string& source, const std::vector<Header>& files,
                                                       std::vector<std::string> arguments, Diagnostics* diagnostics) {
  auto memory = llvm::makeIntrusiveRefCnt<llvm::vfs::InMemoryFileSystem>();
  const std::string folder = std::string(kVirtualFolder) + "/";
  memory->addFile(folder + kSourceName, 0, llvm::MemoryBuffer::getMemBufferCopy(source));
  for (const Header& file : files) memory->addFile(folder + file.name, 0, llvm::MemoryBuffer::getMemBufferCopy(file.text));
  auto overlay = llvm::makeIntrusiveRefCnt<llvm::vfs::OverlayFileSystem>(llvm::vfs::getRealFileSystem());
  overlay->pushOverlay(memory);

  arguments.push_back(folder + kSourceName);
  std::vector<const char*> pointers;
  for (const std::string& argument : arguments) pointers.push_back(argument.c_str());
  auto instance = std::make_unique<clang::CompilerInstance>();
  instance->createDiagnostics(diagnostics, /*ShouldOwnClient=*/false);
  if (!clang::CompilerInvocation::CreateFromArgs(instance->getInvocation(), pointers, instance->getDiagnostics()))
    return nullptr;
  // The first set was for the command line; this one obeys it.
  instance->createDiagnostics(diagnostics, /*ShouldOwnClient=*/false);
  instance->createFileManager(overlay);
  instance->createSourceManager(instance->getFileManager());
  if (!instance->createTarget()) return nullptr;
  const auto& inputs = instance->getFrontendOpts().Inputs;
  if (inputs.size() != 1 || !instance->InitializeSourceManager(inputs[0])) return nullptr;
  return instance;
}

}  // namespace amalgam::split

// SPDX-License-Identifier: Apache-2.0
#include "daemon/config/classes.h"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "base/limits.h"
#include "daemon/config/toml_reader.h"

namespace amalgam::daemon {
namespace {

constexpr size_t kMaxClassName = 64;

/// A value that is written as on the command line.
template <typename Parse, typename Set>
Take written(Parse parse, Set set) {
  return [parse, set](const toml::node& node) -> std::string {
    auto text = node.value_exact<std::string>();
    if (!text) return "wrong type";
    auto value = parse(*text);
    if (!value) return value.error().message;
    set(*value);
    return {};
  };
}

/// Empty if the system knows the user or, after "@", the group.
std::string take_user(const std::string& text, Class& of) {
  of.for_all = false;
  if (text.starts_with('@')) {
    const group* entry = ::getgrnam(text.c_str() + 1);
    if (entry == nullptr) return "there is no group \"" + text.substr(1) + "\" on this machine";
    of.groups.push_back(entry->gr_gid);
  } else {
    const passwd* entry = ::getpwnam(text.c_str());
    if (entry == nullptr) return "there is no user \"" + text + "\" on this machine";
    of.users.push_back(entry->pw_uid);
  }
  return {};
}

std::string take_users(const toml::node& node, Class& of) {
  const toml::array* list = node.as_array();
  if (list == nullptr) return "wrong type";
  if (list->empty()) return "the list is empty";
  if (list->size() > kMaxClassUsers) return fmt::format("more than {} users and groups", kMaxClassUsers);
  for (const toml::node& item : *list) {
    auto name = item.value_exact<std::string>();
    if (!name || name->empty()) return "every element must be a name";
    if (std::string why = take_user(*name, of); !why.empty()) return why;
  }
  return {};
}

std::vector<Key> class_keys(Class& of, uint64_t& memory) {
  constexpr const char* kFraction = "per cent such as \"30%\"";
  model::TermsPatch& terms = of.terms;
  return {
      {"share", kFraction, written(model::parse_part, [&terms](uint32_t ppm) { terms.set_share(ppm); })},
      {"cap", kFraction, written(model::parse_part, [&terms](uint32_t ppm) { terms.set_cap(ppm); })},
      {"priority", "a name such as \"high\"",
       written(model::parse_priority, [&terms](model::Priority priority) { terms.set_priority(priority); })},
      {"slo", "a latency such as \"p99=5ms\"",
       written(model::parse_slo, [&terms](const model::Slo& slo) { terms.set_slo(slo); })},
      {"memory", "a size such as \"2GiB\", or a number of bytes",
       [take = into_size(memory), &terms, &memory](const toml::node& node) {
         std::string why = take(node);
         if (why.empty()) terms.set_memory(memory);
         return why;
       }},
      {"users", "a list such as [\"alice\", \"@research\"]", [&of](const toml::node& node) { return take_users(node, of); }},
  };
}

bool is_class_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxClassName && std::ranges::all_of(name, [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

Result<Class> read_class(std::string_view name, const toml::node& node, const std::string& file) {
  Class of;
  of.name = name;
  of.place = place(file, node.source());
  auto wrong = [&](const std::string& what) { return fail(Code::kInvalidArgument, of.place + ": " + what); };
  if (!node.is_table()) return wrong("\"" + of.name + "\" is outside of any class; put it below a line such as [training]");
  if (!is_class_name(name))
    return wrong(fmt::format("\"{}\": a class has a name of at most {} letters, digits, - and _", name, kMaxClassName));
  uint64_t memory = 0;
  auto read = read_table(*node.as_table(), of.name + ".", class_keys(of, memory), file);
  if (!read) return std::unexpected(std::move(read.error()));
  if (auto good = model::check(of.terms.terms); !good) return wrong("[" + of.name + "]: " + good.error().message);
  return of;
}

}  // namespace

bool Class::allows(uid_t uid, std::span<const gid_t> gids) const {
  if (for_all || uid == 0 || std::ranges::find(users, uid) != users.end()) return true;
  return std::ranges::any_of(groups, [&](gid_t group) { return std::ranges::find(gids, group) != gids.end(); });
}

Result<Classes> Classes::load(const std::filesystem::path& folder) {
  Classes classes;
  classes.folder_ = folder;
  std::vector<std::filesystem::path> files;
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) return classes;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (at->path().extension() == ".toml") files.push_back(at->path());
  if (error) return fail(system_error("read classes in " + folder.string(), error.value()));
  std::ranges::sort(files);
  for (const std::filesystem::path& file : files) {
    std::ifstream in(file);
    if (!in) return fail(system_error("read classes in " + file.string(), errno));
    if (std::filesystem::file_size(file, error) > kMaxClassFileBytes || error)
      return fail(Code::kLimit,
                  file.string() + " is larger than " + std::to_string(kMaxClassFileBytes) + " bytes; split it");
    std::ostringstream text;
    text << in.rdbuf();
    if (auto added = classes.add(text.str(), file.string()); !added) return std::unexpected(std::move(added.error()));
  }
  return classes;
}

Result<void> Classes::add(std::string_view text, const std::string& name) {
  auto table = parse_toml(text, name);
  if (!table) return std::unexpected(std::move(table.error()));
  for (const auto& [key, node] : *table) {
    auto read = read_class(key.str(), node, name);
    if (!read) return std::unexpected(std::move(read.error()));
    if (const Class* other = find(read->name))
      return fail(Code::kInvalidArgument,
                  read->place + ": [" + read->name + "] is at " + other->place + " already; give one of them another name");
    if (classes_.size() >= kMaxClasses)
      return fail(Code::kLimit, read->place + ": more than " + std::to_string(kMaxClasses) + " classes");
    classes_.emplace(read->name, std::move(*read));
  }
  return {};
}

const Class* Classes::find(const std::string& name) const {
  auto found = classes_.find(name);
  return found == classes_.end() ? nullptr : &found->second;
}

std::string Classes::offer(uid_t uid, std::span<const gid_t> gids) const {
  std::string names;
  for (const auto& [name, of] : classes_)
    if (of.allows(uid, gids)) names += (names.empty() ? "" : ", ") + name;
  if (!names.empty()) return "you may have " + names;
  return folder_.empty() ? "there is none that you may have"
                         : "there is none that you may have; the daemon reads them from " + folder_;
}

Result<const Class*> Classes::choose(const std::string& name, uid_t uid, std::span<const gid_t> gids) const {
  const Class* of = find(name);
  if (of == nullptr) return fail(Code::kNotFound, "there is no class \"" + name + "\"; " + offer(uid, gids));
  if (!of->allows(uid, gids))
    return fail(Code::kPermissionDenied,
                "class \"" + name + "\" is not for user id " + std::to_string(uid) + "; " + offer(uid, gids));
  return of;
}

}  // namespace amalgam::daemon

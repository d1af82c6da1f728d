// SPDX-License-Identifier: Apache-2.0
// Classes: named terms that an administrator offers, so that users write `--class training` and nothing else.
//
//   slices.d/*.toml:   [training]
//                      share = "30%"      cap, priority, slo, memory likewise
//                      users = ["alice", "@research"]      absent: everybody
//
// A class also says who may have its priority: realtime is otherwise for root and the daemon's own user alone. Names of
// users and groups become numbers when the files are read, and a peer's groups are what the kernel says of its socket, so
// no request waits for a directory service.
//
// Threads: a plain value. Blocking: load() reads small files and asks the system's users and groups.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/terms.h"

namespace amalgam::daemon {

struct Class {
  std::string name;
  std::string place;  ///< "training.toml:3:1"
  model::TermsPatch terms;
  bool for_all = true;  ///< no users were named
  std::vector<uid_t> users;
  std::vector<gid_t> groups;

  bool allows(uid_t uid, std::span<const gid_t> gids) const;
};

class Classes {
 public:
  /// Every *.toml of the folder, by name; none if the folder is not there. Errors name file, line, column and key.
  static Result<Classes> load(const std::filesystem::path& folder);
  /// Adds the classes of one text; `name` stands for the file in messages.
  Result<void> add(std::string_view text, const std::string& name);

  /// The class, if this user may have it. kNotFound and kPermissionDenied name those that it may have.
  Result<const Class*> choose(const std::string& name, uid_t uid, std::span<const gid_t> gids) const;
  /// Null if there is none, or no more.
  const Class* find(const std::string& name) const;
  size_t size() const { return classes_.size(); }

 private:
  std::string offer(uid_t uid, std::span<const gid_t> gids) const;
  std::string folder_;
  std::map<std::string, Class> classes_;
};

}  // namespace amalgam::daemon

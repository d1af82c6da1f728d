// SPDX-License-Identifier: Apache-2.0
// Paths: where the daemon's socket, state and worker lie, and how the folders for them are made.
//
// Threads: pure functions of the environment and the file system. Blocking: local file system calls.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/error.h"
#include "base/unique_fd.h"

namespace amalgam::daemon {

/// /run/amalgam/amalgamd.sock, or the user's own.
std::filesystem::path default_socket(bool system);
/// /var/lib/amalgam, or $XDG_STATE_HOME/amalgam, or ~/.local/state/amalgam.
std::filesystem::path default_state_dir(bool system);
/// /etc/amalgam/slices.d, or slices.d beside the user's amalgamd.toml; it need not be there. Empty: the user has no home.
std::filesystem::path default_classes_dir(bool system);
/// amalgamd.toml in $XDG_CONFIG_HOME/amalgam or ~/.config/amalgam; empty if there is none.
std::filesystem::path user_config_file();
/// amalgam-worker of this installation or build folder. kNotFound says where it was sought.
Result<std::filesystem::path> find_worker();
/// The state file of the daemon at this socket.
std::filesystem::path state_file(const std::filesystem::path& state_dir, const std::filesystem::path& socket);
/// Where its events are kept.
std::filesystem::path event_file(const std::filesystem::path& state_dir, const std::filesystem::path& socket);
/// Where its guardian is found.
std::filesystem::path guardian_socket(const std::filesystem::path& state_dir, const std::filesystem::path& socket);
/// A name for what this daemon makes outside of its folders: the same for the next daemon at this socket, and only for it.
std::string daemon_name(const std::filesystem::path& socket);

/// Who else may put things into a folder.
enum class Neighbours : uint8_t {
  kNone,    ///< nobody: what lies there is ours
  kSticky,  ///< anybody, where the sticky bit keeps them from taking ours away, as in /tmp
};
/// Makes a folder, and those above it. What is there already is not followed and not believed: kInvalidArgument if it is no
/// folder; kPermissionDenied if it is a link, if somebody else (not root) owns it, or if others may write to it or put
/// another one in its place.
Result<void> make_folder(const std::filesystem::path& folder, mode_t mode, Neighbours neighbours = Neighbours::kNone);
/// Takes the lock of a socket, for as long as the result is open. kUnavailable names who holds it; kPermissionDenied: its
/// file is somebody else's.
Result<UniqueFd> lock_socket(const std::filesystem::path& socket);
/// The same of its state file: where a socket's path is not the whole truth (containers that share a state folder), another
/// daemon could take sessions from this one's guardian.
Result<UniqueFd> lock_state(const std::filesystem::path& state_dir, const std::filesystem::path& socket);

}  // namespace amalgam::daemon

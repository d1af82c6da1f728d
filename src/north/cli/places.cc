// SPDX-License-Identifier: Apache-2.0
#include "north/cli/places.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <initializer_list>

#include "protocol/control/channel.h"

namespace amalgam::cli {
namespace fs = std::filesystem;
namespace {

Result<fs::path> first_of(const char* what, const fs::path& from, std::initializer_list<const char*> relative) {
  std::string sought;
  for (const char* place : relative) {
    fs::path path = (from / place).lexically_normal();
    std::error_code ignored;
    if (fs::exists(path, ignored)) return fs::canonical(path, ignored);
    sought += (sought.empty() ? "" : ", ") + path.string();
  }
  return fail(Code::kNotFound,
              std::string(what) + " is not beside this program (sought " + sought + "); install Amalgam anew");
}

std::string first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

bool names_library(const fs::path& icd, const fs::path& library) {
  std::string line = first_line(icd);
  std::error_code error;
  return !line.empty() && fs::equivalent(line, library, error) && !error;
}

/// A vendors folder for this library alone; written under another name and renamed, since several runs may race.
Result<fs::path> write_vendors(const fs::path& runtime, const fs::path& library) {
  size_t hash = std::hash<std::string>{}(library.string());
  fs::path folder = runtime / ("vendors-" + std::to_string(hash));
  AMALGAM_TRY(make_private_folder(runtime), "write an OpenCL vendors folder");
  AMALGAM_TRY(make_private_folder(folder), "write an OpenCL vendors folder");
  fs::path file = folder / "amalgam.icd";
  if (names_library(file, library)) return folder;
  fs::path fresh = folder / (".amalgam." + std::to_string(::getpid()));
  std::ofstream(fresh) << library.string() << "\n";
  if (::rename(fresh.c_str(), file.c_str()) != 0) return fail(system_error("write " + file.string(), errno));
  return folder;
}

}  // namespace

Result<fs::path> own_folder() {
  std::error_code error;
  fs::path exe = fs::read_symlink("/proc/self/exe", error);
  if (error) return fail(system_error("read /proc/self/exe", error.value()));
  return exe.parent_path();
}

Result<fs::path> Places::find_daemon(const fs::path& exe_folder) {
  return first_of("amalgamd", exe_folder, {"../sbin/amalgamd", "amalgamd", "../../daemon/amalgamd"});
}

Result<fs::path> Places::find_sim(const fs::path& exe_folder) {
  return first_of("amalgam-sim", exe_folder, {"../libexec/amalgam/amalgam-sim", "../../../tools/sim/amalgam-sim"});
}

Result<Places> Places::find(const fs::path& exe_folder, const fs::path& runtime) {
  Places places;
  auto opencl = first_of(
      "libamalgam_opencl.so", exe_folder,
      {"../" AMALGAM_LIBDIR "/libamalgam_opencl.so", "../lib/libamalgam_opencl.so", "../opencl/libamalgam_opencl.so"});
  if (!opencl) return fail(std::move(opencl.error()));
  places.opencl = *opencl;
  if (auto daemon = find_daemon(exe_folder)) places.daemon = *daemon;
  for (const char* relative : {"../share/amalgam/vendors", "../../../vendors"}) {
    fs::path folder = (exe_folder / relative).lexically_normal();
    if (!names_library(folder / "amalgam.icd", places.opencl)) continue;
    places.vendors = folder;
    return places;
  }
  auto written = write_vendors(runtime, places.opencl);
  if (!written) return fail(std::move(written.error()));
  places.vendors = *written;
  return places;
}

Result<void> make_private_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder.parent_path(), error);
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return fail(system_error("make " + folder.string(), errno));
  struct stat info{};
  if (::lstat(folder.c_str(), &info) != 0) return fail(system_error("look at " + folder.string(), errno));
  if (!S_ISDIR(info.st_mode) || info.st_uid != ::geteuid())
    return fail(Code::kPermissionDenied,
                folder.string() +
                    " is not a folder of yours; name folders that are: XDG_RUNTIME_DIR for sockets, "
                    "XDG_STATE_HOME for logs");
  if ((info.st_mode & 022) != 0)
    return fail(Code::kPermissionDenied, folder.string() + " can be written to by others; chmod go-w " + folder.string());
  return {};
}

fs::path state_folder() {
  if (const char* state = ::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/') return fs::path(state) / "amalgam";
  // Accounts of services have homes that are not there; nothing is made in their place.
  std::error_code ignored;
  if (const char* home = ::getenv("HOME"); home != nullptr && *home == '/' && fs::is_directory(home, ignored))
    return fs::path(home) / ".local/state/amalgam";
  return fs::path(protocol::user_socket_path()).parent_path();
}

}  // namespace amalgam::cli

// SPDX-License-Identifier: Apache-2.0
// amalgamd: the daemon of one machine, or of one user. Reads its options, builds a Daemon, runs it.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "daemon/config/classes.h"
#include "daemon/daemon.h"
#include "daemon/host/log.h"
#include "daemon/host/paths.h"

namespace {

using namespace amalgam;

struct Options {
  std::string config, socket, log_level, log_file, metrics, worker, state_dir;
  std::optional<uint64_t> idle_exit_s;
  bool check_config = false;
};

int complain(const Error& error) {
  std::fprintf(stderr, "amalgamd: %s\n", error.text().c_str());
  return 1;
}

/// File, then command line.
Result<daemon::Config> configuration(const Options& options) {
  std::filesystem::path file =
      options.config.empty() ? daemon::user_config_file() : std::filesystem::absolute(options.config);
  auto config = file.empty() ? daemon::default_config(false) : daemon::load_config(file);
  if (!config) return config;
  if (!options.socket.empty()) config->socket = std::filesystem::absolute(options.socket);
  if (!options.state_dir.empty()) config->state_dir = std::filesystem::absolute(options.state_dir);
  if (!options.worker.empty()) config->worker = std::filesystem::absolute(options.worker);
  if (!options.log_level.empty()) config->log_level = options.log_level;
  if (!options.log_file.empty()) config->log_file = std::filesystem::absolute(options.log_file);
  if (options.idle_exit_s) config->idle_exit_s = *options.idle_exit_s;
  if (!options.metrics.empty()) {
    auto address = daemon::parse_metrics_address(options.metrics);
    if (!address) return fail(std::move(address.error()).within("--metrics"));
    config->metrics = *address;
  }
  if (!daemon::is_log_level(config->log_level))
    return fail(Code::kInvalidArgument, "--log-level: there is no level \"" + config->log_level +
                                            "\"; give trace, debug, info, warn, error, critical or off");
  return config;
}

/// Sessions cost descriptors: takes as many as the system lets us have. Returns what was set before.
uint64_t raise_open_files() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  uint64_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return before;
}

/// Nobody bounds what drivers print; where the log is bounded, it goes nowhere.
void leave_standard_error() {
  UniqueFd null(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  for (int fd : {STDOUT_FILENO, STDERR_FILENO}) ::dup2(null.get(), fd);
}

int run(const Options& options) {
  auto config = configuration(options);
  if (!config) return complain(config.error());
  if (options.check_config) {
    auto classes = daemon::Classes::load(config->classes_dir);
    if (!classes) return complain(classes.error());
    std::printf("%s: good, with %zu classes\n", config->file.empty() ? "built-in defaults" : config->file.c_str(),
                classes->size());
    return 0;
  }
  ::umask(077);
  // Blocked before there is any other thread; the loop reads them.
  sigset_t set;
  ::sigemptyset(&set);
  for (int number : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&set, number);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  uint64_t open_files = raise_open_files();
  const bool to_file = !config->log_file.empty();
  auto log = daemon::Log::start(config->log_file);
  if (!log) return complain(log.error());
  (*log)->outlive_traps();
  (*log)->logger().set_level(config->log_level);
  auto daemon = daemon::Daemon::create(std::move(*config), (*log)->logger(), open_files,
                                       [&options] { return configuration(options); });
  if (!daemon) return complain(daemon.error());
  if (to_file) leave_standard_error();
  (*daemon)->run();
  daemon->reset();
  if (!(*log)->end()) ::_exit(0);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("The daemon of an Amalgam pool: devices, sessions, and who holds how much memory");
  Options options;
  app.set_version_flag("--version", std::string("amalgamd ") + AMALGAM_VERSION);
  app.add_option("--config", options.config, "Configuration file (see docs/configuration.md)")->type_name("FILE");
  app.add_option("--socket", options.socket, "Where programs find it")->type_name("PATH");
  app.add_option("--state-dir", options.state_dir, "Where it keeps what it must find again")->type_name("DIR");
  app.add_option("--worker", options.worker, "amalgam-worker, if it is not beside this program")->type_name("PATH");
  app.add_option("--log-level", options.log_level, "trace, debug, info, warn, error, critical or off")->type_name("L");
  app.add_option("--log-file", options.log_file, "Where the log goes, in place of standard error; bounded in bytes")
      ->type_name("PATH");
  app.add_option("--metrics", options.metrics, "Prometheus endpoint on the loopback, e.g. 127.0.0.1:9464")
      ->type_name("ADDR:PORT|off");
  app.add_option("--idle-exit", options.idle_exit_s, "Leave after so long without use; 0: never")->type_name("SECONDS");
  app.add_flag("--check-config", options.check_config, "Check the configuration and the classes, and leave");
  app.footer(
      "Runs in the foreground and logs to standard error, unless --log-file says otherwise. SIGHUP: read the configuration "
      "and the classes, and probe the "
      "drivers, again.");
  CLI11_PARSE(app, argc, argv);
  return run(options);
}

// SPDX-License-Identifier: Apache-2.0
// amalgamd: the daemon of one machine, or of one user. Reads its options, builds a Daemon, runs it.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "base/nearest.h"
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

constexpr int kFailed = 1, kUsage = 2;

int complain(const Error& error, int status = kFailed) {
  std::fprintf(stderr, "amalgamd: %s\n", error.text().c_str());
  return status;
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

int check(const daemon::Config& config) {
  auto classes = daemon::Classes::load(config.classes_dir);
  if (!classes) return complain(classes.error(), kUsage);
  std::printf("%s: good, with %zu classes\n", config.file.empty() ? "built-in defaults" : config.file.c_str(),
              classes->size());
  return 0;
}

int run(const Options& options) {
  auto config = configuration(options);
  if (!config) return complain(config.error(), kUsage);
  if (options.check_config) return check(*config);
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
  auto daemon = daemon::Daemon::create(
      std::move(*config), (*log)->logger(), open_files,
      {.reload = [&options] { return configuration(options); }, .reopen_log = [&log] { (*log)->reopen(); }});
  if (!daemon) return complain(daemon.error());
  if (to_file) leave_standard_error();
  (*daemon)->run();
  daemon->reset();
  if (!(*log)->end()) ::_exit(0);
  return 0;
}

/// What is wrong with the words that could not be parsed.
Error usage_error(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<std::string> unknown = app.remaining();
  if (unknown.empty()) return {Code::kInvalidArgument, std::string(error.what()) + "; `amalgamd --help` says more"};
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) names.push_back(option->get_name());
  const std::vector<std::string_view> known(names.begin(), names.end());
  return {Code::kInvalidArgument, "there is no option " + unknown.front() + ": " +
                                      did_you_mean(unknown.front().substr(0, unknown.front().find('=')), known)};
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
  app.add_flag("--check-config", options.check_config,
               "Check the configuration and the classes, and leave: 0 they are good, 2 they are not");
  app.footer(
      "Runs in the foreground and logs to standard error, unless --log-file says otherwise. SIGHUP: read the configuration "
      "and the classes, probe the drivers, and open the log's file again.\n"
      "Exit status: 0 it has ended in order, 1 it cannot run, 2 its options or its configuration are wrong.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return error.get_exit_code() == 0 ? app.exit(error) : complain(usage_error(app, error), kUsage);
  }
  return run(options);
}

// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/log.h"

#include <signal.h>
#include <spdlog/details/log_msg_buffer.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/limits.h"
#include "daemon/host/event_loop.h"
#include "daemon/host/log_limit.h"

namespace amalgam::daemon {
namespace {

constexpr const char* kName = "amalgamd";
constexpr const char* kPattern = "%Y-%m-%d %H:%M:%S.%e %^%l%$ %v";
constexpr size_t kLineOverhead = 128;  ///< what a line costs in the queue beside its text
constexpr int kTrapSteps = 20;         ///< how often a process that ends looks whether its log is written
constexpr timespec kTrapStep{0, 10'000'000};
using Line = spdlog::details::log_msg_buffer;

/// For the handler of a trap; it can be given nothing else.
std::atomic<const std::atomic<bool>*> settled_log = nullptr;

void wait_for_log(int) {
  const std::atomic<bool>* settled = settled_log.load();
  for (int i = 0; i < kTrapSteps && settled != nullptr && !settled->load(); ++i) ::nanosleep(&kTrapStep, nullptr);
}

Line own_line(spdlog::level::level_enum level, const std::string& text) {
  return Line(spdlog::details::log_msg(kName, level, text));
}

}  // namespace

struct Log::Queue {
  spdlog::sink_ptr target;                  ///< the thread's
  std::function<spdlog::sink_ptr()> again;  ///< makes another one
  std::mutex mutex;
  std::condition_variable filled, emptied;
  // Guarded by it:
  std::deque<Line> lines;
  size_t bytes = 0;  ///< of lines, and of those that are being written
  uint64_t lost = 0;
  LogLimit limit;
  bool writing = false, ending = false, ended = false, reopening = false;
  bool asleep = false;  ///< the thread, until something comes
  /// Everything is written.
  std::atomic<bool> settled = true;

  void add(const spdlog::details::log_msg& line);
  void wake();
  void run();
  std::deque<Line> take();
  void write(const std::deque<Line>& taken) const;
  std::deque<Line> reopen();
};

void Log::Queue::add(const spdlog::details::log_msg& line) {
  std::lock_guard lock(mutex);
  if (!limit.pass(line.level, {line.payload.data(), line.payload.size()}, monotonic_ms())) {
    wake();  // somebody has to tell of it later
    return;
  }
  const size_t size = line.payload.size() + kLineOverhead;
  if (bytes + size > kLogQueueBytes) {
    ++lost;
    return;
  }
  bytes += size;
  lines.emplace_back(line);
  settled = false;
  filled.notify_one();
}

void Log::Queue::wake() {
  if (std::exchange(asleep, false)) filled.notify_one();
}

/// With the lock held.
std::deque<Line> Log::Queue::take() {
  std::deque<Line> taken;
  taken.swap(lines);
  for (const LogLimit::Held& held : limit.take_held(ending ? UINT64_MAX : monotonic_ms()))
    taken.push_back(own_line(static_cast<spdlog::level::level_enum>(held.level),
                             "… and " + std::to_string(held.lines) + " more like \"" + held.kind + "\""));
  if (lost != 0)
    taken.push_back(own_line(spdlog::level::warn, std::to_string(std::exchange(lost, 0)) +
                                                      " lines were not written: they came faster than they were read"));
  return taken;
}

void Log::Queue::write(const std::deque<Line>& taken) const {
  // A full disk, say. There is nobody to tell.
  try {
    for (const Line& line : taken) target->log(line);
    target->flush();
  } catch (const std::exception&) {
    return;
  }
}

/// What is to be said of it.
std::deque<Line> Log::Queue::reopen() {
  try {
    spdlog::sink_ptr opened = again();
    opened->set_pattern(kPattern);
    target = std::move(opened);
    return {};
  } catch (const std::exception& error) {
    return {own_line(spdlog::level::err, std::string("the log is not opened again: ") + error.what())};
  }
}

void Log::Queue::run() {
  std::unique_lock lock(mutex);
  for (;;) {
    std::deque<Line> taken = take();
    const bool reopens = std::exchange(reopening, false);
    if (!taken.empty() || reopens) {
      const size_t taken_bytes = bytes;
      writing = true;
      lock.unlock();
      write(taken);
      if (reopens) write(reopen());
      lock.lock();
      writing = false;
      bytes -= taken_bytes;
      continue;
    }
    settled = true;
    ended = ending;
    emptied.notify_all();
    if (ended) return;
    const uint64_t next_ms = limit.next_ms(), now_ms = monotonic_ms();
    asleep = next_ms == UINT64_MAX;
    if (asleep)
      filled.wait(lock);
    else if (next_ms > now_ms)
      filled.wait_for(lock, std::chrono::milliseconds(next_ms - now_ms));
  }
}

/// What the logger writes into.
class Log::Entrance : public spdlog::sinks::sink {
 public:
  explicit Entrance(std::shared_ptr<Queue> queue) : queue_(std::move(queue)) {}
  void log(const spdlog::details::log_msg& line) override { queue_->add(line); }
  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

 private:
  std::shared_ptr<Queue> queue_;
};

Log::Log(spdlog::sink_ptr target, std::function<spdlog::sink_ptr()> again) : queue_(std::make_shared<Queue>()) {
  queue_->again = std::move(again);
  target->set_pattern(kPattern);
  queue_->target = std::move(target);
  logger_ = std::make_unique<Logger>(std::make_unique<spdlog::logger>(kName, std::make_shared<Entrance>(queue_)));
  std::thread([queue = queue_] { queue->run(); }).detach();
}

Result<std::unique_ptr<Log>> Log::start(const std::filesystem::path& file) {
  if (file.empty()) return std::make_unique<Log>(std::make_shared<spdlog::sinks::stderr_color_sink_st>());
  auto open = [name = file.string()]() -> spdlog::sink_ptr {
    return std::make_shared<spdlog::sinks::rotating_file_sink_st>(name, kLogFileBytes, kLogFiles - 1);
  };
  try {
    return std::make_unique<Log>(open(), open);
  } catch (const spdlog::spdlog_ex& error) {
    return fail(Code::kInvalidArgument, std::string("the log: ") + error.what() + "; choose another --log-file");
  }
}

void Log::reopen() {
  if (!queue_->again) return;
  std::lock_guard lock(queue_->mutex);
  queue_->reopening = true;
  queue_->filled.notify_one();
}

bool Log::flush(uint64_t patience_ms) {
  std::unique_lock lock(queue_->mutex);
  return queue_->emptied.wait_for(lock, std::chrono::milliseconds(patience_ms), [this] {
    return queue_->lines.empty() && !queue_->writing && !queue_->reopening && queue_->lost == 0;
  });
}

Log::~Log() { end(); }

bool Log::end() {
  std::unique_lock lock(queue_->mutex);
  queue_->ending = true;
  queue_->filled.notify_one();
  return queue_->emptied.wait_for(lock, std::chrono::milliseconds(kLogFlushMs), [this] { return queue_->ended; });
}

void Log::outlive_traps() {
  static const auto* kept = new std::shared_ptr<Queue>(queue_);  // whatever ends before it traps
  settled_log = &(*kept)->settled;
  struct sigaction action{};
  action.sa_handler = wait_for_log;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (int number : {SIGILL, SIGTRAP, SIGABRT}) ::sigaction(number, &action, nullptr);
}

}  // namespace amalgam::daemon

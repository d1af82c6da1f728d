// SPDX-License-Identifier: Apache-2.0
// cl_tenant: one tenant of a device that several share, and what it got: the program behind bench/shares.py.
//
//   cl_tenant calibrate                                 turns of the loop that make a work-group of about 50 us
//   cl_tenant greedy  TURNS GROUPS[,GROUPS…] SECONDS [BURST]
//                                                       launches kernels of so many work-groups, one after the other, two in
//                                                       flight; several numbers: in turn. BURST: twice so many in flight,
//                                                       and each BURST-th is waited for
//   cl_tenant exact   TURNS GROUPS[,GROUPS…] SECONDS    the same, then waits for all of them and says what it counted
//   cl_tenant urgent  TURNS GROUPS PERIOD_US SECONDS    launches one kernel a period and waits for it
//
// Work is counted in work-groups that have ended, by a counter in memory that program and kernels share, so that long
// kernels show their progress too. Prints "ready" when everything is built, then waits for a line on standard input.
// Afterwards prints one JSON object: samples of [nanoseconds of CLOCK_MONOTONIC, work-groups ended] or latencies in
// microseconds.
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr size_t kLocal = 4;
constexpr uint64_t kSampleNs = 20'000'000;

constexpr char kSource[] = R"(
kernel void work(global volatile uint* ended, global uint* sink, uint turns) {
  uint x = (uint)get_global_id(0) + 1u;
  for (uint i = 0; i < turns; ++i) x = x * 1664525u + 1013904223u;
  if (x == 12345u) sink[0] = x;
  barrier(CLK_LOCAL_MEM_FENCE);
  if (get_local_id(0) == 0) atomic_inc(ended);
}
)";

uint64_t now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

void sleep_until(uint64_t ns) {
  timespec t{static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr) != 0) {
  }
}

void need(cl_int code, const char* what) {
  if (code == CL_SUCCESS) return;
  std::fprintf(stderr, "cl_tenant: %s gave %d\n", what, code);
  std::exit(1);
}

class Tenant {
 public:
  explicit Tenant(uint32_t turns) {
    cl_platform_id platform = nullptr;
    cl_int code = 0;
    need(clGetPlatformIDs(1, &platform, nullptr), "clGetPlatformIDs");
    need(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device_, nullptr), "clGetDeviceIDs");
    context_ = clCreateContext(nullptr, 1, &device_, nullptr, nullptr, &code);
    need(code, "clCreateContext");
    queue_ = clCreateCommandQueue(context_, device_, 0, &code);
    need(code, "clCreateCommandQueue");
    const char* source = kSource;
    cl_program program = clCreateProgramWithSource(context_, 1, &source, nullptr, &code);
    need(clBuildProgram(program, 1, &device_, "", nullptr, nullptr), "clBuildProgram");
    kernel_ = clCreateKernel(program, "work", &code);
    need(code, "clCreateKernel");
    cl_mem counter = clCreateBuffer(context_, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, 4096, nullptr, &code);
    need(code, "clCreateBuffer");
    cl_mem sink = clCreateBuffer(context_, CL_MEM_READ_WRITE, 4096, nullptr, &code);
    need(code, "clCreateBuffer");
    // It stays mapped: on devices that share memory with the program the counter can be watched while kernels run.
    void* at = clEnqueueMapBuffer(queue_, counter, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, 4096, 0, nullptr, nullptr, &code);
    need(code, "clEnqueueMapBuffer");
    std::memset(at, 0, 4096);
    ended_ = static_cast<std::atomic<uint32_t>*>(at);
    need(clSetKernelArg(kernel_, 0, sizeof counter, &counter), "clSetKernelArg");
    need(clSetKernelArg(kernel_, 1, sizeof sink, &sink), "clSetKernelArg");
    need(clSetKernelArg(kernel_, 2, sizeof turns, &turns), "clSetKernelArg");
    run(2);
  }
  cl_event launch(size_t groups) {
    cl_event event = nullptr;
    enqueue(groups, &event);
    need(clFlush(queue_), "clFlush");
    return event;
  }
  void launch_unwatched(size_t groups) { enqueue(groups, nullptr); }
  static void wait(cl_event event) {
    need(clWaitForEvents(1, &event), "clWaitForEvents");
    clReleaseEvent(event);
  }
  void run(size_t groups) { wait(launch(groups)); }
  uint32_t ended() const { return ended_->load(std::memory_order_relaxed); }

 private:
  void enqueue(size_t groups, cl_event* event) {
    size_t local = kLocal, global = groups * kLocal;
    need(clEnqueueNDRangeKernel(queue_, kernel_, 1, nullptr, &global, &local, 0, nullptr, event), "clEnqueueNDRangeKernel");
  }

  cl_device_id device_ = nullptr;
  cl_context context_ = nullptr;
  cl_command_queue queue_ = nullptr;
  cl_kernel kernel_ = nullptr;
  std::atomic<uint32_t>* ended_ = nullptr;
};

void wait_for_start() {
  std::puts("ready");
  std::fflush(stdout);
  char line[16];
  if (std::fgets(line, sizeof line, stdin) == nullptr) std::exit(1);
}

/// Turns for a work-group of about 50 us on one processor.
int calibrate() {
  uint32_t turns = 1000;
  for (;; turns *= 2) {
    Tenant tenant(turns);
    constexpr size_t kGroups = 64;
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 5; ++i) {
      uint64_t begin = now_ns();
      tenant.run(kGroups);
      best = std::min(best, now_ns() - begin);
    }
    uint64_t per_group = best * static_cast<uint64_t>(sysconf(_SC_NPROCESSORS_ONLN)) / kGroups;
    if (per_group < 25'000) continue;
    std::printf("%u\n", static_cast<uint32_t>(turns * 50'000.0 / static_cast<double>(per_group)));
    return 0;
  }
}

int greedy(uint32_t turns, const std::vector<size_t>& groups, double seconds, int burst) {
  Tenant tenant(turns);
  wait_for_start();
  uint64_t begin = now_ns(), end = begin + static_cast<uint64_t>(seconds * 1e9);
  std::vector<std::pair<uint64_t, uint32_t>> samples;
  std::atomic<bool> over{false};
  std::thread sampler([&] {
    for (uint64_t at = begin; !over; at += kSampleNs) {
      sleep_until(at);
      samples.emplace_back(now_ns(), tenant.ended());
    }
  });
  uint64_t launches = 0;
  auto launch = [&] {
    for (int i = 1; i < burst; ++i) tenant.launch_unwatched(groups[launches++ % groups.size()]);
    return tenant.launch(groups[launches++ % groups.size()]);
  };
  cl_event before = launch();
  while (now_ns() < end) {
    cl_event after = launch();
    Tenant::wait(before);
    before = after;
  }
  over = true;
  sampler.join();
  std::printf("{\"launches\": %llu, \"samples\": [", static_cast<unsigned long long>(launches));
  for (size_t i = 0; i < samples.size(); ++i)
    std::printf("%s[%llu, %u]", i == 0 ? "" : ", ", static_cast<unsigned long long>(samples[i].first), samples[i].second);
  std::printf("]}\n");
  std::fflush(stdout);
  ::_exit(0);  // what is still on the device is nobody's
}

/// Nothing is lost and nothing runs twice if both counts are equal.
int exact(uint32_t turns, const std::vector<size_t>& groups, double seconds) {
  Tenant tenant(turns);
  wait_for_start();
  uint64_t end = now_ns() + static_cast<uint64_t>(seconds * 1e9);
  uint32_t ended_before = tenant.ended();
  uint64_t launches = 0, launched = 0;
  auto launch = [&] {
    size_t size = groups[launches++ % groups.size()];
    launched += size;
    return tenant.launch(size);
  };
  cl_event before = launch();
  while (now_ns() < end) {
    cl_event after = launch();
    Tenant::wait(before);
    before = after;
  }
  Tenant::wait(before);
  std::printf("{\"launches\": %llu, \"groups_launched\": %llu, \"groups_ended\": %llu}\n",
              static_cast<unsigned long long>(launches), static_cast<unsigned long long>(launched),
              static_cast<unsigned long long>(tenant.ended() - ended_before));
  return 0;
}

int urgent(uint32_t turns, size_t groups, uint64_t period_us, double seconds) {
  Tenant tenant(turns);
  wait_for_start();
  uint64_t begin = now_ns(), end = begin + static_cast<uint64_t>(seconds * 1e9);
  std::vector<double> latencies;
  for (uint64_t at = begin; at < end; at += period_us * 1000) {
    sleep_until(at);
    uint64_t asked = now_ns();
    tenant.run(groups);
    latencies.push_back(static_cast<double>(now_ns() - asked) / 1e3);
  }
  std::printf("{\"latencies_us\": [");
  for (size_t i = 0; i < latencies.size(); ++i) std::printf("%s%.1f", i == 0 ? "" : ", ", latencies[i]);
  std::printf("]}\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() == 1 && words[0] == "calibrate") return calibrate();
  bool is_greedy = !words.empty() && words[0] == "greedy" && (words.size() == 4 || words.size() == 5);
  if (is_greedy || (words.size() == 4 && words[0] == "exact")) {
    std::vector<size_t> groups;
    for (char* at = words[2].data(); *at != 0; at += *at == ',') groups.push_back(std::strtoul(at, &at, 10));
    uint32_t turns = static_cast<uint32_t>(std::atoi(words[1].c_str()));
    double seconds = std::atof(words[3].c_str());
    return is_greedy ? greedy(turns, groups, seconds, words.size() == 5 ? std::atoi(words[4].c_str()) : 1)
                     : exact(turns, groups, seconds);
  }
  if (words.size() == 5 && words[0] == "urgent")
    return urgent(static_cast<uint32_t>(std::atoi(words[1].c_str())), std::strtoul(words[2].c_str(), nullptr, 10),
                  std::strtoull(words[3].c_str(), nullptr, 10), std::atof(words[4].c_str()));
  std::fputs(
      "usage: cl_tenant calibrate | greedy TURNS GROUPS[,…] SECONDS [BURST] | "
      "exact TURNS GROUPS[,…] SECONDS | urgent TURNS GROUPS PERIOD_US SECONDS\n",
      stderr);
  return 2;
}

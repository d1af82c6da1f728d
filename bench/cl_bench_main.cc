// SPDX-License-Identifier: Apache-2.0
// cl_bench: what the calls of the OpenCL API cost, as one JSON object of numbers on standard output.
//
//   cl_bench [launch|enqueue|bandwidth|start]…      all if none is named
//
//   launch_wait_us        an empty kernel and clFinish, median of many
//   launch_event_us       the same, waited for by its event
//   enqueue_us            one of 1000 launches in a burst that nobody waits for, median of many bursts
//   write_gbs_N, read_gbs_N, map_gbs_N    blocking transfers of N bytes, best half's mean; map: map, touch every page, unmap
//   start_ms              from main() to the first kernel's end, program built from source
//
// The same binary runs on the bare driver and through the pool. Medians, because two processors are shared with everything.
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

double now_us() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) / 1e3;
}

void need(cl_int code, const char* what) {
  if (code == CL_SUCCESS) return;
  std::fprintf(stderr, "cl_bench: %s gave %d\n", what, code);
  std::exit(1);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Device {
  cl_context context = nullptr;
  cl_command_queue queue = nullptr;
  cl_kernel empty = nullptr;
};

Device open_device() {
  Device d;
  cl_platform_id platform = nullptr;
  cl_device_id device = nullptr;
  cl_int code = 0;
  need(clGetPlatformIDs(1, &platform, nullptr), "clGetPlatformIDs");
  need(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, nullptr), "clGetDeviceIDs");
  d.context = clCreateContext(nullptr, 1, &device, nullptr, nullptr, &code);
  need(code, "clCreateContext");
  d.queue = clCreateCommandQueue(d.context, device, 0, &code);
  need(code, "clCreateCommandQueue");
  const char* source = "__kernel void empty(__global int* data, int n) { if (n == 77) data[0] = n; }";
  cl_program program = clCreateProgramWithSource(d.context, 1, &source, nullptr, &code);
  need(clBuildProgram(program, 1, &device, "", nullptr, nullptr), "clBuildProgram");
  d.empty = clCreateKernel(program, "empty", &code);
  need(code, "clCreateKernel");
  cl_mem mem = clCreateBuffer(d.context, CL_MEM_READ_WRITE, 4096, nullptr, &code);
  need(code, "clCreateBuffer");
  int n = 0;
  need(clSetKernelArg(d.empty, 0, sizeof mem, &mem), "clSetKernelArg");
  need(clSetKernelArg(d.empty, 1, sizeof n, &n), "clSetKernelArg");
  return d;
}

void launch(const Device& d, cl_event* event = nullptr) {
  size_t global = 64, local = 64;
  need(clEnqueueNDRangeKernel(d.queue, d.empty, 1, nullptr, &global, &local, 0, nullptr, event), "clEnqueueNDRangeKernel");
}

class Report {
 public:
  void add(const std::string& name, double value) {
    char text[64];
    std::snprintf(text, sizeof text, "%.4g", value);
    body_ += (body_.empty() ? "" : ", ") + ("\"" + name + "\": ") + text;
  }
  ~Report() { std::printf("{%s}\n", body_.c_str()); }

 private:
  std::string body_;
};

void bench_launch(const Device& d, Report& report) {
  for (int i = 0; i < 500; ++i) launch(d), clFinish(d.queue);
  std::vector<double> finish, event;
  for (int i = 0; i < 4000; ++i) {
    double begin = now_us();
    launch(d);
    clFinish(d.queue);
    finish.push_back(now_us() - begin);
    begin = now_us();
    cl_event done = nullptr;
    launch(d, &done);
    clWaitForEvents(1, &done);
    event.push_back(now_us() - begin);
    clReleaseEvent(done);
  }
  report.add("launch_wait_us", median(finish));
  report.add("launch_event_us", median(event));
}

void bench_enqueue(const Device& d, Report& report) {
  constexpr int kBurst = 1000;
  std::vector<double> bursts, whole;
  for (int i = 0; i < 40; ++i) {
    double begin = now_us();
    for (int k = 0; k < kBurst; ++k) launch(d);
    bursts.push_back((now_us() - begin) / kBurst);
    clFinish(d.queue);
    whole.push_back((now_us() - begin) / kBurst);
  }
  report.add("enqueue_us", median(bursts));
  report.add("burst_whole_us", median(whole));
}

/// Mean of the faster half, in GB/s.
double rate(std::vector<double> us, size_t bytes) {
  std::sort(us.begin(), us.end());
  size_t half = std::max<size_t>(us.size() / 2, 1);
  double sum = 0;
  for (size_t i = 0; i < half; ++i) sum += us[i];
  return static_cast<double>(bytes) / (sum / static_cast<double>(half)) / 1e3;
}

void bench_bandwidth(const Device& d, Report& report) {
  constexpr size_t kLargest = size_t{256} << 20;
  std::vector<char> host(kLargest, 1);
  for (size_t bytes : {size_t{4}, size_t{1} << 10, size_t{64} << 10, size_t{1} << 20, size_t{16} << 20, kLargest}) {
    cl_int code = 0;
    cl_mem mem = clCreateBuffer(d.context, CL_MEM_READ_WRITE, bytes, nullptr, &code);
    need(code, "clCreateBuffer");
    size_t rounds = std::clamp<size_t>((size_t{1} << 30) / bytes, 6, 2000);
    std::vector<double> write, read, map;
    for (size_t i = 0; i < rounds; ++i) {
      double t0 = now_us();
      need(clEnqueueWriteBuffer(d.queue, mem, CL_TRUE, 0, bytes, host.data(), 0, nullptr, nullptr), "write");
      double t1 = now_us();
      need(clEnqueueReadBuffer(d.queue, mem, CL_TRUE, 0, bytes, host.data(), 0, nullptr, nullptr), "read");
      double t2 = now_us();
      auto* at = static_cast<volatile char*>(
          clEnqueueMapBuffer(d.queue, mem, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, bytes, 0, nullptr, nullptr, &code));
      need(code, "map");
      for (size_t k = 0; k < bytes; k += 4096) at[k] = 1;
      clEnqueueUnmapMemObject(d.queue, mem, const_cast<char*>(at), 0, nullptr, nullptr);
      clFinish(d.queue);
      double t3 = now_us();
      if (i == 0 && rounds > 1) continue;  // first touch
      write.push_back(t1 - t0);
      read.push_back(t2 - t1);
      map.push_back(t3 - t2);
    }
    std::string size = std::to_string(bytes);
    report.add("write_gbs_" + size, rate(write, bytes));
    report.add("read_gbs_" + size, rate(read, bytes));
    report.add("map_gbs_" + size, rate(map, bytes));
    clReleaseMemObject(mem);
  }
}

}  // namespace

int main(int argc, char** argv) {
  double begin = now_us();
  std::vector<std::string> wanted(argv + 1, argv + argc);
  auto wants = [&](const char* name) {
    return wanted.empty() || std::find(wanted.begin(), wanted.end(), name) != wanted.end();
  };
  Report report;
  Device device = open_device();
  launch(device);
  clFinish(device.queue);
  if (wants("start")) report.add("start_ms", (now_us() - begin) / 1e3);
  if (wants("launch")) bench_launch(device, report);
  if (wants("enqueue")) bench_enqueue(device, report);
  if (wants("bandwidth")) bench_bandwidth(device, report);
  return 0;
}

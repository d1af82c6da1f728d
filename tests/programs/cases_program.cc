// SPDX-License-Identifier: Apache-2.0
// Programs and kernels: builds, logs, compile and link, binaries, options, argument queries.
#include <atomic>
#include <cstring>

#include "harness.h"

namespace cases {
namespace {

cl_program from_source(const Fixture& f, const char* source) {
  cl_int code = 0;
  cl_program program = clCreateProgramWithSource(f.context, 1, &source, nullptr, &code);
  CHECK_CL(code);
  return program;
}

std::string build_log(const Fixture& f, cl_program program) {
  size_t size = 0;
  CHECK_CL(clGetProgramBuildInfo(program, f.device, CL_PROGRAM_BUILD_LOG, 0, nullptr, &size));
  std::string log(size, '\0');
  CHECK_CL(clGetProgramBuildInfo(program, f.device, CL_PROGRAM_BUILD_LOG, size, log.data(), nullptr));
  return log;
}

cl_build_status build_status(const Fixture& f, cl_program program) {
  cl_build_status status = CL_BUILD_NONE;
  CHECK_CL(clGetProgramBuildInfo(program, f.device, CL_PROGRAM_BUILD_STATUS, sizeof status, &status, nullptr));
  return status;
}

/// Runs kernel `name` of one int* argument over 16 items; the first value.
int first_value(const Fixture& f, cl_program program, const char* name) {
  cl_int code = 0;
  cl_kernel kernel = clCreateKernel(program, name, &code);
  CHECK_CL(code);
  cl_mem mem = f.buffer(16 * sizeof(int));
  set_args(kernel, mem);
  launch(f.queue, kernel, 16);
  int value = f.read_ints(mem, 16)[0];
  clReleaseMemObject(mem);
  clReleaseKernel(kernel);
  return value;
}

void CL_CALLBACK built(cl_program, void* user) { static_cast<std::atomic<int>*>(user)->fetch_add(1); }

void build_callback() {
  Fixture f;
  std::atomic<int> calls{0};
  cl_program program = from_source(f, kBasicSource);
  CHECK_CL(clBuildProgram(program, 1, &f.device, "", built, &calls));
  CHECK(eventually([&] { return calls == 1; }));
  CHECK_EQ(build_status(f, program), CL_BUILD_SUCCESS);
  clReleaseProgram(program);
}

void build_error_has_a_log() {
  Fixture f;
  cl_program program = from_source(f, "__kernel void k(__global int* d) { d[0] = no_such_name; }");
  CHECK_EQ(build_status(f, program), CL_BUILD_NONE);
  CHECK_CODE(clBuildProgram(program, 1, &f.device, "", nullptr, nullptr), CL_BUILD_PROGRAM_FAILURE);
  CHECK_EQ(build_status(f, program), CL_BUILD_ERROR);
  CHECK(build_log(f, program).find("no_such_name") != std::string::npos);
  cl_int code = 0;
  CHECK(clCreateKernel(program, "k", &code) == nullptr);
  CHECK_EQ(code, CL_INVALID_PROGRAM_EXECUTABLE);
  clReleaseProgram(program);
}

void build_options() {
  Fixture f;
  cl_program program = from_source(f, "__kernel void k(__global int* d) { d[get_global_id(0)] = VALUE; }");
  CHECK_CL(clBuildProgram(program, 1, &f.device, "-DVALUE=41 -cl-fast-relaxed-math", nullptr, nullptr));
  CHECK_EQ(first_value(f, program, "k"), 41);
  // PoCL 3.1 lets go of a launch's kernel only after it has called the launch complete.
  cl_int built = CL_INVALID_OPERATION;
  CHECK(eventually([&] {
    built = clBuildProgram(program, 0, nullptr, "-D VALUE=42", nullptr, nullptr);
    return built != CL_INVALID_OPERATION;
  }));
  CHECK_CL(built);
  CHECK_EQ(first_value(f, program, "k"), 42);
  char options[256] = {};
  CHECK_CL(clGetProgramBuildInfo(program, f.device, CL_PROGRAM_BUILD_OPTIONS, sizeof options, options, nullptr));
  CHECK(std::strcmp(options, "-D VALUE=42") == 0);
  clReleaseProgram(program);
}

void source_in_pieces() {
  Fixture f;
  const char* pieces[3] = {"__kernel void k(__global int* d) {XXXX", " d[get_global_id(0)] = 7;", "YYY }ZZZ"};
  const size_t lengths[3] = {34, 0, 0};
  const char* last = "}";
  pieces[2] = last;
  cl_int code = 0;
  cl_program program = clCreateProgramWithSource(f.context, 3, pieces, lengths, &code);
  CHECK_CL(code);
  CHECK_CL(clBuildProgram(program, 1, &f.device, nullptr, nullptr, nullptr));
  CHECK_EQ(first_value(f, program, "k"), 7);
  size_t size = 0;
  CHECK_CL(clGetProgramInfo(program, CL_PROGRAM_SOURCE, 0, nullptr, &size));
  std::string source(size, '\0');
  CHECK_CL(clGetProgramInfo(program, CL_PROGRAM_SOURCE, size, source.data(), nullptr));
  CHECK(source.find("XXXX") == std::string::npos && source.find("= 7") != std::string::npos);
  clReleaseProgram(program);
}

void compile_and_link() {
  Fixture f;
  cl_program header = from_source(f, "int answer(void);\n#define EXTRA 2\n");
  cl_program user = from_source(f,
                                "#include \"answer.h\"\n__kernel void k(__global int* d) "
                                "{ d[get_global_id(0)] = answer() + EXTRA; }");
  cl_program library = from_source(f, "int answer(void) { return 40; }");
  const char* name = "answer.h";
  CHECK_CL(clCompileProgram(user, 1, &f.device, "", 1, &header, &name, nullptr, nullptr));
  CHECK_CL(clCompileProgram(library, 1, &f.device, "", 0, nullptr, nullptr, nullptr, nullptr));
  cl_program inputs[2] = {user, library};
  cl_int code = 0;
  cl_program linked = clLinkProgram(f.context, 1, &f.device, "", 2, inputs, nullptr, nullptr, &code);
  CHECK_CL(code);
  CHECK_EQ(first_value(f, linked, "k"), 42);
  cl_program_binary_type type = 0;
  CHECK_CL(clGetProgramBuildInfo(user, f.device, CL_PROGRAM_BINARY_TYPE, sizeof type, &type, nullptr));
  CHECK_EQ(type, CL_PROGRAM_BINARY_TYPE_COMPILED_OBJECT);
  CHECK_CL(clGetProgramBuildInfo(linked, f.device, CL_PROGRAM_BINARY_TYPE, sizeof type, &type, nullptr));
  CHECK_EQ(type, CL_PROGRAM_BINARY_TYPE_EXECUTABLE);
  for (cl_program program : {header, user, library, linked}) clReleaseProgram(program);
}

void compile_error() {
  Fixture f;
  cl_program broken = from_source(f, "int f(void) { return nothing_here; }");
  CHECK_CODE(clCompileProgram(broken, 1, &f.device, "", 0, nullptr, nullptr, nullptr, nullptr), CL_COMPILE_PROGRAM_FAILURE);
  CHECK(build_log(f, broken).find("nothing_here") != std::string::npos);
  clReleaseProgram(broken);
}

void binary_round_trip() {
  Fixture f;
  cl_program program = f.build("__kernel void k(__global int* d) { d[get_global_id(0)] = 99; }");
  size_t size = 0;
  CHECK_CL(clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, nullptr));
  CHECK(size > 0);
  std::vector<unsigned char> binary(size);
  unsigned char* pointer = binary.data();
  CHECK_CL(clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof pointer, &pointer, nullptr));
  clReleaseProgram(program);
  const unsigned char* source = binary.data();
  cl_int status = 77, code = 0;
  cl_program again = clCreateProgramWithBinary(f.context, 1, &f.device, &size, &source, &status, &code);
  CHECK_CL(code);
  CHECK_CL(status);
  CHECK_CL(clBuildProgram(again, 1, &f.device, "", nullptr, nullptr));
  CHECK_EQ(first_value(f, again, "k"), 99);
  clReleaseProgram(again);
  std::vector<unsigned char> junk(64, 0x5a);
  source = junk.data();
  size = junk.size();
  CHECK(clCreateProgramWithBinary(f.context, 1, &f.device, &size, &source, &status, &code) == nullptr);
  CHECK_EQ(code, CL_INVALID_BINARY);
}

std::string argument_text(cl_kernel kernel, cl_uint index, cl_kernel_arg_info param) {
  char text[128] = {};
  CHECK_CL(clGetKernelArgInfo(kernel, index, param, sizeof text, text, nullptr));
  return text;
}

void kernel_argument_info() {
  Fixture f;
  cl_program program =
      f.build("__kernel void k(__global const float* restrict in, __local int* scratch, uint n) {}", "-cl-kernel-arg-info");
  cl_int code = 0;
  cl_kernel kernel = clCreateKernel(program, "k", &code);
  CHECK_CL(code);
  cl_uint count = 0;
  CHECK_CL(clGetKernelInfo(kernel, CL_KERNEL_NUM_ARGS, sizeof count, &count, nullptr));
  CHECK_EQ(count, 3u);
  char name[32] = {};
  CHECK_CL(clGetKernelInfo(kernel, CL_KERNEL_FUNCTION_NAME, sizeof name, name, nullptr));
  CHECK(std::strcmp(name, "k") == 0);
  CHECK(argument_text(kernel, 0, CL_KERNEL_ARG_NAME) == "in");
  CHECK(argument_text(kernel, 0, CL_KERNEL_ARG_TYPE_NAME) == "float*");
  CHECK(argument_text(kernel, 2, CL_KERNEL_ARG_TYPE_NAME) == "uint");
  cl_kernel_arg_address_qualifier address = 0;
  CHECK_CL(clGetKernelArgInfo(kernel, 1, CL_KERNEL_ARG_ADDRESS_QUALIFIER, sizeof address, &address, nullptr));
  CHECK_EQ(address, CL_KERNEL_ARG_ADDRESS_LOCAL);
  CHECK_CL(clGetKernelArgInfo(kernel, 2, CL_KERNEL_ARG_ADDRESS_QUALIFIER, sizeof address, &address, nullptr));
  CHECK_EQ(address, CL_KERNEL_ARG_ADDRESS_PRIVATE);
  CHECK_CODE(clGetKernelArgInfo(kernel, 3, CL_KERNEL_ARG_ADDRESS_QUALIFIER, sizeof address, &address, nullptr),
             CL_INVALID_ARG_INDEX);
  clReleaseKernel(kernel);
  clReleaseProgram(program);
}

void all_kernels_of_a_program() {
  Fixture f;
  cl_program program = f.build(kBasicSource);
  cl_uint count = 0;
  CHECK_CL(clCreateKernelsInProgram(program, 0, nullptr, &count));
  CHECK_EQ(count, 3u);
  cl_kernel kernels[3] = {};
  CHECK_CL(clCreateKernelsInProgram(program, 3, kernels, nullptr));
  size_t number = 0;
  CHECK_CL(clGetProgramInfo(program, CL_PROGRAM_NUM_KERNELS, sizeof number, &number, nullptr));
  CHECK_EQ(number, 3u);
  CHECK_CODE(clCreateKernelsInProgram(program, 1, kernels, nullptr), CL_INVALID_VALUE);
  for (cl_kernel kernel : kernels) clReleaseKernel(kernel);
  clReleaseProgram(program);
}

void local_and_struct_arguments() {
  Fixture f;
  cl_kernel kernel = f.kernel(R"(
    struct Pair { int a; float4 b; };
    __kernel void k(__global int* out, __local int* scratch, struct Pair pair, char tiny) {
      scratch[get_local_id(0)] = (int)get_local_id(0);
      barrier(CLK_LOCAL_MEM_FENCE);
      out[get_global_id(0)] = scratch[get_local_size(0) - 1 - get_local_id(0)] + pair.a + (int)pair.b.w + tiny;
    })",
                              "k");
  struct alignas(16) Pair {
    int a;
    int pad[3];
    float b[4];
  } pair = {100, {}, {0, 0, 0, 1000}};
  cl_char tiny = -3;
  cl_mem mem = f.buffer(64 * sizeof(int));
  CHECK_CL(clSetKernelArg(kernel, 0, sizeof mem, &mem));
  CHECK_CL(clSetKernelArg(kernel, 1, 16 * sizeof(int), nullptr));
  CHECK_CL(clSetKernelArg(kernel, 2, sizeof pair, &pair));
  CHECK_CL(clSetKernelArg(kernel, 3, sizeof tiny, &tiny));
  size_t global = 64, local = 16;
  CHECK_CL(clEnqueueNDRangeKernel(f.queue, kernel, 1, nullptr, &global, &local, 0, nullptr, nullptr));
  std::vector<int> got = f.read_ints(mem, 64);
  for (int i = 0; i < 64; ++i) CHECK_EQ(got[static_cast<size_t>(i)], 15 - i % 16 + 1097);
  CHECK_CODE(clSetKernelArg(kernel, 1, 0, nullptr), CL_INVALID_ARG_SIZE);
  clReleaseMemObject(mem);
  clReleaseKernel(kernel);
}

void null_buffer_argument() {
  Fixture f;
  cl_kernel kernel =
      f.kernel("__kernel void k(__global int* a, __global int* b) { if (a == 0) b[get_global_id(0)] = 5; }", "k");
  cl_mem mem = f.buffer(16 * sizeof(int));
  CHECK_CL(clSetKernelArg(kernel, 0, sizeof(cl_mem), nullptr));
  CHECK_CL(clSetKernelArg(kernel, 1, sizeof mem, &mem));
  launch(f.queue, kernel, 16);
  for (int value : f.read_ints(mem, 16)) CHECK_EQ(value, 5);
  clReleaseMemObject(mem);
  clReleaseKernel(kernel);
}

void offsets_and_dimensions() {
  Fixture f;
  cl_kernel kernel = f.kernel(R"(__kernel void k(__global int* d) {
      size_t x = get_global_id(0) - get_global_offset(0), y = get_global_id(1) - get_global_offset(1);
      size_t z = get_global_id(2) - get_global_offset(2);
      d[(z * get_global_size(1) + y) * get_global_size(0) + x] =
          (int)(get_global_id(0) * 10000 + get_global_id(1) * 100 + get_global_id(2) + get_work_dim());
    })",
                              "k");
  size_t offset[3] = {3, 5, 7}, global[3] = {8, 4, 2}, local[3] = {4, 2, 1};
  cl_mem mem = f.buffer(64 * sizeof(int));
  set_args(kernel, mem);
  CHECK_CL(clEnqueueNDRangeKernel(f.queue, kernel, 3, offset, global, local, 0, nullptr, nullptr));
  std::vector<int> got = f.read_ints(mem, 64);
  for (int i = 0; i < 64; ++i)
    CHECK_EQ(got[static_cast<size_t>(i)], (i % 8 + 3) * 10000 + (i / 8 % 4 + 5) * 100 + i / 32 + 7 + 3);
  clReleaseMemObject(mem);
  clReleaseKernel(kernel);
}

void constant_and_clone() {
  Fixture f;
  cl_kernel kernel = f.kernel(kBasicSource, "add");
  std::vector<int> init(16, 1);
  cl_mem mem = f.buffer(16 * sizeof(int), CL_MEM_COPY_HOST_PTR, init.data());
  set_args(kernel, mem, 5);
  cl_int code = 0;
  cl_kernel twin = clCloneKernel(kernel, &code);
  if (code == CL_INVALID_OPERATION || code == CL_OUT_OF_HOST_MEMORY) throw Skip{"no clCloneKernel"};
  CHECK_CL(code);
  set_args(kernel, mem, 100);
  launch(f.queue, twin, 16);
  for (int value : f.read_ints(mem, 16)) CHECK_EQ(value, 6);
  clReleaseKernel(twin);
  clReleaseKernel(kernel);
  clReleaseMemObject(mem);
}

constexpr Case kCases[] = {
    {"build_callback", build_callback},
    {"build_error_has_a_log", build_error_has_a_log},
    {"build_options", build_options},
    {"source_in_pieces", source_in_pieces},
    {"compile_and_link", compile_and_link},
    {"compile_error", compile_error},
    {"binary_round_trip", binary_round_trip},
    {"kernel_argument_info", kernel_argument_info},
    {"all_kernels_of_a_program", all_kernels_of_a_program},
    {"local_and_struct_arguments", local_and_struct_arguments},
    {"null_buffer_argument", null_buffer_argument},
    {"offsets_and_dimensions", offsets_and_dimensions},
    {"clone_kernel", constant_and_clone},
};

}  // namespace
std::span<const Case> program_cases() { return kCases; }
}  // namespace cases

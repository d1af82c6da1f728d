// SPDX-License-Identifier: Apache-2.0
// Images of one, two and three dimensions, arrays, images over buffers, samplers.
#include <cstring>

#include "harness.h"

namespace cases {
namespace {

constexpr cl_image_format kRgba8 = {CL_RGBA, CL_UNSIGNED_INT8};

void need_images() {
  if (device_info<cl_bool>(first_device(), CL_DEVICE_IMAGE_SUPPORT) == CL_FALSE) throw Skip{"no images"};
}

cl_mem image(const Fixture& f, cl_mem_object_type type, size_t width, size_t height, size_t depth, size_t layers,
             cl_mem_flags flags = CL_MEM_READ_WRITE, void* host = nullptr, cl_image_format format = kRgba8,
             size_t pitch = 0) {
  cl_image_desc desc = {};
  desc.image_type = type;
  desc.image_width = width;
  desc.image_height = height;
  desc.image_depth = depth;
  desc.image_array_size = layers;
  desc.image_row_pitch = pitch;
  cl_int code = 0;
  cl_mem made = clCreateImage(f.context, flags, &format, &desc, host, &code);
  CHECK_CL(code);
  return made;
}

std::vector<uint32_t> numbered(size_t count, uint32_t seed = 0) {
  std::vector<uint32_t> data(count);
  for (size_t i = 0; i < count; ++i) data[i] = static_cast<uint32_t>(i) * 2654435761u + seed;
  return data;
}

/// What drivers answer differently: dimensions that the type lacks, pitches, padding.
void note_layout(cl_mem mem) {
  struct Fact {
    const char* name;
    cl_image_info param;
  };
  for (Fact fact : {Fact{"element size", CL_IMAGE_ELEMENT_SIZE},
                    {"width", CL_IMAGE_WIDTH},
                    {"height", CL_IMAGE_HEIGHT},
                    {"depth", CL_IMAGE_DEPTH},
                    {"array size", CL_IMAGE_ARRAY_SIZE},
                    {"row pitch", CL_IMAGE_ROW_PITCH},
                    {"slice pitch", CL_IMAGE_SLICE_PITCH}}) {
    size_t value = 0;
    CHECK_CL(clGetImageInfo(mem, fact.param, sizeof value, &value, nullptr));
    note(fact.name, static_cast<long long>(value));
  }
  size_t bytes = 0;
  CHECK_CL(clGetMemObjectInfo(mem, CL_MEM_SIZE, sizeof bytes, &bytes, nullptr));
  note("image bytes", static_cast<long long>(bytes));
}

/// Writes, reads back whole and in part, copies and fills one image of the given extent.
void exercise(cl_mem_object_type type, size_t width, size_t height, size_t depth, size_t layers) {
  need_images();
  Fixture f;
  size_t y = type == CL_MEM_OBJECT_IMAGE1D_ARRAY ? layers : height, z = type == CL_MEM_OBJECT_IMAGE2D_ARRAY ? layers : depth;
  y = y == 0 ? 1 : y;
  z = z == 0 ? 1 : z;
  const size_t origin[3] = {0, 0, 0}, region[3] = {width, y, z};
  std::vector<uint32_t> data = numbered(width * y * z), got(data.size());
  cl_mem first = image(f, type, width, height, depth, layers), second = image(f, type, width, height, depth, layers);
  note_layout(first);
  CHECK_CL(clEnqueueWriteImage(f.queue, first, CL_TRUE, origin, region, 0, 0, data.data(), 0, nullptr, nullptr));
  CHECK_CL(clEnqueueReadImage(f.queue, first, CL_TRUE, origin, region, 0, 0, got.data(), 0, nullptr, nullptr));
  CHECK(got == data);
  CHECK_CL(clEnqueueCopyImage(f.queue, first, second, origin, origin, region, 0, nullptr, nullptr));
  got.assign(got.size(), 0);
  CHECK_CL(clEnqueueReadImage(f.queue, second, CL_TRUE, origin, region, 0, 0, got.data(), 0, nullptr, nullptr));
  CHECK(got == data);
  const cl_uint colour[4] = {1, 2, 3, 4};
  const size_t box[3] = {width / 2, y > 1 ? y / 2 : 1, z > 1 ? z / 2 : 1};
  CHECK_CL(clEnqueueFillImage(f.queue, second, colour, origin, box, 0, nullptr, nullptr));
  CHECK_CL(clEnqueueReadImage(f.queue, second, CL_TRUE, origin, region, 0, 0, got.data(), 0, nullptr, nullptr));
  for (size_t k = 0; k < z; ++k)
    for (size_t j = 0; j < y; ++j)
      for (size_t i = 0; i < width; ++i) {
        bool inside = i < box[0] && j < box[1] && k < box[2];
        size_t at = (k * y + j) * width + i;
        CHECK_EQ(got[at], inside ? 0x04030201u : data[at]);
      }
  clReleaseMemObject(first);
  clReleaseMemObject(second);
}

void image_1d() { exercise(CL_MEM_OBJECT_IMAGE1D, 300, 0, 0, 0); }
void image_2d() { exercise(CL_MEM_OBJECT_IMAGE2D, 61, 33, 0, 0); }
void image_3d() { exercise(CL_MEM_OBJECT_IMAGE3D, 20, 12, 6, 0); }
void image_1d_array() { exercise(CL_MEM_OBJECT_IMAGE1D_ARRAY, 64, 0, 0, 5); }
void image_2d_array() { exercise(CL_MEM_OBJECT_IMAGE2D_ARRAY, 32, 16, 0, 4); }

void image_host_pitch() {
  need_images();
  Fixture f;
  constexpr size_t kWidth = 24, kHeight = 10, kPitch = 40 * sizeof(uint32_t);
  std::vector<uint32_t> host = numbered(40 * kHeight, 9), got(50 * kHeight, 0);
  cl_mem mem = image(f, CL_MEM_OBJECT_IMAGE2D, kWidth, kHeight, 0, 0, CL_MEM_COPY_HOST_PTR, host.data(), kRgba8, kPitch);
  const size_t origin[3] = {4, 3, 0}, region[3] = {10, 5, 1};
  CHECK_CL(clEnqueueReadImage(f.queue, mem, CL_TRUE, origin, region, 50 * 4, 0, got.data(), 0, nullptr, nullptr));
  for (size_t y = 0; y < 5; ++y)
    for (size_t x = 0; x < 50; ++x) CHECK_EQ(got[y * 50 + x], x < 10 ? host[(y + 3) * 40 + x + 4] : 0u);
  clReleaseMemObject(mem);
}

void image_map() {
  need_images();
  Fixture f;
  constexpr size_t kWidth = 32, kHeight = 16;
  std::vector<uint32_t> data = numbered(kWidth * kHeight), got(kWidth * kHeight);
  cl_mem mem = image(f, CL_MEM_OBJECT_IMAGE2D, kWidth, kHeight, 0, 0, CL_MEM_COPY_HOST_PTR, data.data());
  const size_t origin[3] = {8, 4, 0}, region[3] = {16, 8, 1}, zero[3] = {0, 0, 0}, whole[3] = {kWidth, kHeight, 1};
  size_t pitch = 0;
  cl_int code = 0;
  void* at = clEnqueueMapImage(f.queue, mem, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, origin, region, &pitch, nullptr, 0,
                               nullptr, nullptr, &code);
  CHECK_CL(code);
  CHECK(pitch >= 16 * 4);
  for (size_t y = 0; y < 8; ++y) {
    uint32_t* row = reinterpret_cast<uint32_t*>(static_cast<char*>(at) + y * pitch);
    for (size_t x = 0; x < 16; ++x) {
      CHECK_EQ(row[x], data[(y + 4) * kWidth + x + 8]);
      data[(y + 4) * kWidth + x + 8] = row[x] = static_cast<uint32_t>(y * 100 + x);
    }
  }
  CHECK_CL(clEnqueueUnmapMemObject(f.queue, mem, at, 0, nullptr, nullptr));
  CHECK_CL(clEnqueueReadImage(f.queue, mem, CL_TRUE, zero, whole, 0, 0, got.data(), 0, nullptr, nullptr));
  CHECK(got == data);
  clReleaseMemObject(mem);
}

void image_and_buffer_copies() {
  need_images();
  Fixture f;
  constexpr size_t kWidth = 16, kHeight = 8;
  std::vector<uint32_t> data = numbered(kWidth * kHeight);
  cl_mem from = f.buffer(data.size() * 4, CL_MEM_COPY_HOST_PTR, data.data()), to = f.buffer(data.size() * 4 + 64);
  cl_mem mem = image(f, CL_MEM_OBJECT_IMAGE2D, kWidth, kHeight, 0, 0);
  const size_t origin[3] = {0, 0, 0}, region[3] = {kWidth, kHeight, 1};
  CHECK_CL(clEnqueueCopyBufferToImage(f.queue, from, mem, 0, origin, region, 0, nullptr, nullptr));
  CHECK_CL(clEnqueueCopyImageToBuffer(f.queue, mem, to, origin, region, 64, 0, nullptr, nullptr));
  std::vector<uint32_t> got(data.size());
  CHECK_CL(clEnqueueReadBuffer(f.queue, to, CL_TRUE, 64, got.size() * 4, got.data(), 0, nullptr, nullptr));
  CHECK(got == data);
  for (cl_mem one : {from, to, mem}) clReleaseMemObject(one);
}

void sampler_in_kernel() {
  need_images();
  Fixture f;
  cl_kernel kernel = f.kernel(R"(__kernel void k(__read_only image2d_t in, sampler_t s, __write_only image2d_t out) {
      int2 at = (int2)((int)get_global_id(0), (int)get_global_id(1));
      uint4 c = read_imageui(in, s, (int2)(at.x + 4, at.y));
      write_imageui(out, at, c + (uint4)(1, 0, 0, 0));
    })",
                              "k");
  constexpr size_t kWidth = 16, kHeight = 4;
  std::vector<uint32_t> data(kWidth * kHeight), got(data.size());
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<uint32_t>(i);
  cl_mem in = image(f, CL_MEM_OBJECT_IMAGE2D, kWidth, kHeight, 0, 0, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, data.data());
  cl_mem out = image(f, CL_MEM_OBJECT_IMAGE2D, kWidth, kHeight, 0, 0, CL_MEM_WRITE_ONLY);
  cl_int code = 0;
  cl_sampler sampler = clCreateSampler(f.context, CL_FALSE, CL_ADDRESS_CLAMP_TO_EDGE, CL_FILTER_NEAREST, &code);
  CHECK_CL(code);
  CHECK_CL(clSetKernelArg(kernel, 0, sizeof in, &in));
  CHECK_CL(clSetKernelArg(kernel, 1, sizeof sampler, &sampler));
  CHECK_CL(clSetKernelArg(kernel, 2, sizeof out, &out));
  size_t global[2] = {kWidth, kHeight};
  CHECK_CL(clEnqueueNDRangeKernel(f.queue, kernel, 2, nullptr, global, nullptr, 0, nullptr, nullptr));
  CHECK_CL(clReleaseSampler(sampler));
  const size_t origin[3] = {0, 0, 0}, region[3] = {kWidth, kHeight, 1};
  CHECK_CL(clEnqueueReadImage(f.queue, out, CL_TRUE, origin, region, 0, 0, got.data(), 0, nullptr, nullptr));
  for (size_t y = 0; y < kHeight; ++y)
    for (size_t x = 0; x < kWidth; ++x) {
      uint32_t source = data[y * kWidth + (x + 4 < kWidth ? x + 4 : kWidth - 1)];
      CHECK_EQ(got[y * kWidth + x], (source & ~0xffu) | ((source + 1) & 0xffu));
    }
  clReleaseMemObject(in);
  clReleaseMemObject(out);
  clReleaseKernel(kernel);
}

void image_from_buffer() {
  need_images();
  Fixture f;
  std::vector<uint32_t> data = numbered(256);
  cl_mem buffer = f.buffer(data.size() * 4, CL_MEM_COPY_HOST_PTR, data.data());
  cl_image_desc desc = {};
  desc.image_type = CL_MEM_OBJECT_IMAGE1D_BUFFER;
  desc.image_width = 256;
  desc.buffer = buffer;
  cl_int code = 0;
  cl_mem mem = clCreateImage(f.context, CL_MEM_READ_WRITE, &kRgba8, &desc, nullptr, &code);
  CHECK_CL(code);
  cl_kernel kernel = f.kernel(R"(__kernel void k(__read_only image1d_buffer_t in, __global uint4* out) {
      out[get_global_id(0)] = read_imageui(in, (int)get_global_id(0)); })",
                              "k");
  cl_mem out = f.buffer(256 * 16);
  set_args(kernel, mem, out);
  launch(f.queue, kernel, 256);
  std::vector<int> got = f.read_ints(out, 1024);
  for (size_t i = 0; i < 256; ++i)
    for (size_t c = 0; c < 4; ++c) CHECK_EQ(got[i * 4 + c], static_cast<int>((data[i] >> (8 * c)) & 0xff));
  CHECK_CL(clReleaseMemObject(buffer));
  CHECK_CL(clReleaseMemObject(mem));
  clReleaseMemObject(out);
  clReleaseKernel(kernel);
}

cl_mem image_over(const Fixture& f, cl_mem buffer, cl_image_desc desc, cl_mem_flags flags = CL_MEM_READ_WRITE) {
  desc.mem_object = buffer;
  cl_int code = 0;
  cl_mem made = clCreateImage(f.context, flags, &kRgba8, &desc, nullptr, &code);
  CHECK_CL(code);
  return made;
}

const char* const kOverBufferSource = R"(
__kernel void from_image(__read_only image1d_buffer_t in, __global uint* out) {
  int i = (int)get_global_id(0);
  uint4 c = read_imageui(in, i);
  out[i] = c.x | (c.y << 8) | (c.z << 16) | (c.w << 24);
}
__kernel void plus(__global uint* data) { data[get_global_id(0)] += 1u; }
__kernel void from_plane(__read_only image2d_t in, __global uint* out, uint width) {
  int i = (int)get_global_id(0);
  uint4 c = read_imageui(in, (int2)(i % width, i / width));
  out[i] = c.x | (c.y << 8) | (c.z << 16) | (c.w << 24);
}
)";

/// An image over a buffer shows what the buffer has now, whoever wrote it: a kernel, a transfer, a map.
void image_follows_its_buffer() {
  need_images();
  constexpr size_t kCount = 512, kBytes = kCount * 4;
  Fixture f;
  std::vector<uint32_t> wanted = numbered(kCount), got(kCount);
  cl_mem buffer = f.buffer(kBytes, CL_MEM_COPY_HOST_PTR, wanted.data()), seen = f.buffer(kBytes);
  cl_image_desc desc = {};
  desc.image_type = CL_MEM_OBJECT_IMAGE1D_BUFFER;
  desc.image_width = kCount;
  cl_mem first = image_over(f, buffer, desc), second = image_over(f, buffer, desc);
  cl_kernel from_image = f.kernel(kOverBufferSource, "from_image"), plus = f.kernel(kOverBufferSource, "plus");
  auto check = [&] {
    for (cl_mem one : {first, second}) {
      set_args(from_image, one, seen);
      launch(f.queue, from_image, kCount);
      CHECK_CL(clEnqueueReadBuffer(f.queue, seen, CL_TRUE, 0, kBytes, got.data(), 0, nullptr, nullptr));
      CHECK(got == wanted);
    }
    CHECK_CL(clEnqueueReadBuffer(f.queue, buffer, CL_TRUE, 0, kBytes, got.data(), 0, nullptr, nullptr));
    CHECK(got == wanted);
  };
  check();
  for (int round = 0; round < 3; ++round) {
    set_args(plus, buffer);
    launch(f.queue, plus, kCount);
    for (uint32_t& word : wanted) ++word;
    check();
  }
  wanted = numbered(kCount, 20);
  CHECK_CL(clEnqueueWriteBuffer(f.queue, buffer, CL_TRUE, 0, kBytes, wanted.data(), 0, nullptr, nullptr));
  check();
  wanted = numbered(kCount, 30);
  cl_int code = 0;
  void* mapped =
      clEnqueueMapBuffer(f.queue, buffer, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, kBytes, 0, nullptr, nullptr, &code);
  CHECK_CL(code);
  std::memcpy(mapped, wanted.data(), kBytes);
  CHECK_CL(clEnqueueUnmapMemObject(f.queue, buffer, mapped, 0, nullptr, nullptr));
  check();
  for (cl_mem mem : {first, second, buffer, seen}) CHECK_CL(clReleaseMemObject(mem));
  for (cl_kernel one : {from_image, plus}) CHECK_CL(clReleaseKernel(one));
}

/// A plane over a buffer, where the device has cl_khr_image2d_from_buffer.
void image_2d_from_buffer() {
  need_images();
  if (device_string(first_device(), CL_DEVICE_EXTENSIONS).find("cl_khr_image2d_from_buffer") == std::string::npos)
    throw Skip{"no planes over buffers"};
  Fixture f;
  const size_t alignment = device_info<cl_uint>(f.device, CL_DEVICE_IMAGE_PITCH_ALIGNMENT);
  const cl_uint width = static_cast<cl_uint>(alignment == 0 ? 16 : alignment), height = 8;
  std::vector<uint32_t> data = numbered(size_t{width} * height);
  cl_mem buffer = f.buffer(data.size() * 4, CL_MEM_COPY_HOST_PTR, data.data()), out = f.buffer(data.size() * 4);
  cl_image_desc desc = {};
  desc.image_type = CL_MEM_OBJECT_IMAGE2D;
  desc.image_width = width;
  desc.image_height = height;
  desc.image_row_pitch = size_t{width} * 4;
  cl_mem plane = image_over(f, buffer, desc, CL_MEM_READ_ONLY);
  note_layout(plane);
  cl_mem under = nullptr;
  CHECK_CL(clGetImageInfo(plane, CL_IMAGE_BUFFER, sizeof(cl_mem), &under, nullptr));
  CHECK(under == buffer);
  cl_kernel kernel = f.kernel(kOverBufferSource, "from_plane");
  set_args(kernel, plane, out, width);
  launch(f.queue, kernel, data.size());
  std::vector<uint32_t> got(data.size());
  CHECK_CL(clEnqueueReadBuffer(f.queue, out, CL_TRUE, 0, got.size() * 4, got.data(), 0, nullptr, nullptr));
  CHECK(got == data);
  for (cl_mem mem : {plane, buffer, out}) CHECK_CL(clReleaseMemObject(mem));
  CHECK_CL(clReleaseKernel(kernel));
}

void image_queries_and_errors() {
  need_images();
  Fixture f;
  cl_mem mem = image(f, CL_MEM_OBJECT_IMAGE2D, 31, 17, 0, 0);
  size_t value = 0;
  CHECK_CL(clGetImageInfo(mem, CL_IMAGE_WIDTH, sizeof value, &value, nullptr));
  CHECK_EQ(value, size_t{31});
  CHECK_CL(clGetImageInfo(mem, CL_IMAGE_ELEMENT_SIZE, sizeof value, &value, nullptr));
  CHECK_EQ(value, size_t{4});
  cl_image_format format = {};
  CHECK_CL(clGetImageInfo(mem, CL_IMAGE_FORMAT, sizeof format, &format, nullptr));
  CHECK(format.image_channel_order == CL_RGBA && format.image_channel_data_type == CL_UNSIGNED_INT8);
  std::vector<uint32_t> host(64 * 64);
  const size_t origin[3] = {20, 0, 0}, region[3] = {20, 4, 1}, zero[3] = {0, 0, 0}, two_deep[3] = {4, 4, 2};
  CHECK_CODE(clEnqueueReadImage(f.queue, mem, CL_TRUE, origin, region, 0, 0, host.data(), 0, nullptr, nullptr),
             CL_INVALID_VALUE);
  CHECK_CODE(clEnqueueReadImage(f.queue, mem, CL_TRUE, zero, two_deep, 0, 0, host.data(), 0, nullptr, nullptr),
             CL_INVALID_VALUE);
  clReleaseMemObject(mem);
  cl_uint count = 0;
  CHECK_CL(clGetSupportedImageFormats(f.context, CL_MEM_READ_WRITE, CL_MEM_OBJECT_IMAGE2D, 0, nullptr, &count));
  CHECK(count > 0);
  std::vector<cl_image_format> formats(count);
  CHECK_CL(clGetSupportedImageFormats(f.context, CL_MEM_READ_WRITE, CL_MEM_OBJECT_IMAGE2D, count, formats.data(), nullptr));
  cl_image_format none = {0x1234, 0x4321};
  cl_image_desc desc = {};
  desc.image_type = CL_MEM_OBJECT_IMAGE2D;
  desc.image_width = desc.image_height = 4;
  cl_int code = 0;
  CHECK(clCreateImage(f.context, CL_MEM_READ_WRITE, &none, &desc, nullptr, &code) == nullptr);
  note("image of an unknown format", code);
  desc.image_width = 0;
  CHECK(clCreateImage(f.context, CL_MEM_READ_WRITE, &kRgba8, &desc, nullptr, &code) == nullptr);
  note("image of no width", code);
}

constexpr Case kCases[] = {
    {"image_1d", image_1d},
    {"image_2d", image_2d},
    {"image_3d", image_3d},
    {"image_1d_array", image_1d_array},
    {"image_2d_array", image_2d_array},
    {"image_host_pitch", image_host_pitch},
    {"image_map", image_map},
    {"image_and_buffer_copies", image_and_buffer_copies},
    {"sampler_in_kernel", sampler_in_kernel},
    {"image_from_buffer", image_from_buffer},
    {"image_follows_its_buffer", image_follows_its_buffer},
    {"image_2d_from_buffer", image_2d_from_buffer},
    {"image_queries_and_errors", image_queries_and_errors},
};

}  // namespace
std::span<const Case> image_cases() { return kCases; }
}  // namespace cases

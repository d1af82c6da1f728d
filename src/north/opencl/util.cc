// SPDX-License-Identifier: Apache-2.0
// What every entry point shares: answers of clGet*Info, and errors as OpenCL codes.
#include "north/opencl/util.h"

#include <cstring>

#include "north/opencl/shapes.h"
#include "north/opencl/staged.h"

namespace amalgam::opencl {

cl_int to_cl(const Error& error, cl_int lost) {
  if (error.native < 0) return error.native;
  switch (error.code) {
    case Code::kInvalidArgument:
    case Code::kNotFound: return CL_INVALID_VALUE;
    case Code::kUnsupported: return CL_INVALID_OPERATION;
    case Code::kOutOfMemory: return CL_MEM_OBJECT_ALLOCATION_FAILURE;
    case Code::kUnavailable:
    case Code::kDeviceLost: return lost;
    case Code::kOk:  // no error says so; a caller would go on with nothing in its hands
    case Code::kLimit:
    case Code::kPermissionDenied:
    case Code::kProtocol:
    case Code::kTimeout:
    case Code::kDriver:
    case Code::kInternal: return CL_OUT_OF_RESOURCES;
  }
  return CL_OUT_OF_RESOURCES;
}

cl_int answer(const void* data, size_t size, size_t room, void* out, size_t* size_ret) {
  if (out != nullptr) {
    if (room < size) return CL_INVALID_VALUE;
    if (size != 0) std::memcpy(out, data, size);
  }
  if (size_ret != nullptr) *size_ret = size;
  return CL_SUCCESS;
}

cl_int answer_text(const std::string& text, size_t room, void* out, size_t* size_ret) {
  return answer(text.c_str(), text.size() + 1, room, out, size_ret);
}

namespace {

const model::Property* find_property(cl_device_id device, model::Interface interface, cl_uint key) {
  for (const model::Property& property : device->entry.device.properties)
    if (property.key == key && property.interface == interface) return &property;
  return nullptr;
}

}  // namespace

const std::vector<uint8_t>* device_property(cl_device_id device, cl_uint key) {
  const model::Property* property = find_property(device, model::Interface::kOpenCl, key);
  return property == nullptr ? nullptr : &property->value;
}

const std::vector<uint8_t>* platform_property(cl_device_id device, cl_uint key) {
  const model::Property* property = find_property(device, model::Interface::kOpenClPlatform, key);
  return property == nullptr ? nullptr : &property->value;
}

uint64_t device_number(cl_device_id device, cl_uint key) {
  const std::vector<uint8_t>* value = device_property(device, key);
  uint64_t number = 0;
  if (value != nullptr) std::memcpy(&number, value->data(), value->size() < sizeof number ? value->size() : sizeof number);
  return number;
}

namespace {

/// It need not be a lie: drivers err. The program is as safe without the value, and can go on.
std::unexpected<Error> misshapen() { return fail(Code::kProtocol, "an answer of another size than its query's"); }

}  // namespace

Result<client::Payload> ask(client::Session& session, const protocol::Query& query) {
  auto payload = session.call(query);
  if (!payload) return payload;
  const Shape shape = shape_of(query);
  if (!fits(shape, payload->size())) return misshapen();
  end_texts(shape, *payload);
  return payload;
}

Result<void> ask_large(client::Session& session, protocol::Query query, size_t guess,
                       const std::function<void(std::span<const std::byte>)>& use) {
  // The second turn has the size that the first one brought; only a value that grows in between needs a third.
  for (int turn = 0; turn < 3; ++turn) {
    client::StagedBlock block = stage(session, guess);
    if (!block.ok()) return fail(Code::kLimit, "no staging room for an answer", CL_OUT_OF_HOST_MEMORY);
    query.reply = block.ref();
    auto payload = session.call(query);
    if (!payload) return std::unexpected(std::move(payload.error()));
    auto reply = session.read<protocol::QueryReply>(*payload);
    if (!reply) return std::unexpected(std::move(reply.error()));
    if (!fits(shape_of(query), reply->size)) return misshapen();
    if (reply->size <= guess) {
      use({block.data(), reply->size});
      return {};
    }
    if (reply->size > kMaxModuleBytes) break;
    guess = reply->size;
  }
  return fail(Code::kLimit, "an answer is over module-bytes", CL_OUT_OF_HOST_MEMORY);
}

cl_int answer_large(client::Session& session, const protocol::Query& query, size_t room, void* out, size_t* size_ret) {
  constexpr size_t kFirstRoom = 16 * kKiB;
  cl_int code = CL_SUCCESS;
  auto asked = ask_large(session, query, kFirstRoom, [&](std::span<const std::byte> bytes) {
    code = answer(bytes.data(), bytes.size(), room, out, size_ret);
    if (code == CL_SUCCESS && out != nullptr) end_texts(shape_of(query), {static_cast<std::byte*>(out), bytes.size()});
  });
  return asked ? code : to_cl(asked.error());
}

client::StagedBlock stage(client::Session& session, size_t size) {
  // A session that died with a fork has no heap in this process.
  if (session.dead() || size > session.staging().capacity()) return client::StagedBlock(session.staging(), UINT64_MAX);
  return take_staging(session, size);
}

std::vector<protocol::ObjectId> ids_of(std::span<const cl_device_id> devices) {
  std::vector<protocol::ObjectId> ids;
  ids.reserve(devices.size());
  for (cl_device_id device : devices) ids.push_back(device->id);
  return ids;
}

}  // namespace amalgam::opencl

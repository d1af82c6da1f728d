// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <cerrno>
#include <cstring>

namespace amalgam {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::kOk: return "ok";
    case Code::kInvalidArgument: return "invalid argument";
    case Code::kNotFound: return "not found";
    case Code::kUnsupported: return "unsupported";
    case Code::kOutOfMemory: return "out of memory";
    case Code::kLimit: return "limit reached";
    case Code::kUnavailable: return "unavailable";
    case Code::kDeviceLost: return "device lost";
    case Code::kPermissionDenied: return "permission denied";
    case Code::kProtocol: return "protocol broken";
    case Code::kTimeout: return "timed out";
    case Code::kDriver: return "driver error";
    case Code::kInternal: return "internal error";
  }
  return "unknown";
}

Error Error::within(std::string_view context) && {
  std::string joined(context);
  joined += ": ";
  joined += message;
  message = std::move(joined);
  return std::move(*this);
}

std::string Error::text() const {
  std::string out(code_name(code));
  if (!message.empty()) {
    out += ": ";
    out += message;
  }
  return out;
}

Error system_error(std::string_view what, int error_number) {
  Code code = Code::kInternal;
  switch (error_number) {
    case ENOENT: code = Code::kNotFound; break;
    case EACCES:
    case EPERM: code = Code::kPermissionDenied; break;
    case ENOMEM: code = Code::kOutOfMemory; break;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case EAGAIN: code = Code::kUnavailable; break;
    case EMFILE:
    case ENFILE: code = Code::kLimit; break;
    case EINVAL: code = Code::kInvalidArgument; break;
    case ETIMEDOUT: code = Code::kTimeout; break;
    default: break;
  }
  std::string message(what);
  message += ": ";
  char buffer[128];
  message += ::strerror_r(error_number, buffer, sizeof buffer);
  return Error(code, std::move(message));
}

}  // namespace amalgam

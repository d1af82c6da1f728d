// SPDX-License-Identifier: Apache-2.0
// Error: the one error type of the tree, and Result<T>, what every fallible function returns.
//
// A code says what the *caller* does next; the message says what happened and grows by context on its way up
// ("attach opencl:0: create context: CL_DEVICE_NOT_AVAILABLE"). A library never logs an error: whoever first decides
// that it is one does. `native` carries the driver's own code, so that a front door can hand it to the program unchanged.
//
// Threads: plain values. No exception crosses a module's door.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace amalgam {

/// What the caller does next.
enum class Code : uint8_t {
  kOk = 0,            ///< never inside an Error; only on the wire
  kInvalidArgument,   ///< mend the request; asking again changes nothing
  kNotFound,          ///< the thing named does not exist: list what exists
  kUnsupported,       ///< the device or this build cannot do it: choose another way
  kOutOfMemory,       ///< the slice's quota or the pool is used up: free something, or ask for a larger slice
  kLimit,             ///< a named bound of Amalgam is reached: wait or close something (`amalgam limits`)
  kUnavailable,       ///< the peer is not there now: try again later
  kDeviceLost,        ///< the device, driver or worker is gone: open a new session
  kPermissionDenied,  ///< the caller may not: ask the owner
  kProtocol,          ///< the peer broke the protocol: close the connection
  kTimeout,           ///< no answer within the named time: try again or give up
  kDriver,            ///< the vendor's driver refused; `native` says how
  kInternal,          ///< our own fault: report it
};

/// True for what may stand in an Error. A code that came from a peer may be any number.
constexpr bool is_failure(Code code) { return code > Code::kOk && code <= Code::kInternal; }

/// The code's name as the command line and the logs print it, e.g. "out of memory".
std::string_view code_name(Code code);

struct [[nodiscard]] Error {
  Code code = Code::kInternal;
  int32_t native = 0;  ///< the driver's own code (e.g. a cl_int), 0 where none applies
  std::string message;

  Error() = default;
  Error(Code c, std::string m, int32_t n = 0) : code(c), native(n), message(std::move(m)) {}

  /// The same error with "context: " before its message.
  Error within(std::string_view context) &&;
  /// "out of memory: slice has 12 MiB left"
  std::string text() const;
};

template <typename T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(Code code, std::string message, int32_t native = 0) {
  return std::unexpected<Error>(Error(code, std::move(message), native));
}
inline std::unexpected<Error> fail(Error error) { return std::unexpected<Error>(std::move(error)); }

/// An Error from errno: "open /run/x: No such file or directory".
Error system_error(std::string_view what, int error_number);

}  // namespace amalgam

/// Returns the error of a Result to the caller, with context; the value is dropped.
#define AMALGAM_TRY(expression, context)                                                         \
  do {                                                                                           \
    if (auto amalgam_try_ = (expression); !amalgam_try_)                                         \
      return std::unexpected<::amalgam::Error>(std::move(amalgam_try_.error()).within(context)); \
  } while (0)

// SPDX-License-Identifier: Apache-2.0
// Shapes: what the value of each query is, as the specification says: a number of so many bytes, a list, a text.
//
// What a daemon or a worker says is in the driver's place, and programs believe a driver: they give room for a number and
// read all of it, and look for the zero at a text's end. So a value of another size is none, and a text's last byte is a
// zero whatever came. Drivers err here too, so it ends no session. Of queries that are not known here (vendors' own) any
// value is taken; it never goes beyond the room that the program gave.
//
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "protocol/waist/objects.h"

namespace amalgam::opencl {

struct Shape {
  enum class Kind : uint8_t { kAny, kFixed, kList, kText, kTexts, kVersions };
  Kind kind = Kind::kAny;
  uint8_t bytes = 0;  ///< kFixed: of the value; kList: of an element
  bool operator==(const Shape&) const = default;
};

/// Of a CL_DEVICE_* value.
Shape device_shape(uint32_t param);
/// Of what a worker answers to this query.
Shape shape_of(const protocol::Query& query);

/// Whether a value of so many bytes can be of this shape.
bool fits(Shape shape, size_t bytes);
/// Puts a zero at the end of a text, of the last of several (kTexts: one after the other, programs get an array of pointers
/// to them), or of each name in a cl_name_version list.
void end_texts(Shape shape, std::span<std::byte> value);

}  // namespace amalgam::opencl

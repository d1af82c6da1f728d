# SPDX-License-Identifier: Apache-2.0
# AMALGAM_SANITIZE: what -fsanitize= gets for the whole tree, e.g. "address,undefined" or "thread". Empty: nothing.
#
# Undefined behaviour ends the program: a report that scrolls by in a passing test is no report.
set(AMALGAM_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize= takes them")
option(AMALGAM_LTO "Link-time optimisation" OFF)

if(AMALGAM_SANITIZE)
  add_compile_options(-fsanitize=${AMALGAM_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${AMALGAM_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC warns from inside the standard library when it is instrumented.
    add_compile_options(-Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-tsan)
  endif()
endif()
if(AMALGAM_FUZZ)
  # Everything is instrumented; the targets alone get libFuzzer's main.
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
endif()
if(AMALGAM_LTO)
  include(CheckIPOSupported)
  check_ipo_supported()
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
endif()

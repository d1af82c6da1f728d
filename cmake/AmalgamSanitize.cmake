# SPDX-License-Identifier: Apache-2.0
# AMALGAM_SANITIZE: what -fsanitize= gets for the whole tree, e.g. "address,undefined" or "thread". Empty: nothing.
#
# Undefined behaviour ends the program: a report that scrolls by in a passing test is no report.
set(AMALGAM_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize= takes them")
option(AMALGAM_LTO "Link-time optimisation" OFF)

if(AMALGAM_SANITIZE)
  # The front door's code has no type information, and shares objects with tests that have it: no vptr check.
  add_compile_options(-fsanitize=${AMALGAM_SANITIZE} -fno-sanitize=vptr -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${AMALGAM_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC warns from inside the standard library when it is instrumented.
    add_compile_options(-Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-tsan)
  endif()
endif()
# AMALGAM_FOREIGN: the environment of a test that runs programs which are not instrumented, or leave behind what they made, as
# programs do; the driver's own mistakes are not ours to find.
set(AMALGAM_FOREIGN)
if(AMALGAM_SANITIZE MATCHES "address")
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libasan.so OUTPUT_VARIABLE RUNTIME OUTPUT_STRIP_TRAILING_WHITESPACE)
  # Programs in C have no C++ library when the runtime looks for what throws.
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libstdc++.so.6 OUTPUT_VARIABLE CXX_RUNTIME OUTPUT_STRIP_TRAILING_WHITESPACE)
  set(AMALGAM_FOREIGN "ASAN_OPTIONS=detect_leaks=0:new_delete_type_mismatch=0:verify_asan_link_order=0" "LD_PRELOAD=${RUNTIME}:${CXX_RUNTIME}")
endif()
if(AMALGAM_SANITIZE MATCHES "thread")
  # Its runtime must be there from the start of a program that loads the front door. Not in every process: shells die of it.
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libtsan.so OUTPUT_VARIABLE RUNTIME OUTPUT_STRIP_TRAILING_WHITESPACE)
  set(AMALGAM_FOREIGN "AMALGAM_PRELOAD=${RUNTIME}")
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

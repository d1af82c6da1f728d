# SPDX-License-Identifier: Apache-2.0
# amalgam_module(NAME [DEPS …] [LIBS …] [FOREIGN]): one folder of src/ is one static library with its unit tests.
#
# Takes every *.cc of the calling folder, and of the folders in it that have no CMakeLists.txt of their own, except *_test.cc, *_main.cc and *_fuzz.cc; links DEPS (our modules, the layer check reads them)
# and LIBS (others' libraries). *_test.cc become one test binary NAME_test with label "unit". FOREIGN: the code also lives
# in foreign processes: no exceptions, no RTTI, hidden symbols.
set(AMALGAM_WARNINGS -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wcast-align -Wunused -Wno-missing-field-initializers)
# At -O3 false for every "text" + string (GCC bug 105651).
list(APPEND AMALGAM_WARNINGS $<$<AND:$<CXX_COMPILER_ID:GNU>,$<CONFIG:Release>>:-Wno-restrict>)
if(AMALGAM_WERROR)
  list(APPEND AMALGAM_WARNINGS -Werror)
endif()
add_compile_options(${AMALGAM_WARNINGS})

# Of tests' own code: to optimise it takes longer than to run it, but for a fuzzer's.
set(AMALGAM_TEST_OPTIONS $<$<NOT:$<BOOL:${AMALGAM_FUZZ}>>:-Og>)

function(amalgam_module NAME)
  cmake_parse_arguments(ARG "FOREIGN" "" "DEPS;LIBS" ${ARGN})
  file(GLOB SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  file(GLOB FOLDERS CONFIGURE_DEPENDS LIST_DIRECTORIES true ${CMAKE_CURRENT_SOURCE_DIR}/*)
  foreach(FOLDER ${FOLDERS})
    if(IS_DIRECTORY ${FOLDER} AND NOT EXISTS ${FOLDER}/CMakeLists.txt)
      file(GLOB INNER CONFIGURE_DEPENDS ${FOLDER}/*.cc)
      list(APPEND SOURCES ${INNER})
    endif()
  endforeach()
  set(TESTS ${SOURCES})
  list(FILTER TESTS INCLUDE REGEX "_test\\.cc$")
  list(FILTER SOURCES EXCLUDE REGEX "(_test|_main|_fuzz)\\.cc$")
  if(SOURCES)
    add_library(amalgam_${NAME} STATIC ${SOURCES})
    set(KIND PUBLIC)
  else()
    add_library(amalgam_${NAME} INTERFACE)
    set(KIND INTERFACE)
  endif()
  target_include_directories(amalgam_${NAME} ${KIND} ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)
  foreach(DEP ${ARG_DEPS})
    target_link_libraries(amalgam_${NAME} ${KIND} amalgam_${DEP})
  endforeach()
  target_link_libraries(amalgam_${NAME} ${KIND} ${ARG_LIBS})
  if(ARG_FOREIGN AND SOURCES)
    target_compile_options(amalgam_${NAME} PRIVATE -fvisibility=hidden -fno-rtti -fno-exceptions -fno-gnu-unique)
  endif()
  if(AMALGAM_TESTS AND TESTS)
    add_executable(${NAME}_test ${TESTS})
    target_link_libraries(${NAME}_test PRIVATE amalgam_${NAME} GTest::gtest_main)
    target_compile_options(${NAME}_test PRIVATE ${AMALGAM_TEST_OPTIONS})
    target_include_directories(${NAME}_test PRIVATE ${CMAKE_SOURCE_DIR})  # what tests share lies in tests/
    add_test(NAME ${NAME}_test COMMAND ${NAME}_test)
    set_tests_properties(${NAME}_test PROPERTIES LABELS unit TIMEOUT 120)
  endif()
endfunction()

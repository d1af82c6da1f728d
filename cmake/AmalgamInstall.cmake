# SPDX-License-Identifier: Apache-2.0
# What an installation holds besides the programs and libraries, which their own folders install. Nothing but the two .icd
# files and the units hold an absolute path, and these are written when it is known: at installation (cmake --install --prefix).
#
#   bin/amalgam   sbin/amalgamd   libexec/amalgam/{amalgam-worker,amalgam-sim}   LIBDIR/libamalgam_{opencl,split}.so
#   share/amalgam/vendors/amalgam.icd     what `amalgam run` shows programs, alone
#   etc/OpenCL/vendors/amalgam.icd        under /usr's own prefix (/etc) it makes the pool visible to every OpenCL program
set(AMALGAM_ICD_LIBRARY ${CMAKE_INSTALL_LIBDIR}/libamalgam_opencl.so)
install(CODE "
  set(LIBRARY \"\${CMAKE_INSTALL_PREFIX}/${AMALGAM_ICD_LIBRARY}\")
  if(CMAKE_INSTALL_PREFIX STREQUAL \"/usr\")
    set(SYSTEM_CONFIG \"/etc\")
  else()
    set(SYSTEM_CONFIG \"\${CMAKE_INSTALL_PREFIX}/etc\")
  endif()
  foreach(FOLDER \"\${CMAKE_INSTALL_PREFIX}/share/amalgam/vendors\" \"\${SYSTEM_CONFIG}/OpenCL/vendors\")
    file(WRITE \"\$ENV{DESTDIR}\${FOLDER}/amalgam.icd\" \"\${LIBRARY}\\n\")
  endforeach()
")

foreach(EXAMPLE amalgamd.toml)
  if(EXISTS ${CMAKE_SOURCE_DIR}/packaging/${EXAMPLE})
    install(FILES ${CMAKE_SOURCE_DIR}/packaging/${EXAMPLE} DESTINATION ${CMAKE_INSTALL_DATADIR}/amalgam RENAME ${EXAMPLE}.example)
  endif()
endforeach()

install(FILES ${CMAKE_SOURCE_DIR}/packaging/slices.d/example.toml DESTINATION ${CMAKE_INSTALL_DATADIR}/amalgam
        RENAME slices.toml.example)

# A unit names amalgamd as @SBINDIR@.
file(GLOB UNITS CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/packaging/systemd/*.service ${CMAKE_SOURCE_DIR}/packaging/systemd/*.socket)
foreach(UNIT ${UNITS})
  get_filename_component(UNIT_NAME ${UNIT} NAME)
  install(CODE "
    file(READ \"${UNIT}\" TEXT)
    string(REPLACE \"@SBINDIR@\" \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_SBINDIR}\" TEXT \"\${TEXT}\")
    string(REPLACE \"@BINDIR@\" \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}\" TEXT \"\${TEXT}\")
    file(WRITE \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/lib/systemd/system/${UNIT_NAME}\" \"\${TEXT}\")
  ")
endforeach()

install(FILES ${CMAKE_SOURCE_DIR}/ARCHITECTURE.md ${CMAKE_SOURCE_DIR}/LICENSE
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md" PATTERN "*.txt")

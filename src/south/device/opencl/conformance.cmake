# SPDX-License-Identifier: Apache-2.0
# rusticl shows devices only where it is told to; oclgrind installs no .icd file. PoCL's other CPU driver, "basic", is
# left out: version 3.1 locks itself out in clSetUserEventStatus when a command waits for the event.
amalgam_conformance_test(opencl opencl_pocl)
amalgam_conformance_test(opencl opencl_pocl_several "POCL_DEVICES=pthread pthread")
amalgam_conformance_test(opencl opencl_rusticl RUSTICL_ENABLE=llvmpipe)
amalgam_conformance_test(opencl opencl_oclgrind)

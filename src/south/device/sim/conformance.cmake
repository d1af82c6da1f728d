# SPDX-License-Identifier: Apache-2.0
amalgam_conformance_test(sim sim)
amalgam_conformance_test(sim sim_staged)

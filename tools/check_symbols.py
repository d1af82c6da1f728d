#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The OpenCL front door, a guest in foreign processes, needs libc alone and exports the loader's entry points alone.

  check_symbols.py libamalgam_opencl.so     exit status 77 (skipped) if it is not built
"""
import os
import re
import subprocess
import sys

NEEDED = re.compile(r"^(?:libc\.so\.6|libm\.so\.6|ld-linux[\w.-]*\.so\.\d+)$")
EXPORTED = {"clGetExtensionFunctionAddress", "clIcdGetPlatformIDsKHR", "clGetPlatformInfo"}
REQUIRED = {"clGetExtensionFunctionAddress", "clIcdGetPlatformIDsKHR"}
SKIPPED = 77


def check_dynamic(text):
    """Complaints about `readelf -d`."""
    needed = re.findall(r"\(NEEDED\).*\[([^\]]+)\]", text)
    return [f"needs {name}; it may need libc alone" for name in needed if not NEEDED.match(name)]


def check_exports(text):
    """Complaints about `nm -D --defined-only`."""
    exported = {line.split()[-1].split("@")[0] for line in text.splitlines() if len(line.split()) >= 3}
    complaints = [f"exports {name}; hide it" for name in sorted(exported - EXPORTED)]
    return complaints + [f"does not export {name}" for name in sorted(REQUIRED - exported)]


def check_library(path):
    def ask(*command):
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return check_dynamic(ask("readelf", "-d", path)) + check_exports(ask("nm", "-D", "--defined-only", path))


if __name__ == "__main__":
    library = sys.argv[1]
    if not os.path.exists(library):
        print(f"{library} is not built")
        sys.exit(SKIPPED)
    problems = [f"{library}: {problem}" for problem in check_library(library)]
    print("\n".join(problems))
    sys.exit(1 if problems else 0)

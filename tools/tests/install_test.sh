#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# install_test.sh CMAKE BUILD: installs the build into a temporary prefix, moves it, and uses it from there.
set -euo pipefail
cmake="$1" build="$2"
folder="$(mktemp -d)"
daemon=
finish() {
  if [ -n "$daemon" ]; then kill "$daemon" 2>/dev/null && wait "$daemon" 2>/dev/null || true; fi
  rm -rf "$folder"
}
trap finish EXIT

"$cmake" --install "$build" --prefix "$folder/first" >"$folder/install.log" 2>&1 || { cat "$folder/install.log"; exit 1; }
grep -qx "$folder/first/lib/libamalgam_opencl.so" "$folder/first/share/amalgam/vendors/amalgam.icd"
cmp "$folder/first/share/amalgam/vendors/amalgam.icd" "$folder/first/etc/OpenCL/vendors/amalgam.icd"
"$folder/first/bin/amalgam" --version
"$folder/first/bin/amalgam" limits | grep -q '^sessions '
if [ ! -x "$folder/first/sbin/amalgamd" ] || [ ! -e "$folder/first/lib/libamalgam_opencl.so" ]; then
  echo "the daemon or the front door is not in this build; the rest is left out"
  exit 0
fi

# A tree that was moved writes a vendors folder of its own.
mv "$folder/first" "$folder/moved"
export PATH="$folder/moved/bin:$folder/moved/sbin:$PATH" XDG_STATE_HOME="$folder/state" XDG_RUNTIME_DIR="$folder/run"
mkdir -m 700 "$folder/state" "$folder/run"
export AMALGAM_SOCKET="$folder/pool.sock"
amalgamd --socket "$AMALGAM_SOCKET" --state-dir "$folder/state" >"$folder/amalgamd.log" 2>&1 &
daemon=$!
for _ in $(seq 200); do amalgam status >/dev/null 2>&1 && break; sleep 0.1; done
amalgam status || { cat "$folder/amalgamd.log"; exit 1; }
amalgam devices
if ! amalgam run --memory 512MiB --identity amalgam -- env ${AMALGAM_PRELOAD:+"LD_PRELOAD=$AMALGAM_PRELOAD"} clinfo -l >"$folder/clinfo.txt" 2>&1; then
  cat "$folder/clinfo.txt" "$folder/amalgamd.log"
  exit 1
fi
cat "$folder/clinfo.txt"
grep -q 'Platform #0: Amalgam (Portable Computing Language)' "$folder/clinfo.txt"
[ "$(grep -c Platform "$folder/clinfo.txt")" = 1 ]

# SPDX-License-Identifier: Apache-2.0
# Two real programs side by side in two slices of one device, on a pool of its own that is gone afterwards.

demo_cleanup() {
  local pid
  for pid in "${DEMO_PIDS[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${DEMO_PIDS[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$DEMO_FOLDER"
}

demo_step() { printf '\n\033[1m%s\033[0m\n' "\$ $*"; "$@"; }

# demo_wait_until_computing SLICE PID: until the slice's session has launched a kernel, or its program has ended.
demo_wait_until_computing() {
  local turn
  for turn in $(seq 600); do
    amalgam ps --json | python3 tools/merge_sessions.py --computing "$1" && return
    kill -0 "$2" 2>/dev/null || return 0
    sleep 0.3
  done
}

# demo_build: what the demo runs and no more. It lies in the folder of the preset dev, so `./dev test` goes on from there; a
# folder that is already configured for everything stays so.
demo_build() {
  verb_deps demo
  if grep -qs '^AMALGAM_TESTS:BOOL=ON' build/dev/CMakeCache.txt; then configure dev; else configure demo; fi
  compile demo
}

verb_demo() {
  demo_build
  DEMO_FOLDER="$(mktemp -d)"
  DEMO_PIDS=()
  trap demo_cleanup EXIT
  trap 'exit 130' INT TERM
  # A short name: where $DEMO_FOLDER is deep, a socket's path would be too long.
  export AMALGAM_SOCKET="$DEMO_FOLDER/pool.sock" XDG_STATE_HOME="$DEMO_FOLDER/state" XDG_RUNTIME_DIR="$DEMO_FOLDER/run"
  mkdir -p -m 700 "$XDG_STATE_HOME" "$XDG_RUNTIME_DIR"
  PATH="$ROOT/build/dev/src/north/cli:$ROOT/build/dev/src/daemon:$PATH"
  export HASHCAT_HOME="$DEMO_FOLDER/hashcat" XDG_DATA_HOME="$DEMO_FOLDER/data" XDG_CACHE_HOME="$DEMO_FOLDER/cache"

  echo "A pool of its own, in $DEMO_FOLDER"
  amalgamd --socket "$AMALGAM_SOCKET" --state-dir "$DEMO_FOLDER/state" >"$DEMO_FOLDER/amalgamd.log" 2>&1 &
  DEMO_PIDS+=($!)
  local turn
  for turn in $(seq 100); do amalgam status >/dev/null 2>&1 && break; sleep 0.1; done
  if ! amalgam status >/dev/null; then
    tail -n 20 "$DEMO_FOLDER/amalgamd.log" >&2
    exit 1
  fi
  demo_step amalgam devices
  local device
  device="$(amalgam devices --json | python3 -c 'import json,sys
print(next(d["id"] for d in json.load(sys.stdin) if d["health"] == "healthy"))')"

  printf '\n\033[1mhashcat in a slice of 1 GiB and clpeak in one of 2 GiB, both on %s, at once\033[0m\n' "$device"
  # A mask that takes years, for some seconds; hashcat then ends with 4, "aborted by runtime".
  timeout 300 amalgam run --device "$device" --memory 1GiB --name hashing -- hashcat -m 0 -a 3 -D 1 --force --runtime 10 \
    --potfile-disable --logfile-disable --quiet --status --status-timer 5 \
    ffffffffffffffffffffffffffffffff '?a?a?a?a?a?a?a?a' >"$DEMO_FOLDER/hashcat.txt" 2>&1 &
  local hashcat=$!
  DEMO_PIDS+=("$hashcat")
  echo "hashcat compiles its kernels first ..."
  demo_wait_until_computing hashing "$hashcat"
  timeout 300 amalgam run --device "$device" --memory 2GiB --name measuring -- clpeak --compute-sp >"$DEMO_FOLDER/clpeak.txt" 2>&1 &
  local clpeak=$!
  DEMO_PIDS+=("$clpeak")
  demo_wait_until_computing measuring "$clpeak"
  sleep 1
  demo_step amalgam ps
  demo_step amalgam top --once
  local last="$DEMO_FOLDER/last.txt"
  while kill -0 "$clpeak" 2>/dev/null || kill -0 "$hashcat" 2>/dev/null; do
    amalgam ps --json >"$last.new" 2>/dev/null && [ "$(wc -l <"$last.new")" -gt 1 ] && python3 tools/merge_sessions.py "$last" "$last.new"
    sleep 0.5
  done
  local failed=0
  wait "$clpeak" || failed=1
  wait "$hashcat" || [ $? = 4 ] || failed=1
  printf '\n\033[1mWhat they said\033[0m\n'
  grep -E 'Platform|Device:|GFLOPS|float' "$DEMO_FOLDER/clpeak.txt" || true
  grep -E 'Speed' "$DEMO_FOLDER/hashcat.txt" | tail -n 1 || true
  printf '\n\033[1mWho used what\033[0m\n'
  python3 tools/merge_sessions.py --print "$last"
  if [ "$failed" = 1 ]; then
    echo "demo: a program failed:" >&2
    tail -n 15 "$DEMO_FOLDER/clpeak.txt" "$DEMO_FOLDER/hashcat.txt" "$DEMO_FOLDER/amalgamd.log" >&2
    exit 1
  fi
}

# SPDX-License-Identifier: Apache-2.0
# Configure, build, test, install.

jobs() { nproc; }

# A second checkout finds in ccache what the first has compiled.
export CCACHE_BASEDIR="${CCACHE_BASEDIR:-$ROOT}" CCACHE_NOHASHDIR="${CCACHE_NOHASHDIR:-1}"

# configure PRESET: the preset, without the accelerators of the build that this machine lacks.
configure() {
  local arguments=()
  command -v ccache >/dev/null || arguments+=(-DCMAKE_CXX_COMPILER_LAUNCHER= -DCMAKE_C_COMPILER_LAUNCHER=)
  command -v mold >/dev/null || arguments+=(-DCMAKE_EXE_LINKER_FLAGS= -DCMAKE_SHARED_LINKER_FLAGS=)
  local log
  log="$(mktemp)"
  if ! cmake --preset "$1" "${arguments[@]}" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    exit 1
  fi
  rm -f "$log"
}

# compile PRESET: what the preset is for.
compile() { nice -n 5 cmake --build --preset "$1" -j "$(jobs)"; }

verb_build() {
  local preset="${1:-dev}"
  verb_deps
  configure "$preset"
  compile "$preset"
}

# Without arguments everything but what the nightly run repeats for longer.
verb_test() {
  verb_build dev
  [ $# -gt 0 ] || set -- -LE nightly
  ctest --test-dir build/dev --output-on-failure -j "$(jobs)" "$@"
}

verb_ci() { verb_test "$@"; }

verb_install() {
  local prefix="$HOME/.local"
  while [ $# -gt 0 ]; do
    case "$1" in
      --prefix) prefix="${2:?dev: --prefix needs a folder}" && shift 2 ;;
      --prefix=*) prefix="${1#--prefix=}" && shift ;;
      *) echo "dev: install knows only --prefix DIR" >&2 && exit 2 ;;
    esac
  done
  prefix="$(realpath -m "$prefix")"
  verb_deps demo install
  configure release
  compile release
  cmake --install build/release --prefix "$prefix" --strip >/dev/null
  echo "installed under $prefix; try: $prefix/bin/amalgam run -- clinfo"
  case "$prefix" in
    /usr) ;;
    *) echo "programs outside 'amalgam run' find the pool with OCL_ICD_VENDORS=$prefix/etc/OpenCL/vendors/" ;;
  esac
}

verb_bench() {
  verb_build release
  exec python3 bench/compare.py --build build/release "$@"
}

verb_fuzz() {
  local seconds="${1:-60}" target name
  verb_deps
  configure fuzz
  local targets=()
  mapfile -t targets < <(ninja -C build/fuzz -t targets all | sed -n '/^cmake_/d; s/^\([a-z_]*_fuzz\): phony$/\1/p')
  [ "${#targets[@]}" -gt 0 ] || { echo "dev: there are no fuzz targets" >&2; exit 1; }
  nice -n 5 ninja -C build/fuzz "${targets[@]}"
  for target in "${targets[@]}"; do
    name="${target%_fuzz}"
    local corpus="build/fuzz/corpus/$name"
    mkdir -p "$corpus"
    local seeds=()
    [ -d "tests/corpus/$name" ] && seeds=("tests/corpus/$name")
    echo "== $target, $seconds s"
    "$(find build/fuzz -type f -name "$target")" -max_total_time="$seconds" -max_len=8192 -timeout=25 -print_final_stats=1 \
      -artifact_prefix="$corpus/" "$corpus" "${seeds[@]}"
  done
}

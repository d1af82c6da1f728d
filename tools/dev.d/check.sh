# SPDX-License-Identifier: Apache-2.0
# What the repository asks of itself.

source_files() { git ls-files --cached --others --exclude-standard -- '*.h' '*.cc'; }

verb_check() {
  local all=0 status=0
  [ "${1:-}" = --all ] && all=1
  python3 tools/check_tree.py || status=1
  if [ -f build/dev/compile_commands.json ]; then
    tidy "$all" || status=1
  else
    echo "check: clang-tidy is left out; it needs ./dev build first" >&2
  fi
  [ "$status" = 0 ] && echo "check: ok"
  return "$status"
}

# tidy ALL: clang-tidy on changed files (against HEAD, or the last commit if nothing is changed), or on all.
tidy() {
  local files=() known
  if [ "$1" = 1 ]; then
    mapfile -t files < <(source_files | grep '\.cc$')
  else
    mapfile -t files < <({ git diff --name-only HEAD; git ls-files --others --exclude-standard; } | grep '^src/.*\.cc$' | sort -u)
    [ "${#files[@]}" -gt 0 ] || mapfile -t files < <(git diff --name-only HEAD~1 2>/dev/null | grep '^src/.*\.cc$')
  fi
  known="$(mktemp)"
  grep -o '"file": "[^"]*"' build/dev/compile_commands.json | sed "s|\"file\": \"$ROOT/||; s|\"\$||" | sort -u >"$known"
  mapfile -t files < <(printf '%s\n' "${files[@]}" | grep -Fxf "$known")
  rm -f "$known"
  [ "${#files[@]}" -gt 0 ] || return 0
  printf '%s\0' "${files[@]}" | nice -n 5 xargs -0 -n 4 -P "$(nproc)" clang-tidy-19 -p build/dev --quiet 2>/dev/null
}

verb_format() { source_files | xargs clang-format-19 -i; }

verb_new_device() { python3 tools/new_device.py "$@"; }

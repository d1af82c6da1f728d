# SPDX-License-Identifier: Apache-2.0
# Installs what is missing of tools/packages.txt. Touches apt only if something is.

# missing_packages SECTION…: of these sections, or of all.
missing_packages() {
  local package
  awk -v wanted=" $* " '{ sub(/[[:space:]]*#.*/, "") }
    /^\[.*\]$/ { within = wanted == "  " || index(wanted, " " substr($0, 2, length - 2) " "); next }
    within && NF' tools/packages.txt | while read -r package; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
  done
}

# verb_deps [SECTION…]
verb_deps() {
  if ! command -v dpkg-query >/dev/null; then
    echo "dev: this is not Debian; install what tools/packages.txt names with your own package manager" >&2
    return
  fi
  local missing=()
  mapfile -t missing < <(missing_packages "$@")
  [ "${#missing[@]}" -eq 0 ] && return
  echo "dev: installing ${missing[*]}"
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "dev: to install packages run this as root, or install sudo; or: apt-get install ${missing[*]}" >&2
      exit 1
    fi
    as_root=(sudo)
  fi
  # env after sudo: sudo drops the caller's environment.
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
  if ! "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null; then
    # The lists may be old or absent.
    "${apt[@]}" update >/dev/null && "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null || {
      echo "dev: apt could not install: ${missing[*]}" >&2
      echo "dev: see the lines above; all packages are in Debian 12's main archive" >&2
      exit 1
    }
  fi
}

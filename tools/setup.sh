#!/usr/bin/env bash
# Installs the system packages that building and testing needs, on Debian 12 or later and Ubuntu 22.04
# or later. Does nothing when all are there.
#
# usage: tools/setup.sh [--dev] [--dry-run]
#   --dev      also what tools/dev/check.sh and tools/package.sh need: clang-format, clang-tidy, shellcheck,
#              patchelf
#   --dry-run  print the command instead of running it
set -euo pipefail
# shellcheck source=tools/common.sh
source "$(dirname "$0")/common.sh"

packages=(
  g++ cmake ninja-build ccache git
  protobuf-compiler libprotobuf-dev libgoogle-glog-dev libgflags-dev liblmdb-dev libjpeg-dev zlib1g-dev
  libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev
  libgtest-dev
)
dry_run=false
for argument in "$@"; do
  case $argument in
    --dev) packages+=(clang-format clang-tidy shellcheck patchelf) ;;
    --dry-run) dry_run=true ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      echo "setup.sh: unknown option '$argument'; see --help" >&2
      exit 2
      ;;
  esac
done

if ! command -v apt-get >/dev/null; then
  echo "setup.sh: this system has no apt-get. Install what these Debian packages hold, then run" \
    "tools/build.sh: ${packages[*]} libdnnl-dev (oneDNN)" >&2
  exit 2
fi

installed() {
  [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# Whether apt knows a version of a package that it could install.
available() {
  local candidate
  candidate=$(apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p')
  [[ -n $candidate && $candidate != "(none)" ]]
}

as_root=()
if [[ $(id -u) != 0 ]]; then
  if ! command -v sudo >/dev/null; then
    echo "setup.sh: packages are installed as root, and there is no sudo: run this script as root" >&2
    exit 2
  fi
  as_root=(sudo)
  [[ -t 0 ]] || as_root=(sudo -n)  # never ask where nobody can answer
fi
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3)

missing=()
for package in "${packages[@]}"; do
  installed "$package" || missing+=("$package")
done
onednn_missing=true
if installed libdnnl-dev || installed libonednn-dev; then onednn_missing=false; fi

if ((${#missing[@]} == 0)) && ! $onednn_missing; then
  echo "setup: all packages are installed"
  exit 0
fi

if ! $dry_run; then
  "${apt[@]}" update -q </dev/null
fi
if $onednn_missing; then  # oneDNN is called libonednn-dev where the old name is gone
  if available libdnnl-dev || ! available libonednn-dev; then
    missing+=(libdnnl-dev)
  else
    missing+=(libonednn-dev)
  fi
fi

echo "setup: installing ${missing[*]}"
install=("${apt[@]}" install -q -y --no-install-recommends "${missing[@]}")
if $dry_run; then
  echo "${apt[*]} update"
  echo "${install[*]}"
else
  "${install[@]}" </dev/null
fi

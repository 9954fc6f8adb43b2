#!/usr/bin/env bash
# Configures and builds a preset (default: release) in build/<preset>.
#
# usage: tools/build.sh [PRESET] [TARGET...]
# RESNET_CUDA=ON|OFF|AUTO in the environment is passed on to CMake (src/backends/cuda/cuda.cmake).
set -euo pipefail
cd "$(dirname "$0")/.."

preset=${1:-release}
shift || true
generator=()
if [[ ! -f build/$preset/CMakeCache.txt ]] && command -v ninja >/dev/null; then
  generator=(-G Ninja)
fi
mkdir -p build
if [[ -n ${RESNET_CUDA:-} ]]; then generator+=("-DRESNET_CUDA=$RESNET_CUDA"); fi
if ! cmake --preset "$preset" "${generator[@]}" >"build/$preset.configure.log" 2>&1; then
  cat "build/$preset.configure.log" >&2
  echo "build.sh: configuring failed; tools/setup.sh installs the libraries that are needed" >&2
  exit 1
fi
cmake --build --preset "$preset" --parallel "${RESNET_BUILD_JOBS:-$(nproc)}" ${1:+--target "$@"}

#!/usr/bin/env bash
# Packs a build into a tarball that runs on other Linux machines of this kind of processor, wherever it is
# unpacked: the program, libresnet, loadable backends, headers, models, and all shared libraries but those
# of the C library, cuDNN, the CUDA toolkit (found there by LD_LIBRARY_PATH or --cuda_libraries) and the
# driver. Needs patchelf.
#
# usage: tools/package.sh [--preset=NAME] [--output=FILE.tar.gz] [--tests]
#   --preset=NAME  the build to pack (default release); it is brought up to date first
#   --output=FILE  default build/resnet-VERSION-linux-MACHINE.tar.gz (with --tests: .._gpu_check.tar.gz)
#   --tests        with tools/gpu_check.sh and the test programs that it runs
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/common.sh
source tools/common.sh

preset=release
output=
tests=false
for argument in "$@"; do
  case $argument in
    --preset=*) preset=${argument#*=} ;;
    --output=*) output=${argument#*=} ;;
    --tests) tests=true ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      echo "package.sh: unknown option '$argument'; see --help" >&2
      exit 2
      ;;
  esac
done
if ! command -v patchelf >/dev/null; then
  echo "package.sh: patchelf is missing: apt-get install patchelf" >&2
  exit 2
fi

tools/build.sh "$preset"
version=$("build/$preset/bin/resnet" --version | awk 'NR == 1 { print $NF }')
name=resnet-$version-linux-$(uname -m)
if $tests; then name+=_gpu_check; fi
output=${output:-build/$name.tar.gz}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
stage=$work/$name
cmake --install "build/$preset" --prefix "$stage" --strip >/dev/null
libraries=$(dirname "$(find "$stage" -name 'libresnet.so')")
if $tests; then
  mkdir -p "$stage/tests/ops" "$stage/tools/bench"
  cp tools/gpu_check.sh tools/common.sh "$stage/tools"
  cp tools/bench/peer_torch.py "$stage/tools/bench"
  cp tests/ops/shapes_*.txt "$stage/tests/ops"
  for program in ops_test cuda_test launch_cost cudnn_patterns launch_cost_emulated; do
    if [[ -x build/$preset/tests/$program ]]; then
      strip -o "$stage/tests/$program" "build/$preset/tests/$program"
    fi
  done
fi

# What every machine has (the C library), or must have of its own (driver, CUDA toolkit).
foreign='^(ld-linux.*|lib(c|m|dl|rt|pthread|resolv|util|anl|nsl|BrokenLocale|thread_db)\.so.*|libcuda\..*|libnvidia.*|libcudart\..*|libcudnn.*|libcublas.*|libnvrtc.*|libnccl.*)$'
elf_files() { find "$stage" -type f \( -path '*/bin/*' -o -path '*/tests/*_*' -o -name '*.so*' \) ! -name '*.txt'; }
mapfile -t ours < <(elf_files)
for file in "${ours[@]}"; do ldd "$file"; done | awk '$2 == "=>" && $3 ~ /^\// { print $1, $3 }' | sort -u |
  while read -r soname path; do
    [[ $soname =~ $foreign || -e $libraries/$soname ]] || cp -L "$path" "$libraries/$soname"
  done
chmod u+w "$libraries"/*.so*

# DT_RPATH, unlike DT_RUNPATH, also serves the libraries of libraries.
elf_files | while read -r file; do
  patchelf --force-rpath --set-rpath "\$ORIGIN/$(realpath --relative-to="$(dirname "$file")" "$libraries")" "$file"
done

# The CUDA backend finds its libraries by their names, wherever the user has them.
module=$libraries/resnet/cuda.so
cuda=
if [[ -e $module ]]; then
  for library in libcudnn.so libcublas.so; do
    if ! readelf -d "$module" | grep -q "(NEEDED).*\[$library\.[0-9]*\]"; then
      echo "package.sh: $module does not ask for $library by its name" >&2
      exit 1
    fi
  done
  cuda=" with the CUDA backend, which needs a driver, cuDNN and cuBLAS there,"
fi
if elf_files | xargs readelf -d 2>/dev/null |
  grep -E '\((NEEDED|RPATH|RUNPATH)\).*\[([^]]*:)?/'; then
  echo "package.sh: these entries name a folder of this machine" >&2
  exit 1
fi

glibc=$(elf_files | xargs objdump -T 2>/dev/null |
  grep -o 'GLIBC_2\.[0-9]*' | sort -uV | tail -1)
tar -C "$work" -czf "$output" "$name"
echo "$output: $(du -h "$output" | cut -f1),$cuda needs glibc ${glibc#GLIBC_} or later; unpack it and run $name/bin/resnet"

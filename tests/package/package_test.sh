#!/usr/bin/env bash
# Packs a build, unpacks it elsewhere, and runs it in a root folder that has nothing but the C library:
# converts, trains, tests; and runs parts of the check on a GPU, on the emulation. Needs root for chroot; else it runs outside of one, where other libraries are
# at hand, and only checks that none of them is taken.
# usage: package_test.sh SOURCE_DIR PRESET
set -euo pipefail

source_dir=$1
preset=$2
if ! command -v patchelf >/dev/null; then
  echo "[  SKIPPED ] package: patchelf is missing"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$source_dir/tools/package.sh" --preset="$preset" --tests --output="$work/p.tar.gz" >"$work/log" || { cat "$work/log"; exit 1; }
mkdir -p "$work/root/tmp" "$work/root/dev"
tar -C "$work/root" -xzf "$work/p.tar.gz"
prefix=$(basename "$(dirname "$(dirname "$(find "$work/root" -path '*/bin/resnet')")")")
program=$work/root/$prefix/bin/resnet

strays=$(ldd "$program" | awk -v root="$work" '$2 == "=>" && index($3, root) != 1 { print $1 }' |
  grep -vE '^lib(c|m|dl|rt|pthread|resolv)\.so' || true)
[[ -z $strays ]] || { echo "taken from outside of the package: $strays" >&2; exit 1; }

module=$(dirname "$program")/../lib/resnet/cuda.so
if [[ -e $source_dir/build/$preset/lib/resnet/cuda.so ]]; then
  [[ -e $module ]] || { echo "the CUDA backend was built, but not packed" >&2; exit 1; }
  if find "$work/root" -name 'libcud*' -o -name 'libcublas*' -o -name 'libnv*' | grep .; then
    echo "these libraries of NVIDIA are not ours to give" >&2
    exit 1
  fi
fi

run=("$program")
if [[ $(id -u) == 0 ]]; then
  while read -r library; do
    mkdir -p "$work/root$(dirname "$library")"
    cp -L "$library" "$work/root$library"
  done < <(ldd "$program" | grep -oE '/[^ ]*/(ld-linux[^ ]*|lib(c|m|dl|rt|pthread|resolv)\.so[^ ]*)' | sort -u)
  mkdir -p "$work/root/proc/self"  # by which the loader learns where the program lies
  ln -s "/$prefix/bin/resnet" "$work/root/proc/self/exe"
  run=(chroot "$work/root" "/$prefix/bin/resnet")
else
  cd "$work/root"
fi
data=$([[ $(id -u) == 0 ]] && echo /tmp || echo "$work/root/tmp")
model=$data/net
"${run[@]}" convert shapes --output="$data/shapes" --train=64 --test=16 --quiet
"${run[@]}" mean --source="$data/shapes" --output="$data/shapes/mean.binaryproto"
"${run[@]}" define --depth=8 --source="$data/shapes" --output="$model"
if [[ -e $module ]] && ! [[ -e /proc/driver/nvidia/version ]]; then
  error=$("${run[@]}" info --backend=cuda 2>&1 >/dev/null) && { echo "found a GPU without a driver" >&2; exit 1; }
  grep -q "no NVIDIA driver" <<<"$error" || { echo "unexpected: $error" >&2; exit 1; }
fi
"${run[@]}" train --solver="$model/solver.prototxt" --max_iter=2 --quiet

# On the emulation's module, which is not packed.
check=("$work/root/$prefix/tools/gpu_check.sh" --backend="$source_dir/build/$preset/lib/resnet/cuda_emulated.so"
  --output="$work/check")
for stage in launch speed_resnet20_FLOAT32; do
  "${check[@]}" --only="$stage" >/dev/null || { cat "$work/check/$stage.log" >&2; exit 1; }
  grep -q "^ok" "$work/check/$stage.result"
done
grep -q '"launch": {"result": "ok", "measured": \[{"kernels": 20,' "$work/check/report.json"
[[ $("${check[@]}" --only=launch | wc -l) == 1 ]] || { echo "a stage that is done ran again" >&2; exit 1; }

echo "packed, unpacked and trained with nothing but the C library: $(du -h "$work/p.tar.gz" | cut -f1)"

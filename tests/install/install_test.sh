#!/usr/bin/env bash
# Installs a build into a temporary folder, moves that folder, and there runs the tool, builds programs that
# use the library, and runs them: one with the loadable backend, and the example docs/examples/classify,
# which must find what `resnet predict` finds.
# usage: install_test.sh BUILD_DIR SOURCE_DIR
set -euo pipefail

build=$1
source_dir=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/first" >"$work/log" || { cat "$work/log"; exit 1; }
mv "$work/first" "$work/moved"
prefix=$work/moved

"$prefix/bin/resnet" --version
for file in include/resnet/proto/resnet.pb.h include/resnet/backend/build_id.h include/resnet/net/net.h; do
  [[ -f $prefix/$file ]] || { echo "not installed: $file" >&2; exit 1; }
done
if grep -rlE "$build|$source_dir" "$prefix" --include='*.cmake' --include='*.h'; then
  echo "these installed files name the build machine's folders" >&2
  exit 1
fi

cmake -S "$source_dir/tests/install" -B "$work/build" -DCMAKE_PREFIX_PATH="$prefix" \
  -DCMAKE_BUILD_TYPE=Debug >"$work/log" || { cat "$work/log"; exit 1; }
cmake --build "$work/build" >"$work/log" || { cat "$work/log"; exit 1; }
output=$("$work/build/consumer")
[[ $output == "fc (1,10) reference" ]] || { echo "unexpected: $output" >&2; exit 1; }
echo "installed, moved and used: $output"

# The example needs one header of ours, and that one no library's.
includes=$("${CXX:-c++}" -std=c++20 -M -I "$prefix/include" "$source_dir/docs/examples/classify/classify.cpp")
if grep -E 'google/protobuf|opencv|resnet\.pb\.h' <<<"$includes"; then
  echo "classifier.h includes headers of other libraries" >&2
  exit 1
fi
cmake -S "$source_dir/docs/examples/classify" -B "$work/example" -DCMAKE_PREFIX_PATH="$prefix" \
  -DCMAKE_BUILD_TYPE=Debug >"$work/log" || { cat "$work/log"; exit 1; }
cmake --build "$work/example" >"$work/log" || { cat "$work/log"; exit 1; }

cd "$work"
resnet=$prefix/bin/resnet
"$resnet" convert shapes --output=shapes --train=40 --test=10 --quiet >"$work/log"
"$resnet" mean --source=shapes --output=shapes/mean.binaryproto >"$work/log"
"$resnet" define --depth=8 --source=shapes --output=net >"$work/log"
"$resnet" train --solver=net/solver.prototxt --max_iter=2 --quiet >"$work/log"
weights=$(find . -name '*_iter_2.caffemodel')
image() {  # NAME PIXEL: 8x8 pixels, all of these three bytes
  {
    printf 'P6\n8 8\n255\n'
    for _ in $(seq 64); do printf '%s' "$2"; done
  } >"$1"
}
image red.ppm 'z  '
image blue.ppm '  z'
"$work/example/classify" net/deploy.prototxt "$weights" red.ppm blue.ppm >found
"$resnet" predict --quiet --model=net/deploy.prototxt --weights="$weights" red.ppm blue.ppm |
  sed -E 's/^-+ Prediction for (.*) -+$/\1/; s/^([0-9.]+) - "(.*)"$/\1 \2/' >wanted
best=$(sed -n '2s/^[^ ]* //p' wanted)
echo "two threads: $best, $best" >>wanted
diff wanted found || { echo "the example does not find what resnet predict finds" >&2; exit 1; }
[[ $(wc -l <found) == 13 ]] || { echo "the example printed $(wc -l <found) lines, not 13" >&2; exit 1; }
if "$work/example/classify" net/deploy.prototxt "$weights" gone.ppm 2>errors; then
  echo "the example took a file that is not there" >&2
  exit 1
fi
grep -q 'gone.ppm: cannot be read' errors || { cat errors >&2; exit 1; }
echo "the example finds: $(sed -n 2p found)"

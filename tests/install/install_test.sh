#!/usr/bin/env bash
# Installs a build into a temporary folder, moves that folder, and there runs the tool, builds a program
# that uses the library, and runs it with the loadable backend.
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

#!/usr/bin/env bash
# Downloads CIFAR-10's binary version (162 MB), checks it and unpacks it into DIR/cifar-10-batches-bin.
# Does nothing when that folder is complete. Please cite: A. Krizhevsky, Learning Multiple Layers of
# Features from Tiny Images, 2009.
#
# usage: data/get_cifar10.sh [DIR]      (default: data/cifar10 of this project)
set -euo pipefail

url=https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz
sha256=c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd
dir=${1:-$(cd "$(dirname "$0")" && pwd)/cifar10}
archive=$dir/cifar-10-binary.tar.gz
folder=$dir/cifar-10-batches-bin

complete() {
  local file
  for file in data_batch_{1..5}.bin test_batch.bin; do
    [[ -f $folder/$file && $(stat -c %s "$folder/$file") == 30730000 ]] || return 1
  done
}
good() { [[ -f $archive ]] && echo "$sha256  $archive" | sha256sum --check --status; }

if complete; then
  echo "$folder"
  exit 0
fi
mkdir -p "$dir"
if ! good; then
  if command -v curl >/dev/null; then
    curl --fail --location --retry 3 --continue-at - --output "$archive" "$url" ||
      curl --fail --location --retry 3 --output "$archive" "$url"
  elif command -v wget >/dev/null; then
    wget --tries=3 --continue --output-document="$archive" "$url"
  else
    echo "get_cifar10.sh: neither curl nor wget is installed; or put $url at $archive yourself" >&2
    exit 2
  fi
fi
if ! good; then
  echo "get_cifar10.sh: $archive has a wrong checksum; remove it and try again" >&2
  exit 3
fi
tar -xzf "$archive" -C "$dir" --no-same-owner
complete || { echo "get_cifar10.sh: $folder is incomplete after unpacking" >&2; exit 3; }
rm "$archive"
echo "$folder"

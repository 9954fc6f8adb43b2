#!/usr/bin/env bash
# The include check passes on the tree and finds each kind of wrong include that is planted in a copy.
# usage: check_includes_test.sh SOURCE_DIR
set -euo pipefail

source_dir=$1
check=$source_dir/tools/dev/check_includes.sh
"$check" "$source_dir"

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir -p "$copy"/{include/resnet/{tensor,plan},src/{tensor,graph,ops,backends/{reference,onednn,cuda}},tools/resnet,tests}
cp "$source_dir/src/CMakeLists.txt" "$copy/src/"

# plant FILE INCLUDE EXPECTED_TEXT
plant() {
  local file=$copy/$1
  printf '#include %s\n' "$2" >"$file"
  local output
  if output=$("$check" "$copy"); then
    echo "not found: $1 includes $2" >&2
    exit 1
  fi
  if [[ $output != *"$3"* ]]; then
    echo "wrong message for $1 including $2: $output" >&2
    exit 1
  fi
  rm "$file"
}

plant src/tensor/a.cpp '"resnet/plan/program.h"' 'it does not depend on plan'
plant include/resnet/tensor/a.h '"resnet/ops/op.h"' 'it does not depend on ops'
plant src/backends/reference/a.cpp '"backends/onednn/backend.h"' 'private to module backends/onednn'
plant src/backends/reference/a.cpp '"resnet/graph/graph.h"' 'it does not depend on graph'
plant src/backends/cuda/a.cu '"resnet/graph/graph.h"' 'it does not depend on graph'
plant src/graph/a.cpp '<cudnn.h>' 'may not include cudnn'
plant src/graph/a.cpp '"ops/rules.h"' 'private to module ops'
plant include/resnet/plan/a.h '"plan/edit.h"' 'public header'
plant src/ops/a.cpp '<opencv2/core.hpp>' 'may not include opencv2'
plant tools/resnet/a.cpp '"graph/builder.h"' 'public headers only'
"$check" "$copy" >/dev/null

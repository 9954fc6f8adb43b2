#!/usr/bin/env bash
# tools/bench/ceiling.cpp counts ResNet-20's work as one does by hand.
# usage: ceiling_test.sh SOURCE_DIR CEILING
set -euo pipefail
if ! command -v python3 >/dev/null; then
  echo "there is no python3"
  exit 77
fi
for phase in TRAIN TEST; do
  "$2" --model="$1/models/cifar10/resnet20/train_val.prototxt" --phase=$phase --input_shape=3,32,32 --batch=2 --threads=1 |
    python3 -c '
import json, sys
got = json.load(sys.stdin)
train = sys.argv[1] == "TRAIN"
convolutions = got["convolutions"]
# 40.55 million multiply-adds an image; in training three times, but the pictures need no gradient.
macs = 3 * 40550400 - 442368 if train else 40550400
operations = sum(c["count"] * c["ms"] * 1e6 * c["gflop_per_s"] for c in convolutions)
assert abs(operations - 2 * 2 * macs) < 1e-6 * operations, operations
assert sum(c["count"] for c in convolutions) == (19 + 18 + 19 if train else 19)
# 7 BatchNorms of 16x32x32 elements, 6 of 32x16x16, 6 of 64x8x8, three of each with an addition; folded in inference.
elements = 16384 * (7 * 8 + 3 * 3) + (8192 + 4096) * (6 * 8 + 3 * 3) if train else 0
moved = got["memory_ms"] * 1e6 * got["gb_per_s"]
assert abs(moved - 2 * 4 * elements) <= 1e-6 * moved, moved
seconds = (got["convolutions_ms"] + got["memory_ms"]) / 1e3
assert abs(got["images_per_s"] * seconds - 2) < 1e-6 and got["images_per_s"] >= got["images_per_s_direct"] > 0
' "$phase"
done
status=0
"$2" --model=none.prototxt --phase=TRAIN --input_shape=3,32 || status=$?
[[ $status == 2 ]] || { echo "exit $status for a shape of two numbers"; exit 1; }

#!/usr/bin/env bash
# Compares the image pipeline with OpenCV's on one core over the same JPEG files, in alternating runs, and
# prints each pair and the median ratio. OpenCV has the files in memory, resnet reads them from an LMDB folder.
#
# usage: tools/bench/data.sh FOLDER [PAIRS]
#   FOLDER  JPEG files, in class folders or not
#   PAIRS   runs of each (default 7)
# environment: PYTHON, a python3 that has cv2 and numpy; RESNET, the program; CORE, the core (default 0)
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=$(realpath "${1:?usage: tools/bench/data.sh FOLDER [PAIRS]}")
pairs=${2:-7}
python=${PYTHON:-python3}
resnet=${RESNET:-build/release/bin/resnet}
on_core=(taskset -c "${CORE:-0}")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
find "$folder" -iname '*.jpeg' -o -iname '*.jpg' | sort | sed 's/$/ 0/' >"$work/list.txt"
"$resnet" convert list "$work/list.txt" --output="$work/set.lmdb" --json --quiet >/dev/null

field() { sed -E "s/.*\"$1\": ?\"?([^,\"}]*).*/\1/"; }

ratios=()
for ((i = 1; i <= pairs; ++i)); do
  theirs=$("${on_core[@]}" "$python" tools/bench/jpeg_opencv.py "$folder")
  ours=$("${on_core[@]}" "$resnet" time --data --source="$work/set.lmdb" --threads=1 --batch=16 --json --quiet)
  a=$(field images_per_s_one_core <<<"$ours")
  b=$(field images_per_s <<<"$theirs")
  ratios+=("$(awk -v a="$a" -v b="$b" 'BEGIN { printf "%.3f", a / b }')")
  printf 'resnet %.0f, OpenCV %s %.0f images/s: %s\n' "$a" "$(field opencv <<<"$theirs")" "$b" "${ratios[-1]}"
done
printf '%s\n' "${ratios[@]}" | sort -n | awk '{ r[NR] = $1 }
  END { printf "median ratio %.2f (%.2f to %.2f) of %d pairs\n", r[int((NR + 1) / 2)], r[1], r[NR], NR }'

#!/usr/bin/env bash
# Two trainings at once must each reach 40 % of the rate of one alone. Needs a machine that does nothing else.
# usage: two_at_once_test.sh RESNET   (the program)
set -euo pipefail
resnet=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

"$resnet" convert shapes --output=shapes --train=2560 --test=100 --quiet >/dev/null
"$resnet" mean --source=shapes --output=mean.binaryproto --quiet >/dev/null
"$resnet" define --family=cifar --depth=20 --source=shapes --mean=mean.binaryproto --output=net --quiet >/dev/null

train() {  # NAME ITERATIONS: prints images/s
  sed -e "s#snapshot_prefix: .*#snapshot_prefix: \"$1/s\"#; s#test_interval: .*#test_interval: 100000#" net/solver.prototxt >"net/$1.prototxt"
  "$resnet" train --solver="net/$1.prototxt" --max_iter="$2" --json --quiet |
    sed 's/.*"images_per_s": *\([0-9.]*\).*/\1/'
}

alone=$(train alone 60)
train first 120 >first.rate &
train second 120 >second.rate
wait $!
echo "images/s: alone $alone, two at once $(<first.rate) and $(<second.rate)"
awk -v alone="$alone" -v a="$(<first.rate)" -v b="$(<second.rate)" 'BEGIN { exit !(a >= 0.4 * alone && b >= 0.4 * alone) }'

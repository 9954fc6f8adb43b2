#!/usr/bin/env bash
# From a fresh clone to a trained net: installs packages, builds, makes a data set, trains ResNet-20,
# tests it, predicts a few images and draws the curve. About ten minutes on two cores.
#
# usage: tools/quickstart.sh [--data=DIR | --download] [--iterations=N] [--output=DIR]
#   --data=DIR      CIFAR-10's binary files (data_batch_1.bin .. test_batch.bin) in place of shapes that
#                   are drawn on the spot
#   --download      fetch CIFAR-10 (162 MB), check it and use it
#   --iterations=N  training length (default 600 batches of 128 images)
#   --output=DIR    where everything goes (default build/quickstart)
set -euo pipefail
start_dir=$PWD
cd "$(dirname "$0")/.."
# shellcheck source=tools/common.sh
source tools/common.sh

data=
download=false
iterations=600
output=build/quickstart
for argument in "$@"; do
  value=${argument#*=}
  case $argument in
    --data=?*) data=$(cd "$start_dir" && realpath -- "$value") ;;
    --download) download=true ;;
    --iterations=?*) iterations=$value ;;
    --output=?*) output=$(cd "$start_dir" && realpath -m -- "$value") ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      echo "quickstart.sh: unknown option '$argument'; see --help" >&2
      exit 2
      ;;
  esac
done
if [[ ! $iterations =~ ^[1-9][0-9]*$ ]]; then
  echo "quickstart.sh: --iterations takes a number from 1, not '$iterations'" >&2
  exit 2
fi
if [[ -n $data && ! -f $data/data_batch_1.bin ]]; then
  echo "quickstart.sh: $data holds no data_batch_1.bin; give the folder of CIFAR-10's binary files" >&2
  exit 3
fi

resnet() { build/release/bin/resnet "$@"; }

make_data() {
  if $download; then
    data=$(data/get_cifar10.sh | tail -n 1)
  elif [[ -z $data ]]; then
    data=$output/shapes
    [[ -f $data/test_batch.bin ]] || resnet convert shapes --output="$data"
  fi
  resnet mean --source="$data" --output="$output/mean.binaryproto"
  resnet show --source="$data" --phase=TEST --count=60 --output="$output/data.png"
}

# The net and recipe of the paper, with a schedule for a few minutes.
define_net() {
  resnet define --family=cifar --depth=20 --source="$data" --mean="$output/mean.binaryproto" \
    --output="$output/resnet20"
  cat >"$output/solver.prototxt" <<SOLVER
# ResNet-20 for a short run: the paper's recipe, but $iterations iterations in place of 64,000.
net: "resnet20/train_val.prototxt"
base_lr: 0.1
lr_policy: "multistep"
stepvalue: $((iterations * 2 / 3))
stepvalue: $((iterations * 5 / 6))
gamma: 0.1
momentum: 0.9
weight_decay: 0.0001
max_iter: $iterations
display: $((iterations < 60 ? 1 : 20))
average_loss: $((iterations < 60 ? 1 : 20))
test_interval: $((iterations < 3 ? 1 : iterations / 3))
test_initialization: false
snapshot_prefix: "$output/snapshots/resnet20"
random_seed: 1
SOLVER
}

train() {
  rm -f "$output/snapshots/resnet20.log.jsonl"
  resnet train --solver="$output/solver.prototxt" --curve="$output/curve.png"
}

test_net() {
  resnet test --model="$output/resnet20/train_val.prototxt" --weights="$weights"
}

predict() {
  mkdir -p "$output/images"
  resnet show --source="$data" --phase=TEST --count=4 --output="$output/images/"
  resnet predict --model="$output/resnet20/deploy.prototxt" --weights="$weights" --top=3 \
    "$output"/images/*.png
}

start=$SECONDS
mkdir -p "$output"
weights=$output/snapshots/resnet20_iter_$iterations.caffemodel
stage setup tools/setup.sh
stage build tools/build.sh release resnet_tool
stage data make_data
stage define define_net
stage train train
stage test test_net
stage predict predict

cat <<END
== done in $((SECONDS - start)) s
snapshot:  $weights
           ${weights%.caffemodel}.solverstate
curve:     $output/curve.png
data:      $output/data.png (60 of its test images)
log:       $output/snapshots/resnet20.log.jsonl
next:      README.md says how to train longer, on other data, and other nets
END

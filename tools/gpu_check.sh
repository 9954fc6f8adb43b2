#!/usr/bin/env bash
# Checks a build, or the package that this script came with, on a machine with a GPU. Needs no network. Writes
# OUTPUT/report.md and report.json. Stages that are done are not run again: after an interruption, or where a
# stage met its limit of 8 minutes, start it once more. Exit code: 0 when no stage has failed or is unfinished.
#
# usage: tools/gpu_check.sh [--build=DIR] [--output=DIR] [--only=STAGE] [--python=FILE] [--backend=FILE.so]
#                           [--data=DIR [--iterations=N]] [--limit=SECONDS] [--list]
#   --build=DIR       a build with tests (default build/release; in a package, the package)
#   --output=DIR      results (default gpu_check in the build)
#   --only=STAGE      these stages only: a name, or what names begin with (`speed`)
#   --data=DIR        CIFAR-10's binary files: adds the stages accuracy_FLOAT32 and accuracy_BFLOAT16, the full
#                     recipe of ResNet-20, which go on with their snapshots
#   --iterations=N    of these, instead of the recipe's 64000
#   --python=FILE     the Python whose PyTorch is measured in the same run (default python3)
#   --backend=FILE.so a trial without a GPU: small shares of all stages on the emulation's module
#   --limit=SECONDS   after which a stage is stopped (default 470)
#   --list            print the names of the stages
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/common.sh
source tools/common.sh

build=build/release
[[ -x bin/resnet ]] && build=.
models=models
[[ -d $models ]] || models=share/resnet/models
output='' only='' data='' iterations=64000 python=python3 backend=cuda limit=470 list=false run=''
arguments=("$@")
for argument in "$@"; do
  case $argument in
    --build=*) build=${argument#*=} ;;
    --output=*) output=${argument#*=} ;;
    --only=*) only=${argument#*=} ;;
    --data=*) data=${argument#*=} ;;
    --iterations=*) iterations=${argument#*=} ;;
    --python=*) python=${argument#*=} ;;
    --backend=*) backend=${argument#*=} ;;
    --limit=*) limit=${argument#*=} ;;
    --list) list=true ;;
    --run=*) run=${argument#*=} ;; # by this script itself: one stage
    -h | --help)
      usage
      exit 0
      ;;
    *)
      echo "gpu_check.sh: unknown option '$argument'; see --help" >&2
      exit 2
      ;;
  esac
done
resnet=$build/bin/resnet
tests=$build/tests
output=${output:-$build/gpu_check}
[[ $output == /* ]] || output=$PWD/$output
trial=false
device=gpu
if [[ $backend != cuda ]]; then
  trial=true
  device=emulated
  export RESNET_TEST_EMULATED_CUDA=$backend
fi
export RESNET_TEST_SOURCE_DIR=$PWD RESNET_TEST_BACKEND_DIR=$build/lib/resnet
if [[ -n ${RESNET_CUDA_LIBRARIES:-} ]]; then
  export LD_LIBRARY_PATH=$RESNET_CUDA_LIBRARIES${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
fi

readonly kSkipped=77 kUnfinished=75
skip() {
  echo "skipped: $1"
  exit "$kSkipped"
}

# What to measure: NET:BATCH:SHAPE, and in which precisions.
nets=("cifar10/resnet20:128:3,32,32" "imagenet/resnet18:128:3,224,224" "imagenet/resnet50:256:3,224,224")
precisions=(FLOAT32 BFLOAT16 FLOAT16)
shares=6 # of the op cases, the slowest of which take `reference` minutes
if $trial; then
  nets=("cifar10/resnet20:2:3,32,32")
  precisions=(FLOAT32 BFLOAT16)
  shares=1
fi

peer_variants() {
  if $trial; then
    echo nhwc
    return
  fi
  "$python" tools/bench/peer_torch.py --mode=train --device=cuda --list 2>/dev/null || echo all
}

stages() {
  local net math variant share
  echo info launch patterns
  for ((share = 1; share <= shares; ++share)); do echo "ops_$share"; done
  echo training memcheck racecheck initcheck parity
  for net in "${nets[@]}"; do
    net=${net%%:*}
    for math in "${precisions[@]}"; do
      echo "speed_${net#*/}_$math"
      for variant in $(peer_variants); do echo "peer_${net#*/}_${math}_$variant"; done
    done
  done
  if [[ -n $data ]]; then echo accuracy_FLOAT32 accuracy_BFLOAT16; fi
}
mapfile -t names < <(stages | tr ' ' '\n')
if $list; then
  printf '%s\n' "${names[@]}"
  exit 0
fi
if [[ $only == accuracy* && -z $data ]]; then
  echo "gpu_check.sh: the accuracy stages need --data=DIR with CIFAR-10's binary files" >&2
  exit 2
fi

# tests PROGRAM FILTER: its tests, at least one of which must run.
run_tests() {
  "$tests/$1" --gtest_filter="$2" | tee "$output/$run.tests"
  grep -q '^\[  PASSED  \] [1-9]' "$output/$run.tests" || { echo "no test has run"; return 1; }
}

run_ops() {
  export GTEST_TOTAL_SHARDS=$shares GTEST_SHARD_INDEX=$((${run#ops_} - 1))
  if $trial; then
    run_tests ops_test 'Ops/Equality.WithReference/cuda_conv_*'
  else
    run_tests ops_test '*/cuda_gpu*:Gpu.*'
  fi
}

run_training() {
  if $trial; then
    run_tests cuda_test '*FollowsTheCpu/emulated'
  else
    run_tests cuda_test '*/gpu:Gpu.*'
  fi
}

run_sanitizer() { # of a small training run
  command -v compute-sanitizer >/dev/null || skip "compute-sanitizer is not installed"
  compute-sanitizer --error-exitcode=9 --tool "$run" "$tests/cuda_test" \
    --gtest_filter="*FollowsTheCpu/$device:*TrainsInSixteenBits/$device"
}

run_patterns() {
  [[ -x $tests/cudnn_patterns ]] || skip "this build has no CUDA backend"
  if $trial; then
    "$tests/cudnn_patterns" --described
  else
    "$tests/cudnn_patterns"
  fi
}

run_launch() {
  if $trial; then
    "$tests/launch_cost_emulated" 20 3
  else
    "$tests/launch_cost"
  fi
}

run_parity() { # of a net in float32 on made-up pictures, from a low rate
  local work=$output/parity depth=20 steps=50 on
  $trial && depth=8 steps=12
  rm -rf "$work"
  mkdir -p "$work"
  "$resnet" convert shapes --output="$work/shapes" --train=2000 --test=100 --quiet
  "$resnet" define --family=cifar --depth=$depth --output="$work/net" --source="$work/shapes"
  sed -i 's#mean_file: "[^"]*"#mean_value: 128 scale: 0.015#; s#batch_size: 128#batch_size: 16#' \
    "$work/net/train_val.prototxt"
  for on in cpu "$backend"; do
    printf 'net: "train_val.prototxt" base_lr: 0.0001 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.0001
      max_iter: %d display: 1 window: 20 random_seed: 1 snapshot_prefix: "%s"\n' "$steps" \
      "$work/$(basename "$on")" >"$work/net/solver.prototxt"
    "$resnet" train --solver="$work/net/solver.prototxt" --backend="$on" --quiet >/dev/null
    sed -n 's/.*"iteration_loss": *\([^,}]*\).*/\1/p' "$work/$(basename "$on").log.jsonl" >"$work/losses_$(basename "$on")"
  done
  paste "$work/losses_cpu" "$work/losses_$(basename "$backend")" | awk -v steps="$steps" '
    { e = ($1 - $2) / $1; e = e < 0 ? -e : e; if (!(e <= all)) all = e; if (NR <= 10 && !(e <= first)) first = e }
    NF != 2 { all = "nan" }
    END {
      printf "{\"steps\": %d, \"first_ten\": %.2g, \"all\": %.2g}\n", NR, first, all
      exit !(NR == steps && first <= 1e-4 && all <= 1e-2)
    }'
}

# net_of STAGE: sets net, batch, shape and math from speed_NET_MATH or peer_NET_MATH_VARIANT.
net_of() {
  local entry
  for entry in "${nets[@]}"; do
    IFS=: read -r net batch shape <<<"$entry"
    [[ $1 == *"_${net#*/}_"* ]] && break
  done
  math=${1#*"_${net#*/}_"}
  variant=${math#*_}
  math=${math%%_*}
}

run_speed() {
  local net batch shape math variant count=50
  net_of "$run"
  $trial && count=2
  "$resnet" time --model="$models/$net/train_val.prototxt" --input_shape="$shape" --phase=TRAIN --batch="$batch" \
    --math="$math" --iterations="$count" --backend="$backend" --json --quiet
}

run_peer() {
  local net batch shape math variant arguments
  net_of "$run"
  command -v "$python" >/dev/null || skip "there is no $python"
  "$python" -c 'import torch' 2>/dev/null || skip "$python has no torch"
  arguments=(--net="${net#*/}" --mode=train --batch="$batch" --math="$math" --seconds=5 --json)
  if $trial; then
    [[ $math == FLOAT32 ]] || skip "one precision is enough for a trial"
    "$python" tools/bench/peer_torch.py "${arguments[@]}" --device=cpu --threads=1 --variant="$variant" --seconds=0.1
    return
  fi
  "$python" -c 'import torch; raise SystemExit(not torch.cuda.is_available())' || skip "$python's torch sees no GPU"
  "$python" tools/bench/peer_torch.py "${arguments[@]}" --device=cuda --variant="$variant"
}

run_accuracy() { # full recipe; a stage that is stopped goes on from its snapshot
  local math=${run#accuracy_} work=$output/$run code=0
  mkdir -p "$work"
  if [[ ! -e $work/net/solver.prototxt ]]; then
    "$resnet" mean --source="$data" --output="$work/mean.binaryproto"
    "$resnet" define --family=cifar --depth=20 --output="$work/net" --source="$data"
    sed -i "s#mean_file: \"[^\"]*\"#mean_file: \"$work/mean.binaryproto\"#" "$work/net/train_val.prototxt"
    sed -i "s#snapshot_prefix: .*#snapshot_prefix: \"$work/resnet20\"#" "$work/net/solver.prototxt"
  fi
  # Stops before the stage does, with a snapshot and exit code 75.
  timeout --foreground --signal=TERM --preserve-status $((limit - limit / 10)) "$resnet" train --solver="$work/net/solver.prototxt" \
    --math="$math" --max_iter="$iterations" --snapshot=auto --backend="$backend" --json --quiet || code=$?
  ((code != kUnfinished)) || echo "stopped with a snapshot; start gpu_check.sh again to go on"
  ((code == 0)) || return "$code"
  "$resnet" test --model="$work/net/train_val.prototxt" --weights="$work/resnet20_iter_$iterations.caffemodel" \
    --backend="$backend" --json --quiet
}

if [[ -n $run ]]; then
  trap 'exit 124' TERM # once the program that runs has ended
  case $run in
    info) "$resnet" info --backend="$backend" ;;
    *check) run_sanitizer ;;
    *) "run_${run%%_*}" ;;
  esac
  exit
fi

if [[ ! -x $resnet || ! -x $tests/ops_test ]]; then
  echo "gpu_check.sh: $build holds no build with tests; run tools/build.sh, or pack with tools/package.sh --tests" >&2
  exit 2
fi
mkdir -p "$output"
if ! $trial && ! "$resnet" info --device=cuda --json >"$output/info.json" 2>"$output/info.err"; then
  tail -n 1 "$output/info.err" >&2
  exit 4
fi

# stage NAME: runs it unless it is done; its output goes to OUTPUT/NAME.log, how it ended to OUTPUT/NAME.result.
stage() {
  local name=$1 begin=$SECONDS code=0 result
  [[ -z $only || $name == "$only" || $name == "${only}_"* ]] || return 0
  [[ ! -e $output/$name.result || $(<"$output/$name.result") != ok* ]] || return 0
  echo "== $name"
  timeout --signal=TERM --kill-after=8 "$limit" "$BASH" "$PWD/tools/gpu_check.sh" "${arguments[@]}" --run="$name" \
    >"$output/$name.log" 2>&1 || code=$?
  case $code in
    0) result=ok ;;
    "$kSkipped") result=skipped ;;
    "$kUnfinished") result=unfinished ;;
    124 | 137) result="failed (not done after $limit s)" ;;
    *) result=failed ;;
  esac
  echo "$result $((SECONDS - begin)) s" >"$output/$name.result"
  [[ $result == ok ]] || echo "   $result; see $output/$name.log" >&2
}
for name in "${names[@]}"; do stage "$name"; done

# The first number behind a key of a log's JSON.
number_of() { grep -o "\"$2\": *[0-9.e+-]*" "$1" 2>/dev/null | head -n 1 | sed 's/.*: *//' || true; }

# A table of our speed beside PyTorch's best.
compare() {
  local net math log ours best rate peer variant
  printf '| net | batch | math | images/s | PyTorch, its best variant | ratio |\n|---|---|---|---|---|---|\n'
  for net in "${nets[@]}"; do
    IFS=: read -r net batch _ <<<"$net"
    net=${net#*/}
    for math in "${precisions[@]}"; do
      ours=$(number_of "$output/speed_${net}_$math.log" images_per_s)
      [[ -n $ours ]] || continue
      best=0 variant='not measured'
      for log in "$output/peer_${net}_${math}_"*.log; do
        [[ -e $log && $(<"${log%.log}.result") == ok* ]] || continue
        rate=$(number_of "$log" images_per_s)
        awk -v a="$rate" -v b="$best" 'BEGIN { exit !(a > b) }' || continue
        best=$rate variant=$(basename "$log" .log)
        variant=${variant#"peer_${net}_${math}_"}
      done
      peer=$variant
      [[ $best == 0 ]] || peer="$best ($variant)"
      printf '| %s | %s | %s | %s | %s | %s |\n' "$net" "$batch" "$math" "$ours" "$peer" \
        "$(awk -v a="$ours" -v b="$best" 'BEGIN { if (b > 0) printf "%.2f", a / b; else print "" }')"
    done
  done
}

revision=$(git rev-parse --short HEAD 2>/dev/null || "$resnet" --version | head -n 1)
{
  echo "# GPU check of $(date -u +%F)"
  echo
  $trial && printf 'A TRIAL WITHOUT A GPU: its numbers mean nothing.\n\n'
  # shellcheck disable=SC2016  # Markdown
  printf '`tools/gpu_check.sh %s`, revision %s\n\n## Speed of training\n\n' "${arguments[*]}" "$revision"
  compare
  for name in "${names[@]}"; do
    [[ -e $output/$name.result ]] || continue
    # shellcheck disable=SC2016
    printf '\n## %s: %s\n\n```\n%s\n```\n' "$name" "$(<"$output/$name.result")" "$(tail -n 60 "$output/$name.log")"
  done
} >"$output/report.md"
{
  printf '{"date": "%s", "revision": "%s", "trial": %s, "stages": {' "$(date -u +%FT%TZ)" "$revision" "$trial"
  separator=''
  for name in "${names[@]}"; do
    [[ -e $output/$name.result ]] || continue
    read -r result _ <"$output/$name.result"
    printf '%s\n"%s": {"result": "%s", "measured": [%s]}' "$separator" "$name" "$result" \
      "$(grep '^{.*}$' "$output/$name.log" | paste -sd, - || true)"
    separator=,
  done
  printf '\n}}\n'
} >"$output/report.json"
echo "$output/report.md"

for name in "${names[@]}"; do
  [[ ! -e $output/$name.result ]] || ! grep -qE '^(failed|unfinished)' "$output/$name.result" || exit 1
done

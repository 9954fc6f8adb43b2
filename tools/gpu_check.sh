#!/usr/bin/env bash
# Checks a build on a machine with a GPU, needs no network, and writes OUTPUT/report.md and report.json. Stages that
# are done are not run again: after an interruption, start it once more. Each stage is stopped after 8 minutes.
#
# usage: tools/gpu_check.sh [--build=DIR] [--output=DIR] [--only=STAGE] [--backend=NAME|FILE.so]
#   --build=DIR     a build with tests (default build/release)
#   --output=DIR    results (default DIR/gpu_check of the build)
#   --only=STAGE    info, ops, training, memcheck, racecheck, initcheck, parity or speed
#   --backend=NAME  what parity and speed run on (default cuda; a module's file for a trial without a GPU)
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/common.sh
source tools/common.sh

build=build/release
output=
only=
backend=cuda
for argument in "$@"; do
  case $argument in
    --build=*) build=${argument#*=} ;;
    --output=*) output=${argument#*=} ;;
    --only=*) only=${argument#*=} ;;
    --backend=*) backend=${argument#*=} ;;
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
output=${output:-$build/gpu_check}
if [[ ! -x $resnet || ! -x $build/tests/ops_test ]]; then
  echo "gpu_check.sh: $build holds no build with tests; run tools/build.sh" >&2
  exit 2
fi
mkdir -p "$output"
if [[ $backend == cuda ]] && ! "$resnet" info --device=cuda --json >"$output/info.json" 2>"$output/info.err"; then
  tail -1 "$output/info.err" >&2
  exit 4
fi

failed=0
# stage NAME COMMAND..: runs it unless OUTPUT/NAME.ok is there; its output goes to OUTPUT/NAME.log.
stage() {
  local name=$1
  shift
  if [[ -n $only && $only != "$name" ]] || [[ -e $output/$name.ok ]]; then return; fi
  echo "== $name"
  local begin=$SECONDS
  rm -f "$output/$name.failed"
  if timeout 480 "$@" >"$output/$name.log" 2>&1; then
    echo "$((SECONDS - begin))" >"$output/$name.ok"
  else
    echo "$((SECONDS - begin))" >"$output/$name.failed"
    echo "   failed; see $output/$name.log" >&2
    failed=1
  fi
}

# shellcheck disable=SC2317
sanitize() { # of a small training run
  command -v compute-sanitizer >/dev/null || { echo "compute-sanitizer is not installed"; return 1; }
  timeout 480 compute-sanitizer --error-exitcode=9 --tool "$1" "$build/tests/cuda_test" \
    --gtest_filter='*FollowsTheCpu/gpu:*TrainsInSixteenBits/gpu'
}
export -f sanitize
export build

# shellcheck disable=SC2317
parity() { # of ResNet-20 in float32 on made-up pictures, from a low rate
  local work=$output/parity
  rm -rf "$work"
  mkdir -p "$work"
  "$resnet" convert shapes --output="$work/shapes" --train=2000 --test=100
  "$resnet" define --family=cifar --depth=20 --output="$work/net"
  sed -i "s#mean_file: \"[^\"]*\"#mean_value: 128 scale: 0.015#; s#source: \"[^\"]*\"#source: \"$PWD/$work/shapes\"#
    s#batch_size: 128#batch_size: 16#" "$work/net/train_val.prototxt"
  local device
  for device in cpu "$backend"; do
    printf 'net: "train_val.prototxt" base_lr: 0.0001 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.0001
      max_iter: 50 display: 1 window: 20 random_seed: 1 snapshot_prefix: "%s"\n' "$PWD/$work/$(basename "$device")" \
      >"$work/net/solver.prototxt"
    "$resnet" train --solver="$work/net/solver.prototxt" --backend="$device"
  done
  python3 - "$work/cpu.log.jsonl" "$work/$(basename "$backend").log.jsonl" <<'END'
import json, sys
cpu, gpu = ([x["iteration_loss"] for x in map(json.loads, open(f)) if x.get("event", x.get("type")) == "step"] for f in sys.argv[1:])
errors = [abs(a - b) / abs(a) for a, b in zip(cpu, gpu)]
print(f"{len(errors)} steps; largest difference of the first ten losses {max(errors[:10]):.1e}, of all {max(errors):.1e}")
sys.exit(not (len(errors) == 50 and max(errors[:10]) <= 1e-4 and max(errors) <= 1e-2))
END
}

# shellcheck disable=SC2317
speed() {
  local net math batch shape
  for net in cifar10/resnet20:128 imagenet/resnet18:128 imagenet/resnet50:256; do
    batch=${net#*:}
    shape=3,224,224
    [[ $net != cifar10* ]] || shape=3,32,32
    for math in FLOAT32 BFLOAT16 FLOAT16; do
      echo "${net%:*} batch $batch $math: $("$resnet" time --model="models/${net%:*}/train_val.prototxt" \
        --input_shape="$shape" --phase=TRAIN --batch="$batch" --math="$math" --iterations=50 --backend="$backend" --json --quiet)"
    done
  done
}
export -f parity speed
export resnet output backend

stage info "$resnet" info --backend="$backend"
stage ops "$build/tests/ops_test" --gtest_filter='*cuda_gpu*:Gpu.*'
stage training "$build/tests/cuda_test" --gtest_filter='*gpu*:Gpu.*'
stage memcheck bash -c 'sanitize memcheck'
stage racecheck bash -c 'sanitize racecheck'
stage initcheck bash -c 'sanitize initcheck'
stage parity bash -ec parity
stage speed bash -ec speed

{
  echo "# GPU check of $(date -u +%F)"
  echo
  echo "\`tools/gpu_check.sh --build=$build\`, revision $(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
  for name in info ops training memcheck racecheck initcheck parity speed; do
    [[ -e $output/$name.log ]] || continue
    result=failed
    [[ -e $output/$name.ok ]] && result="ok, $(<"$output/$name.ok") s"
    # shellcheck disable=SC2016  # a fence of Markdown
    printf '\n## %s: %s\n\n```\n%s\n```\n' "$name" "$result" "$(tail -n 20 "$output/$name.log")"
  done
} >"$output/report.md"
{
  printf '{'
  separator=
  for name in info ops training memcheck racecheck initcheck parity speed; do
    [[ -e $output/$name.ok ]] && printf '%s"%s": true' "$separator" "$name" && separator=', '
    [[ -e $output/$name.failed ]] && printf '%s"%s": false' "$separator" "$name" && separator=', '
  done
  printf '}\n'
} >"$output/report.json"
echo "$output/report.md"
exit "$failed"

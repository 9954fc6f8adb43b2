#!/usr/bin/env bash
# Builds the fuzz targets of tests/fuzz (preset `fuzz`: Clang, libFuzzer, both sanitizers) and runs one after
# the other, each from its seeds in tests/fuzz/corpus and from what earlier runs found in build/fuzz/corpus.
# Prints a line for each target; exits 1 if one crashed, hung for 25 s, or took more than 2 GiB of memory. The
# input that did it is then in build/fuzz/findings: add it to tests/fuzz/corpus/TARGET, with the fix.
#
# usage: tools/dev/fuzz.sh [--seconds=N] [TARGET...]
#   --seconds=N  for each target (default 600)
#   TARGET       by default all: the folders of tests/fuzz/corpus
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tools/common.sh
source tools/common.sh

seconds=600
targets=()
for argument in "$@"; do
  case $argument in
    --seconds=*) seconds=${argument#*=} ;;
    -h | --help)
      usage
      exit 0
      ;;
    -*)
      echo "fuzz.sh: unknown option '$argument'; see --help" >&2
      exit 2
      ;;
    *) targets+=("$argument") ;;
  esac
done
if ((${#targets[@]} == 0)); then
  for folder in tests/fuzz/corpus/*/; do targets+=("$(basename "$folder")"); done
fi
for target in "${targets[@]}"; do
  [[ -d tests/fuzz/corpus/$target ]] || { echo "fuzz.sh: there is no target '$target'" >&2; exit 2; }
done
command -v clang++ >/dev/null || { echo "fuzz.sh: clang++ is missing; tools/setup.sh --dev installs it" >&2; exit 2; }

tools/build.sh fuzz "${targets[@]/#/fuzz_}"
findings=build/fuzz/findings
mkdir -p "$findings"
# Words of the two text formats.
dictionary=build/fuzz/prototxt.dict
grep -oE '[A-Za-z_][A-Za-z0-9_]+' proto/resnet.proto | sort -u | sed 's/.*/"&"/' >"$dictionary"

last() { grep -oE "$2" "$1" | tail -n 1 | grep -oE '[0-9]+$' || echo 0; }  # LOG PATTERN: its last number

status=0
for target in "${targets[@]}"; do
  work=build/fuzz/corpus/$target
  log=build/fuzz/$target.log
  mkdir -p "$work"
  options=()
  if [[ $target == *_prototxt ]]; then options+=("-dict=$dictionary"); fi
  before=$SECONDS code=0
  build/fuzz/bin/fuzz_"$target" -max_total_time="$seconds" -rss_limit_mb=2048 -malloc_limit_mb=2048 -timeout=25 \
    -max_len=8192 -print_final_stats=1 -artifact_prefix="$findings/$target-" "${options[@]}" \
    "$work" "tests/fuzz/corpus/$target" >"$log" 2>&1 || code=$?
  result=ok
  if ((code)); then
    status=1
    result="FAILED: $(grep -oE '(Test unit written to|SUMMARY:|ERROR: libFuzzer:) .*' "$log" | paste -sd ' ' || true) ($log)"
  fi
  printf '%-16s %5d s  %9d runs  coverage %5d  %4d MiB  %s\n' "$target" $((SECONDS - before)) \
    "$(last "$log" 'number_of_executed_units: *[0-9]+')" "$(last "$log" 'cov: [0-9]+')" \
    "$(last "$log" 'peak_rss_mb: *[0-9]+')" "$result"
done
exit $status

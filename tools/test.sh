#!/usr/bin/env bash
# Installs packages, builds, and runs the tests. The last line says how many passed, failed and were
# skipped; exits 1 unless all that ran passed.
#
# usage: tools/test.sh [--preset=NAME] [--full] [--only=REGEX] [--no-setup]
#   --preset=NAME  what to build and test (default release; see CMakePresets.json)
#   --full         also the long tests (label `slow`, and RESNET_SLOW_TESTS=1)
#   --only=REGEX   only the ctest tests whose names match
#   --no-setup     do not look for missing packages
# Tests that compare with Python packages use the interpreter $RESNET_PYTHON, or else build/python.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/common.sh
source tools/common.sh

preset=release
labels=(--label-exclude slow)
filter=()
setup=true
for argument in "$@"; do
  case $argument in
    --preset=*) preset=${argument#*=} ;;
    --full)
      labels=()
      export RESNET_SLOW_TESTS=1
      ;;
    --only=*) filter+=(--tests-regex "${argument#*=}") ;;
    --no-setup) setup=false ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      echo "test.sh: unknown option '$argument'; see --help" >&2
      exit 2
      ;;
  esac
done

start=$SECONDS
case $preset in
  tsan) export TSAN_OPTIONS="suppressions=$PWD/tools/dev/tsan.supp halt_on_error=1 ${TSAN_OPTIONS:-}" ;;
  asan-ubsan) export UBSAN_OPTIONS="print_stacktrace=1 ${UBSAN_OPTIONS:-}" ;;
esac

log=$PWD/build/$preset.test.log

if $setup; then stage setup tools/setup.sh; fi
# RESNET_CUDA=ON in the environment insists on the CUDA backend, OFF leaves it out.
if $setup && [[ ${RESNET_CUDA:-AUTO} != OFF ]] && { [[ ${RESNET_CUDA:-} == ON ]] || has_cuda; }; then
  if ! tools/setup.sh --cuda; then
    [[ ${RESNET_CUDA:-} != ON ]] || exit 1
    echo "== the CUDA backend is not built: cudnn-frontend could not be fetched"
  fi
fi
if $setup && [[ -z ${RESNET_PYTHON:-} ]] && ! tools/setup.sh --python; then
  echo "== tests that compare with Python packages are skipped: they could not be installed"
fi
stage build tools/build.sh "$preset"
echo "== test"
# Two at a time, since one thread does much of most of them; idle threads sleep. Tests that fail, and a run without
# tests, are found in the log afterwards.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
{ ctest --test-dir "build/$preset" --verbose --parallel 2 "${labels[@]}" "${filter[@]}" </dev/null 2>&1 || true; } |
  tee "$log" | { grep --line-buffered -E '^ *[0-9]+/[0-9]+ Test' || true; }

status=0
summary=$(awk -f tools/dev/summarize_tests.awk "$log") || status=1

if ((status)); then
  echo
  echo "== output of the tests that failed (all of it: $log)"
  awk '/^ *[0-9]+: /{ split($0, p, ":"); text[p[1] + 0] = text[p[1] + 0] $0 "\n"; next }
       /Test +#[0-9]+:.*(\*\*\*)/ && !/\*\*\*Skipped/ { n = $0; sub(/^.*Test +#/, "", n); printf "%s", text[n + 0] }' "$log" |
    grep -vE '^ *[0-9]+: \[ (RUN|      OK) ' | tail -n 200
fi
echo "== total: $((SECONDS - start)) s"
echo "${summary#$'\n'}"
exit $status

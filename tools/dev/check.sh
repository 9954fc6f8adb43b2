#!/usr/bin/env bash
# The gate for a change, the same locally and before a merge: format, lint, sizes, include rules, build,
# fast tests. Runs every step and fails at the end if one failed.
#
# usage: tools/dev/check.sh [--full] [--base=REF] [--no-tests]
#   --full      lint every file, long tests, and the sanitizer builds with their tests
#   --base=REF  lint the files that differ from REF (default: where this branch left origin/main, else
#               the last commit)
#   --no-tests  format, lint, sizes and include rules only
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tools/common.sh
source tools/common.sh

full=false
tests=true
base=
for argument in "$@"; do
  case $argument in
    --full) full=true ;;
    --base=?*) base=${argument#*=} ;;
    --no-tests) tests=false ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      echo "check.sh: unknown option '$argument'; see --help" >&2
      exit 2
      ;;
  esac
done
[[ -n $base ]] || base=$(git merge-base HEAD origin/main 2>/dev/null || git rev-parse HEAD~1)

for tool in clang-format clang-tidy shellcheck; do
  command -v "$tool" >/dev/null || { echo "check.sh: $tool is missing; tools/setup.sh --dev installs it" >&2; exit 2; }
done

format() { git ls-files -z '*.h' '*.cpp' '*.inc' '*.cu' | xargs -0 clang-format --dry-run -Werror; }

scripts() { git ls-files -z '*.sh' .ci/run | xargs -0 shellcheck --external-sources; }

# Sources to lint: those that changed, and for a changed header those of its folder.
lint_files() {
  if $full; then
    git ls-files 'src/*.cpp' 'tools/*.cpp'
    return
  fi
  local file
  git diff --name-only --diff-filter=d "$base" -- 'src/*.cpp' 'src/*.h' 'tools/*.cpp' 'tools/*.h' 'include/*.h' |
    while read -r file; do
      case $file in
        *.cpp) echo "$file" ;;
        include/resnet/*) git ls-files "src/$(basename "$(dirname "$file")")/*.cpp" ;;
        *) git ls-files "$(dirname "$file")/*.cpp" ;;
      esac
    done | sort -u
}

lint() {
  lint_files | xargs --no-run-if-empty --max-procs="$(nproc)" --max-args=1 \
    clang-tidy --quiet -p build/release 2> >(grep -vE '^[0-9]+ warnings? (generated|treated)' >&2)
}

failed=()
check() {  # NAME COMMAND...
  local name=$1 from=$SECONDS status=0
  shift
  echo "== $name"
  ("$@") || status=$?
  ((status == 0)) || failed+=("$name")
  echo "== $name: $( ((status == 0)) && echo ok || echo FAILED), $((SECONDS - from)) s"
}

check format format
check scripts scripts
check sizes tools/dev/check_sizes.sh
check includes tools/dev/check_includes.sh
check build tools/build.sh release
check lint lint
if $tests; then
  test_options=(--no-setup)
  $full && test_options+=(--full)
  check tests tools/test.sh "${test_options[@]}"
  if $full; then
    check asan-ubsan tools/test.sh --preset=asan-ubsan --no-setup
    check tsan tools/test.sh --preset=tsan --no-setup
  fi
fi

if ((${#failed[@]})); then
  echo "check.sh: failed: ${failed[*]}" >&2
  exit 1
fi
echo "check.sh: all is well"

#!/usr/bin/env bash
# Formats the C++ files of the project in place (or those that are named).
# usage: tools/dev/format.sh [FILE...]
set -euo pipefail
cd "$(dirname "$0")/../.."

if (($#)); then
  clang-format -i "$@"
else
  git ls-files -z '*.h' '*.cpp' '*.inc' '*.cu' | xargs -0 clang-format -i
fi

#!/usr/bin/env bash
# Fails on files that are too long to read: 500 lines, public headers 200, lines 120 characters
# (clang-format keeps code within 100; comments with tables of operands may be wider).
# usage: tools/dev/check_sizes.sh [ROOT]
set -euo pipefail
cd "${1:-$(dirname "$0")/../..}"

# shellcheck disable=SC2016  # awk
git ls-files '*.h' '*.cpp' '*.inc' '*.cu' '*.sh' '*.cmake' '*.proto' 'CMakeLists.txt' |
  xargs awk '
  function report() {
    limit = file ~ /^include\// ? 200 : file ~ /\.proto$/ ? 1000 : 500
    if (file != "" && lines > limit) { printf "%s: %d lines, at most %d\n", file, lines, limit; ++failures }
  }
  FNR == 1 { report(); file = FILENAME }
  { lines = FNR }
  file ~ /\.(h|cpp|inc|cu)$/ {
    text = $0
    gsub(/[\200-\277]/, "", text)  # the later bytes of a UTF-8 character
    # A string that is long in itself cannot be broken without harm.
    if (length(text) > 120 && text !~ /^[^"]*"[^"]*"[;,)]*$/) {
      printf "%s:%d: %d characters, at most 120\n", file, FNR, length(text); ++failures
    }
  }
  END {
    report()
    if (failures) { printf "%d files or lines are too long\n", failures; exit 1 }
    print "files and lines have readable lengths"
  }'

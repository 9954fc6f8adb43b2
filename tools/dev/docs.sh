#!/usr/bin/env bash
# Writes the reference of the public headers, include/resnet, to build/docs/html. Fails on every warning of
# Doxygen.
#
# usage: tools/dev/docs.sh [--output=DIR]
#   --output=DIR  in place of build/docs
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tools/common.sh
source tools/common.sh

output=build/docs
for argument in "$@"; do
  case $argument in
    --output=?*) output=${argument#*=} ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      echo "docs.sh: unknown option '$argument'; see --help" >&2
      exit 2
      ;;
  esac
done
command -v doxygen >/dev/null || { echo "docs.sh: doxygen is missing; tools/setup.sh --dev installs it" >&2; exit 2; }

version=$(sed -n 's/^project(resnet VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
mkdir -p "$output"
{
  cat docs/Doxyfile
  echo "OUTPUT_DIRECTORY = \"$output\""
  echo "PROJECT_NUMBER = $version"
} | doxygen -
echo "$output/html/index.html"

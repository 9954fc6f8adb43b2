#!/usr/bin/env bash
# Compares training and inference on the CPU with PyTorch's in alternating runs, and both with what the machine could
# reach at best; builds what it needs first. Options, rows and what is written: tools/bench/cpu.sh --help
set -euo pipefail
cd "$(dirname "$0")/../.."

if [[ " $* " != *" --help "* && " $* " != *" -h "* ]]; then
  tools/build.sh release resnet_tool ceiling >/dev/null
fi
exec python3 tools/bench/cpu.py "$@"

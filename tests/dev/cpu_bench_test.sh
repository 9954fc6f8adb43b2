#!/usr/bin/env bash
# tools/bench/cpu.py, with stand-ins for the programs that it runs: which peer it takes, medians, targets, refusals.
# usage: cpu_bench_test.sh SOURCE_DIR
set -euo pipefail
if ! command -v python3 >/dev/null; then
  echo "there is no python3"
  exit 77
fi
work=$(mktemp -d)
trap 'status=$?; ((status == 0)) || cat "$work/log"; rm -rf "$work"' EXIT

# resnet: 5 images/s faster with every run, twice as fast with two threads.
cat >"$work/resnet" <<'E2'
#!/usr/bin/env bash
[[ $1 == info ]] && { echo "version 1.2.3"; exit; }
[[ $* == *resnet56* ]] && { echo "broken" >&2; exit 70; }
[[ $* == *BFLOAT16* ]] && { echo "no bfloat16 here" >&2; exit 4; }
[[ $* == *"--bind=cores"* && $* == *"--later=1"* ]] || { echo "missing flags: $*" >&2; exit 2; }
runs=$(cat "$0.runs" 2>/dev/null || echo 0)
echo $((runs + 1)) >"$0.runs"
rate=$((60 + 5 * runs))
[[ $* == *--threads=2* ]] && rate=$((2 * rate))
echo "{\"images_per_s\": $rate, \"ms_per_step\": 20, \"peak_bytes\": 600, \"startup_s\": 1.5, \"latency_ms_p50\": 3, \"latency_ms_p99\": 4}"
E2
# Peers: the slower one says 50 images/s, the faster one 100 by the variant `good`.
cat >"$work/slow" <<'E2'
#!/usr/bin/env bash
[[ $1 == -c ]] && { echo "{\"torch\": \"$(basename "$0")\"}"; exit; }
[[ $OMP_PROC_BIND == true ]] || exit 1
rate=50 ms=40
[[ $0 == */fast ]] && rate=100 ms=20
[[ $* == *--variant=* && ($0 != */fast || $* != *--variant=good*) ]] && exit 1
[[ $* == *--mode=infer* ]] && calls=", \"p50_ms\": $ms, \"p99_ms\": 30"
echo "{\"torch\": \"$(basename "$0")\", \"batch\": 1, \"best\": \"good\", \"variants\": {}, \"images_per_s\": $rate, \"peak_rss_bytes\": 1000${calls:-}}"
E2
cp "$work/slow" "$work/fast"
printf '#!/usr/bin/env bash\nexit 1\n' >"$work/none"  # has no torch
printf '#!/usr/bin/env bash\necho "{\\"images_per_s\\": %s}"\n' 150 >"$work/ceiling"
chmod +x "$work"/{resnet,slow,fast,none,ceiling}

bench() {
  rm -f "$work/resnet.runs"
  python3 "$1/tools/bench/cpu.py" --python="$work/none,$work/slow,$work/fast" --resnet="$work/resnet" --ceiling="$work/ceiling" \
    --pairs=3 --threads=2 --flags=--later=1 --output="$work/out" "${@:2}" 2>"$work/log"
}
expect() {  # TEXT that a line of the table contains
  grep -qF -- "$1" "$work/out/cpu.md" || { printf 'no "%s" in\n' "$1"; cat "$work/out/cpu.md" "$work/log"; exit 1; }
}

bench "$1" --rows=train_resnet50_f32 >/dev/null
# Runs of 130, 140 and 150 images/s after a first one; 0.88 of the ceiling is 1.32 times the peer's 100.
expect "| training, resnet50, batch 16, float32 | 140 | 100 (torch fast, good) | 1.400 (1.300 to 1.500) | 1.200 | 150, 93 % | met |"
expect "| … its peak memory, MiB | 0 | 0 | 0.600 (0.600 to 0.600) | at most 0.7 | | met |"
bench "$1" --rows=train_resnet20_f32,latency_resnet50_f32,train_resnet18_bf16,scaling_resnet20,startup_resnet50 >/dev/null
expect "| training, resnet20, batch 128, float32 | 140 | 100 (torch fast, good) | 1.400 (1.300 to 1.500) | 1.320 (ceiling) | 150, 93 % | met |"
# Faster than the ceiling, which does not count then.
expect "| inference, resnet50, batch 1, float32 | 180 | 50 (torch fast, good) | 3.600 (3.400 to 3.800) | 1.200 | 150, 120 % | met |"
expect "| … its latency p50 / p99, ms | 3.00 / 4.00 | 20.00 / 30.00 |"
expect "| refused |  |  |  |  | refused: no bfloat16 here |"
expect "| 240 | one thread: 115 | 2.087 (2.080 to 2.095) | 1.85 |  | met |"
expect "| start-up, resnet50 | 1.50 s (1.50 to 1.50) |  |  | 2 s |  | met |"
expect "training, resnet50"  # of the first call
status=0
bench "$1" --rows=train_resnet56_f32,startup_resnet50 >/dev/null || status=$?
[[ $status == 1 ]] || { echo "exit $status after a row that failed"; exit 1; }
grep -q "broken" "$work/log"
python3 - "$work/out/cpu.json" <<'E2'
import json, sys
rows = json.load(open(sys.argv[1]))["rows"]
assert "train_resnet56_f32" not in rows
facts = rows["train_resnet50_f32"]["facts"]
assert facts["resnet"]["version"] == "1.2.3" and [peer["torch"] for peer in facts["peers"]] == ["slow", "fast"], facts
assert set(rows["train_resnet50_f32"]["trials"]) == {"slow", "fast"} and len(rows["train_resnet50_f32"]["runs"]) == 3
E2
status=0
bench "$1" --rows=nonsense || status=$?
[[ $status == 2 ]] || { echo "exit $status for an unknown row"; exit 1; }

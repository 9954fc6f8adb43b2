#!/usr/bin/env python3
"""Speed on the CPU: resnet beside PyTorch, in alternating runs, with every thread bound to a core. (tools/bench/cpu.sh builds and calls this.)

  tools/bench/cpu.sh --python=/usr/bin/python3,venv/bin/python
  tools/bench/cpu.sh --rows=train_resnet20_f32,startup_resnet50 --pairs=3 --seconds=2

A row of training or inference: every variant of every peer (peer_torch.py) runs shortly; the fastest one is the peer. Then resnet and the
peer take turns, and the median of the ratios counts. The target is what the row asks for, or 0.88 of the net's ceiling where that is less
(unless resnet is faster than the ceiling, which is wrong then); the ceiling is what the machine could reach with oneDNN's fastest
convolutions and its memory's bandwidth, measured before the pairs (tools/bench/ceiling.cpp). Speeds are medians: of steps (resnet), of half seconds (the peer's training), of calls (inference).
Memory is the peak resident set of the runs that were timed. scaling_*: two threads beside one. startup_*: seconds to read the net, plan it
and compile its kernels. A row that resnet refuses to compute is marked so.

Writes DIR/cpu.json (all runs, versions and machine for each row) and DIR/cpu.md (the table); rows from earlier calls stay in both.
"""
import argparse
import dataclasses
import datetime
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SHARE_OF_CEILING = 0.88
BUSY = 0.1  # cores that other programs may use before the table says so
REFUSED = 4  # exit code of resnet for what the device cannot do
BOUND = {"OMP_PROC_BIND": "true", "OMP_PLACES": "cores"}


@dataclasses.dataclass(frozen=True)
class Row:
    net: str
    batch: int
    target: float  # speed: times the peer's; scaling: times one thread's; startup: seconds
    kind: str = "speed"
    mode: str = "train"
    math: str = "FLOAT32"
    memory: float = 0  # at most so many times the peer's; 0: no target
    budget: int = 0  # --memory_budget of resnet in MiB; 0: none

    def label(self):
        if self.kind == "startup":
            return f"start-up, {self.net}"
        what = "second core, training" if self.kind == "scaling" else {"train": "training", "infer": "inference"}[self.mode]
        return f"{what}, {self.net}, batch {self.batch}, {self.math.lower()}"


ROWS = {
    "train_resnet20_f32": Row("resnet20", 128, 1.4),
    "train_resnet56_f32": Row("resnet56", 128, 1.4),
    "train_resnet18_f32": Row("resnet18", 32, 1.4),
    "train_resnet50_f32": Row("resnet50", 16, 1.2, memory=0.7, budget=1000),
    "train_resnet20_bf16": Row("resnet20", 128, 1.3, math="BFLOAT16"),
    "train_resnet18_bf16": Row("resnet18", 32, 1.15, math="BFLOAT16"),
    "train_resnet50_bf16": Row("resnet50", 16, 1.1, math="BFLOAT16", memory=0.7, budget=550),
    "infer_resnet50_f32": Row("resnet50", 16, 1.15, mode="infer"),
    "infer_resnet50_bf16": Row("resnet50", 16, 1.1, mode="infer", math="BFLOAT16"),
    "latency_resnet50_f32": Row("resnet50", 1, 1.2, mode="infer"),
    "latency_resnet50_bf16": Row("resnet50", 1, 1.2, mode="infer", math="BFLOAT16"),
    "scaling_resnet20": Row("resnet20", 128, 1.85, kind="scaling"),
    "scaling_resnet50": Row("resnet50", 16, 1.85, kind="scaling"),
    "startup_resnet50": Row("resnet50", 16, 2.0, kind="startup"),
    "startup_resnet1202": Row("resnet1202", 16, 10.0, kind="startup"),
}


class Failure(Exception):
    """A program did not do its work; code is its exit code."""

    def __init__(self, what, code):
        super().__init__(what)
        self.code = code


def busy_seconds():
    with open("/proc/stat") as stat:
        user, nice, system, _, _, irq, soft = [int(word) for word in stat.readline().split()[1:8]]
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


def own_seconds():
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usage)


def run(command, environment=None):
    """The JSON object that a program prints last, with the cores that other programs used meanwhile."""
    begin, busy, own = time.monotonic(), busy_seconds(), own_seconds()
    done = subprocess.run(command, env={**os.environ, **(environment or {})}, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise Failure(lines[-1][:300] if lines else f"{command[0]} ended with {done.returncode}", done.returncode)
    figures = json.loads(done.stdout.splitlines()[-1])
    others = (busy_seconds() - busy) - (own_seconds() - own)
    figures["other_busy_cores"] = round(max(0.0, others / (time.monotonic() - begin)), 3)
    return figures


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder  # folder: for nets that are not committed

    def net_flags(self, row):
        cifar = int(row.net[len("resnet"):]) % 6 == 2 and row.net not in ("resnet50", "resnet152")
        folder = os.path.join(ROOT, "models", "cifar10" if cifar else "imagenet", row.net)
        if not os.path.isdir(folder):
            folder = os.path.join(self.folder, row.net)
            subprocess.run([self.options.resnet, "define", "--quiet", f"--depth={row.net[len('resnet'):]}", f"--output={folder}"],
                           check=True, stdout=subprocess.DEVNULL)
        train = row.mode == "train"
        return [f"--model={os.path.join(folder, 'train_val.prototxt' if train else 'deploy.prototxt')}",
                f"--phase={'TRAIN' if train else 'TEST'}", f"--batch={row.batch}", f"--math={row.math}",
                f"--input_shape={'3,32,32' if cifar else '3,224,224'}"]

    def ours(self, row, iterations, threads=0, warmup=3):
        flags = [flag for flag in self.net_flags(row) if row.mode == "train" or not flag.startswith("--input_shape")]
        return run([self.options.resnet, "time", *flags, f"--iterations={iterations}", f"--warmup={warmup}", "--device=cpu",
                    f"--threads={threads or self.options.threads}", "--bind=cores", "--quiet", "--json",
                    *([f"--memory_budget={row.budget}"] if row.budget else []), *self.options.flags.split()])

    def iterations(self, row, threads=0):
        """How many fill the time of a measurement."""
        step_s = self.ours(row, 3, threads)["ms_per_step"] / 1e3
        return max(5, math.ceil(self.options.seconds / step_s))

    def peer(self, python, row, seconds, variant=None):
        return run([python, os.path.join(HERE, "peer_torch.py"), f"--net={row.net}", f"--mode={row.mode}", f"--batch={row.batch}",
                    f"--math={row.math}", "--device=cpu", f"--threads={self.options.threads}", f"--seconds={seconds}", "--json",
                    *([f"--variant={variant}"] if variant else [])], BOUND)

    def ceiling(self, row):
        return run([self.options.ceiling, *self.net_flags(row), f"--threads={self.options.threads}"])

    def speed(self, row):
        iterations = self.iterations(row)
        trials = {}
        for python, version in self.options.peers.items():
            say(f"  torch {version}: trying its variants")
            try:
                trials[python] = self.peer(python, row, self.options.probe_seconds)
            except Failure as failure:
                say(f"  torch {version}: {failure}")
        if not trials:
            raise Failure("no peer computes this", 1)
        python = max(trials, key=lambda name: peer_speed(trials[name]))
        variant = trials[python]["best"]
        ceiling = self.ceiling(row)
        say(f"  peer: torch {trials[python]['torch']}, {variant}; ceiling {ceiling['images_per_s']:.4g} images/s")
        pairs = []
        for _ in range(self.options.pairs):
            ours = self.ours(row, iterations)
            peer = self.peer(python, row, self.options.seconds, variant)
            peer.pop("variants")
            pairs.append({"ours": ours, "peer": peer, "ratio": ours["images_per_s"] / peer_speed(peer),
                          "memory_ratio": ours["peak_bytes"] / peer["peak_rss_bytes"]})
            say(f"  resnet {ours['images_per_s']:.4g}, peer {peer_speed(peer):.4g} images/s: {pairs[-1]['ratio']:.3f}")
        theirs = spread([peer_speed(pair["peer"]) for pair in pairs])
        ours = spread([pair["ours"]["images_per_s"] for pair in pairs])
        possible = SHARE_OF_CEILING * ceiling["images_per_s"] / theirs["median"]
        if ours["median"] > ceiling["images_per_s"]:
            possible = math.inf  # it is none
        result = {
            "ours": ours, "peer": theirs,
            "peer_is": f"torch {trials[python]['torch']}, {variant}",
            "ratio": spread([pair["ratio"] for pair in pairs]),
            "ratio_wanted": min(row.target, possible),
            "ceiling": ceiling["images_per_s"], "memory_ratio": spread([pair["memory_ratio"] for pair in pairs]),
        }
        result["share_of_ceiling"] = result["ours"]["median"] / result["ceiling"]
        result["met"] = result["ratio"]["median"] >= result["ratio_wanted"]
        if row.memory:
            result["memory_met"] = result["memory_ratio"]["median"] <= row.memory
        if row.mode == "infer":
            for percent in (50, 99):
                result[f"p{percent}_ms"] = {
                    "ours": statistics.median(pair["ours"][f"latency_ms_p{percent}"] for pair in pairs),
                    "peer": statistics.median(pair["peer"][f"p{percent}_ms"] for pair in pairs)}
        trials = {trial["torch"]: trial for trial in trials.values()}
        return {**result, "runs": pairs, "trials": trials, "ceiling_rates": ceiling}

    def scaling(self, row):
        iterations = self.iterations(row, 1)
        pairs = [{"one": self.ours(row, iterations, 1), "two": self.ours(row, iterations, 2)} for _ in range(self.options.pairs)]
        one, two = ([pair[name]["images_per_s"] for pair in pairs] for name in ("one", "two"))
        ratio = spread([b / a for a, b in zip(one, two)])
        return {"one": spread(one), "two": spread(two), "ratio": ratio, "met": ratio["median"] >= row.target, "runs": pairs}

    def startup(self, row):
        runs = [self.ours(row, 1, warmup=0) for _ in range(self.options.pairs)]
        seconds = spread([one["startup_s"] for one in runs])
        return {"seconds": seconds, "met": seconds["median"] <= row.target, "runs": runs}


def peer_speed(figures):
    """Images a second, from the same statistic as ours."""
    return 1e3 * figures["batch"] / figures["p50_ms"] if "p50_ms" in figures else figures["images_per_s"]


def say(text):
    print(text, file=sys.stderr, flush=True)


def all_values(thing, key):
    """Every value of a key anywhere inside."""
    if isinstance(thing, dict):
        if key in thing:
            yield thing[key]
        thing = list(thing.values())
    if isinstance(thing, list):
        for inner in thing:
            yield from all_values(inner, key)


def first_line(path, start):
    with open(path) as file:
        return next((line.split(":" if ":" in line else "=", 1)[1].strip().strip('"') for line in file if line.startswith(start)), "unknown")


def output_of(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()


TORCH_FACTS = """
import json, platform, torch
config = torch.__config__.show().split("  - Build settings")[0]
print(json.dumps({"torch": torch.__version__, "python": platform.python_version(), "config": config.split("\\n")}))
"""


def torch_facts(pythons):
    """By interpreter; without those that have no torch."""
    facts = {}
    for python in pythons:
        try:
            facts[python] = run([python, "-c", TORCH_FACTS])
        except (Failure, FileNotFoundError) as failure:
            say(f"{python} is no peer: {failure}")
    return facts


def facts_of(options, peers):
    info = dict(line.split(None, 1) for line in output_of(options.resnet, "info").splitlines() if " " in line)
    info.pop("cuda", None)
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": output_of("git", "rev-parse", "HEAD") + ("+" if output_of("git", "status", "--porcelain") else ""),
        "machine": {"cpu": first_line("/proc/cpuinfo", "model name"), "cpu_family": first_line("/proc/cpuinfo", "cpu family"),
                    "cpu_model": first_line("/proc/cpuinfo", "model\t"), "cores": len(os.sched_getaffinity(0)),
                    "memory": first_line("/proc/meminfo", "MemTotal"), "kernel": platform.release(),
                    "system": first_line("/etc/os-release", "PRETTY_NAME")},
        "resnet": info, "peers": list(peers.values()),
        "options": {name: getattr(options, name) for name in ("pairs", "seconds", "probe_seconds", "threads", "flags")},
    }


def verdict(good):
    return "met" if good else "missed"


def cells(row, result):
    """Ours, the peer's, ratio, wanted, ceiling, share of it, verdict."""
    if "refused" in result:
        return ["refused"] + [""] * 4 + [f"refused: {result['refused']}"]
    if row.kind == "startup":
        seconds = result["seconds"]
        return [f"{seconds['median']:.2f} s ({seconds['min']:.2f} to {seconds['max']:.2f})", "", "", f"{row.target:g} s", "", verdict(result["met"])]
    ratio = "{median:.3f} ({min:.3f} to {max:.3f})".format(**result["ratio"])
    if row.kind == "scaling":
        return [f"{result['two']['median']:.4g}", f"one thread: {result['one']['median']:.4g}", ratio, f"{row.target:g}", "", verdict(result["met"])]
    wanted = f"{result['ratio_wanted']:.3f}" + (" (ceiling)" if result["ratio_wanted"] < row.target else "")
    ceiling = f"{result['ceiling']:.4g}, {100 * result['share_of_ceiling']:.0f} %"
    return [f"{result['ours']['median']:.4g}", f"{result['peer']['median']:.4g} ({result['peer_is']})", ratio, wanted, ceiling,
            verdict(result["met"])]


def lines_of(name, result):
    row = ROWS[name]
    yield f"| {row.label()} | " + " | ".join(cells(row, result)) + " |"
    if "memory_met" in result:
        ratio = "{median:.3f} ({min:.3f} to {max:.3f})".format(**result["memory_ratio"])
        ours, peer = (statistics.median(pair[who][key] for pair in result["runs"]) / 2**20
                      for who, key in (("ours", "peak_bytes"), ("peer", "peak_rss_bytes")))
        yield f"| … its peak memory, MiB | {ours:.0f} | {peer:.0f} | {ratio} | at most {row.memory:g} | | {verdict(result['memory_met'])} |"
    if row.batch == 1 and "p50_ms" in result:
        times = {who: " / ".join(f"{result[f'p{p}_ms'][who]:.2f}" for p in (50, 99)) for who in ("ours", "peer")}
        yield f"| … its latency p50 / p99, ms | {times['ours']} | {times['peer']} | | | | |"


def table(results):
    lines = ["| row | resnet, images/s | peer, images/s | median ratio (spread) | wanted | ceiling, share of it | |", "|---|---|---|---|---|---|---|"]
    known = [name for name in ROWS if name in results]
    lines += [line for name in known for line in lines_of(name, results[name])]
    machines = {"{cpu} (family {cpu_family}, model {cpu_model}), {cores} cores, {memory}, {system}".format(**results[name]["facts"]["machine"])
                for name in known}
    when = sorted({results[name]["facts"]["date"][:10] for name in known})
    commits = sorted({results[name]["facts"]["commit"][:10].rstrip("+") for name in known})
    pairs = sorted({results[name]["facts"]["options"]["pairs"] for name in known})
    text = f"{'; '.join(sorted(machines))}; {', '.join(when)}; commit {', '.join(commits)}; {' or '.join(map(str, pairs))} pairs a row."
    loud = [name for name in known if max(all_values(results[name], "other_busy_cores"), default=0) > BUSY]
    if loud:
        text += f" Other programs used more than {BUSY:g} cores during: {', '.join(loud)}."
    return "\n".join([*lines, "", text, ""])


def write(path, text):
    with open(path + ".new", "w") as file:
        file.write(text)
    os.replace(path + ".new", path)


def parse_options():
    parser = argparse.ArgumentParser(prog="cpu.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="rows: " + " ".join(ROWS))
    default = filter(None, ["python3", os.environ.get("RESNET_PEER_PYTHON")])
    parser.add_argument("--rows", default=",".join(ROWS), metavar="A,B", help="only these (default: all)")
    parser.add_argument("--pairs", type=int, default=7, metavar="N", help="runs of each side (default 7)")
    parser.add_argument("--seconds", type=float, default=10, metavar="S", help="of each measurement (default 10)")
    parser.add_argument("--probe_seconds", type=float, default=1, metavar="S", help="of each variant of the peers at first (default 1)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="of both sides (default: one a core)")
    parser.add_argument("--python", default=",".join(default), metavar="A,B",
                        help="interpreters that may have torch (default: python3, and $RESNET_PEER_PYTHON if that is set)")
    parser.add_argument("--flags", default="", help="further flags of `resnet time`, such as --flags='--memory_budget=1200'")
    parser.add_argument("--output", default=os.path.join(ROOT, "build", "bench"), metavar="DIR", help="(default build/bench)")
    parser.add_argument("--resnet", default=os.path.join(ROOT, "build/release/bin/resnet"), metavar="FILE", help="the program")
    parser.add_argument("--ceiling", default=os.path.join(ROOT, "build/release/tests/ceiling"), metavar="FILE", help="that of tools/bench/ceiling.cpp")
    options = parser.parse_args()
    options.rows = options.rows.split(",")
    for name in options.rows:
        if name not in ROWS:
            parser.error(f"unknown row '{name}'; there are {' '.join(ROWS)}")
    if options.pairs < 1 or options.seconds <= 0 or options.probe_seconds <= 0 or options.threads < 1:
        parser.error("--pairs and --threads take a number from 1, --seconds and --probe_seconds one above 0")
    options.output, options.resnet, options.ceiling = map(os.path.abspath, (options.output, options.resnet, options.ceiling))
    return options


def main():
    options = parse_options()
    peers = torch_facts(options.python.split(",")) if any(ROWS[name].kind == "speed" for name in options.rows) else {}
    options.peers = {python: facts["torch"] for python, facts in peers.items()}
    if not peers and any(ROWS[name].kind == "speed" for name in options.rows):
        sys.exit("cpu.sh: no peer: none of --python has torch (Debian: python3-torch; or pip install torch)")
    os.makedirs(options.output, exist_ok=True)
    path = os.path.join(options.output, "cpu.json")
    results = {}
    if os.path.exists(path):
        with open(path) as file:
            results = json.load(file)["rows"]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options, folder)
        for name in options.rows:
            say(name)
            row = ROWS[name]
            facts = facts_of(options, peers)
            try:
                result = getattr(bench, row.kind)(row)
            except Failure as failure:
                say(f"  {failure}")
                if failure.code != REFUSED:
                    failed += 1
                    continue
                result = {"refused": str(failure)}
            results[name] = {**result, "facts": facts}
            write(path, json.dumps({"rows": results}, indent=1))
            write(os.path.join(options.output, "cpu.md"), table(results))
            print("\n".join(lines_of(name, result)), flush=True)
    if results:
        print("\n" + table(results))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

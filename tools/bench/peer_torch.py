#!/usr/bin/env python3
"""How fast PyTorch trains and evaluates the same nets, to compare with. Needs torch (1.13 or later), no torchvision, no network.

  peer_torch.py --net=resnet50 --mode=train --batch=16 --math=FLOAT32 --device=cpu --threads=2 --seconds=10 --json

Measures every variant of a mode (memory layout, compiler, CUDA graph, ..) in a process of its own, on random pictures that lie on the
device; the fastest counts. Prints one JSON object: what was measured, "variants" with the figures or the error of each, "best" with the
name of the fastest, and its figures once more:
  images_per_s      median of repetitions of about half a second (train), or of all calls (infer)
  p50_ms .. p99_ms  of one call (infer; on a GPU waited for each)
  peak_rss_bytes    of the process; least_peak_rss_bytes is that of the variant with the least

Nets: resnet20, 32, .. (6n+2) for 3x32x32 with shortcuts without parameters (option A), resnet18, 34, 50, 101, 152 for 3x224x224 with
projections; the stride of a bottleneck is in its first 1x1 as in the paper, or with --stride_in=3x3 in its 3x3.
Training: cross entropy, SGD with momentum 0.9 and weight decay 1e-4 (fused where torch has it); 16 bits by autocast. Inference: running
averages, folded into the convolutions before them; 16 bits by autocast or as a net of 16-bit weights.
"""

import argparse
import contextlib
import importlib.util
import json
import math
import os
import re
import resource
import statistics
import subprocess
import sys
import time

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
# Freed memory is kept, on huge pages: glibc's defaults give large blocks back at every free().
POOL = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "8000000000", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
VARIANTS = {
    ("train", "cpu"): ("nchw", "nhwc", "nchw_pool", "nhwc_pool", "nhwc_compile", "nhwc_compile_pool"),
    ("train", "cuda"): ("nhwc", "nhwc_graph", "nhwc_compile", "nhwc_compile_graph", "nhwc_autotune"),
    ("infer", "cpu"): ("nchw", "nhwc", "nchw_pool", "nhwc_pool", "nchw_jit", "nhwc_jit", "nchw_optimized", "nhwc_optimized", "mkldnn",
                       "nhwc_compile", "nhwc_frozen"),
    ("infer", "cuda"): ("nhwc", "nhwc_graph", "nhwc_compile", "nhwc_autotune"),
}


def build(torch, depth, stride_in):
    """The net in float32, with the side length of its input and its number of classes."""
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    nn, functional = torch.nn, torch.nn.functional

    class ConvBn(nn.Module):
        def __init__(self, inputs, outputs, size, stride=1, relu=True):
            super().__init__()
            self.conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
            self.bn = nn.BatchNorm2d(outputs)
            self.relu = nn.ReLU(inplace=True) if relu else nn.Identity()

        def forward(self, x):
            return self.relu(self.bn(self.conv(x)))

        def fold(self):
            self.conv, self.bn = fuse_conv_bn_eval(self.conv, self.bn), nn.Identity()

    class Subsample(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.extra, self.stride = outputs - inputs, stride

        def forward(self, x):
            return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))

    class Block(nn.Module):
        def __init__(self, branch, shortcut):
            super().__init__()
            self.branch, self.shortcut, self.relu = branch, shortcut, nn.ReLU(inplace=True)

        def forward(self, x):
            return self.relu(self.branch(x) + self.shortcut(x))

    def basic(inputs, width, stride):
        return nn.Sequential(ConvBn(inputs, width, 3, stride), ConvBn(width, width, 3, relu=False))

    def bottleneck(inputs, width, stride):
        first, second = (stride, 1) if stride_in == "1x1" else (1, stride)
        return nn.Sequential(ConvBn(inputs, width, 1, first), ConvBn(width, width, 3, second),
                             ConvBn(width, 4 * width, 1, relu=False))

    cifar = depth not in BLOCKS
    if cifar and (depth < 8 or (depth - 2) % 6):
        sys.exit(f"peer_torch.py: no net of depth {depth}: 18, 34, 50, 101, 152 or 6n+2")
    if cifar:
        blocks, channels, classes, side = ((depth - 2) // 6,) * 3, 16, 10, 32
        layers = [ConvBn(3, 16, 3)]
    else:
        blocks, channels, classes, side = BLOCKS[depth], 64, 1000, 224
        layers = [ConvBn(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
    inputs = channels
    for stage, count in enumerate(blocks):
        for index in range(count):
            width, stride = channels << stage, 2 if stage and not index else 1
            outputs = width * (4 if depth >= 50 and not cifar else 1)
            branch = bottleneck(inputs, width, stride) if outputs != width else basic(inputs, width, stride)
            shortcut = nn.Identity()
            if inputs != outputs or stride > 1:
                shortcut = Subsample(inputs, outputs, stride) if cifar else ConvBn(inputs, outputs, 1, stride, relu=False)
            layers.append(Block(branch, shortcut))
            inputs = outputs
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return net, side, classes


def fold(torch, net, side):
    """Takes the running averages from one batch, so that no value overflows, and folds the normalisations."""
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        net.train()(torch.randn(4, 3, side, side))
    net.eval()
    for module in list(net.modules()):
        if hasattr(module, "fold"):
            module.fold()


class Torch:
    """What both modes need of torch, set up as the options and the variant say."""

    def __init__(self, options, variant):
        import torch

        self.torch, self.options, self.parts = torch, options, variant.split("_")
        self.cuda = options.device == "cuda"
        if self.cuda and not torch.cuda.is_available():
            sys.exit("peer_torch.py: this torch sees no GPU")
        torch.set_num_threads(options.threads)
        torch.manual_seed(1)
        self.low = {"BFLOAT16": torch.bfloat16, "FLOAT16": torch.float16}.get(options.math)
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = self.low is not None
        net, self.side, self.classes = build(torch, int(options.net[len("resnet"):]), options.stride_in)
        self.net = net
        self.format = torch.contiguous_format if self.parts[0] == "nchw" else torch.channels_last

    def images(self):
        pictures = self.torch.randn(self.options.batch, 3, self.side, self.side, device=self.options.device)
        return pictures.to(memory_format=self.format)

    def autocast(self):
        return self.torch.autocast(self.options.device, dtype=self.low) if self.low else contextlib.nullcontext()

    def synchronize(self):
        if self.cuda:
            self.torch.cuda.synchronize()

    def compiled(self, net):
        """The net as the variant's compiler makes it."""
        how = self.parts[-1] if self.parts[-1] in ("autotune", "frozen") else "compile"
        if how not in self.parts:
            return net
        if not hasattr(self.torch, "compile"):
            sys.exit("this torch has no compiler")
        if how == "frozen":
            import torch._inductor.config

            torch._inductor.config.freezing = True
        return self.torch.compile(net, mode="max-autotune" if how == "autotune" else "default")

    def graph(self, step, forget=lambda: None):
        """What replays the step from a CUDA graph; forget() drops what the step must allocate within."""
        side = self.torch.cuda.Stream()
        side.wait_stream(self.torch.cuda.current_stream())
        with self.torch.cuda.stream(side):
            for _ in range(5):
                step()
        self.torch.cuda.current_stream().wait_stream(side)
        self.synchronize()
        forget()
        graph = self.torch.cuda.CUDAGraph()
        with self.torch.cuda.graph(graph):
            step()
        return graph.replay

    def facts(self):
        facts = {"torch": self.torch.__version__, "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}
        if self.cuda:
            facts["device_name"] = self.torch.cuda.get_device_name()
            facts["cudnn"] = self.torch.backends.cudnn.version()
            facts["peak_device_bytes"] = self.torch.cuda.max_memory_reserved()
        return facts


def optimizer(torch, parameters):
    settings = {"lr": 1e-3, "momentum": 0.9, "weight_decay": 1e-4}
    for kind in ("fused", "foreach"):
        try:
            return torch.optim.SGD(parameters, **settings, **{kind: True}), kind
        except (TypeError, RuntimeError, ValueError):
            pass
    return torch.optim.SGD(parameters, **settings), "plain"


def train(options, variant):
    own = Torch(options, variant)
    torch = own.torch
    net = own.net.to(options.device).to(memory_format=own.format).train()
    images = own.images()
    labels = torch.randint(0, own.classes, (options.batch,), device=options.device)
    sgd, kind = optimizer(torch, list(net.parameters()))
    criterion = torch.nn.CrossEntropyLoss()
    scaler = torch.cuda.amp.GradScaler(enabled=options.math == "FLOAT16")
    forward = own.compiled(net)
    last = {}

    def step():
        sgd.zero_grad(set_to_none=True)
        with own.autocast():
            loss = criterion(forward(images), labels)
        scaler.scale(loss).backward()
        scaler.step(sgd)
        scaler.update()
        last["loss"] = loss.detach()

    run = own.graph(step, lambda: sgd.zero_grad(set_to_none=True)) if own.parts[-1] == "graph" else step
    for _ in range(3):
        run()
    own.synchronize()

    def timed(steps):
        begin = time.perf_counter()
        for _ in range(steps):
            run()
        own.synchronize()
        return (time.perf_counter() - begin) / steps

    steps = max(1, round(0.5 / timed(1)))
    times = []
    end = time.perf_counter() + options.seconds
    while len(times) < 3 or time.perf_counter() < end:
        times.append(timed(steps))
    if not math.isfinite(float(last["loss"])):
        sys.exit("the loss is not finite")
    rates = [options.batch / t for t in times]
    return {"images_per_s": statistics.median(rates), "images_per_s_min": min(rates), "images_per_s_max": max(rates),
            "ms_per_step": 1e3 * statistics.median(times), "steps": steps * len(times), "sgd": kind, **own.facts()}


def infer(options, variant, whole):
    """whole: the weights are of the 16-bit type, too; else autocast converts them."""
    own = Torch(options, variant)
    torch = own.torch
    fold(torch, own.net, own.side)
    net = own.net.to(options.device).to(memory_format=own.format)
    images = own.images()
    if own.low and whole and own.parts[0] != "mkldnn":
        net, images = net.to(own.low), images.to(own.low)
    context = contextlib.nullcontext if whole else own.autocast
    if own.parts[0] == "mkldnn":
        from torch.utils import mkldnn

        inner = mkldnn.to_mkldnn(net, own.low) if own.low else mkldnn.to_mkldnn(net)
        call = lambda x: inner(x.to_mkldnn(own.low) if own.low else x.to_mkldnn()).to_dense()
    elif own.parts[-1] in ("jit", "optimized"):
        with torch.no_grad(), context():
            call = torch.jit.freeze(torch.jit.trace(net, images, check_trace=False))
            if own.parts[-1] == "optimized":
                call = torch.jit.optimize_for_inference(call)
    else:
        call = own.compiled(net)
    last = {}

    def step():
        with torch.no_grad(), context():
            last["scores"] = call(images)

    run = own.graph(step) if own.parts[-1] == "graph" else step
    for _ in range(5):
        run()
    own.synchronize()
    times = []
    begin = time.perf_counter()
    while len(times) < 10 or time.perf_counter() < begin + options.seconds:
        from_here = time.perf_counter()
        run()
        own.synchronize()
        times.append(time.perf_counter() - from_here)
    rate = options.batch * len(times) / (time.perf_counter() - begin)
    if own.cuda:  # without waiting for each
        begin = time.perf_counter()
        for _ in range(len(times)):
            run()
        own.synchronize()
        rate = options.batch * len(times) / (time.perf_counter() - begin)
    if not bool(torch.isfinite(last["scores"].float()).all()):
        sys.exit("the scores are not finite")
    times.sort()
    percentiles = {f"p{p}_ms": 1e3 * times[min(len(times) - 1, p * len(times) // 100)] for p in (50, 90, 95, 99)}
    return {"images_per_s": rate, **percentiles, "calls": len(times), **own.facts()}


def measure(options):
    """In a process of its own: the one variant that is named."""
    variant = options.variant
    variant = variant[: -len("_pool")] if variant.endswith("_pool") else variant
    if options.mode == "train":
        return train(options, variant)
    whole = not variant.endswith("_autocast")
    return infer(options, variant if whole else variant[: -len("_autocast")], whole)


def variants_of(options):
    names = VARIANTS[options.mode, options.device]
    if options.mode == "infer" and options.math != "FLOAT32":
        names += tuple(f"{name}_autocast" for name in names if name != "mkldnn" and "pool" not in name)
    return names


def measured(options, variant):
    """Figures of a variant, or why there are none."""
    environment = dict(os.environ)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        environment[name] = str(options.threads)
    if variant.endswith("_pool"):
        environment.update(POOL)
    command = [sys.executable, os.path.abspath(__file__), *sys.argv[1:], f"--variant={variant}", "--here"]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=options.limit)
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {options.limit:g} s"}
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"ended with {done.returncode}"]
    named = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]  # text of torch may follow
    return {"error": (named or lines)[-1]}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--net", default="resnet50", help="resnet20, resnet56, resnet18, resnet50, ..")
    arguments.add_argument("--mode", choices=("train", "infer"), default="train")
    arguments.add_argument("--batch", type=int, default=16)
    arguments.add_argument("--math", choices=("FLOAT32", "BFLOAT16", "FLOAT16"), default="FLOAT32",
                           help="FLOAT32 is without TF32")
    arguments.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments.add_argument("--threads", type=int, default=os.cpu_count())
    arguments.add_argument("--seconds", type=float, default=5.0, help="how long to measure each variant")
    arguments.add_argument("--stride_in", choices=("1x1", "3x3"), default="1x1")
    arguments.add_argument("--variant", help="measure only this one")
    arguments.add_argument("--list", action="store_true", help="print the names of the variants")
    arguments.add_argument("--limit", type=float, default=420.0, help="seconds after which a variant is given up")
    arguments.add_argument("--json", action="store_true", help="print only the JSON object, without progress on stderr")
    arguments.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if not options.net.startswith("resnet") or not options.net[len("resnet"):].isdigit():
        arguments.error(f"unknown net '{options.net}'")
    if options.math == "FLOAT16" and options.device == "cpu":
        arguments.error("FLOAT16 is for --device=cuda")
    if options.list:
        print("\n".join(variants_of(options)))
        return
    if importlib.util.find_spec("torch") is None:
        sys.exit(f"peer_torch.py: {sys.executable} has no torch")
    if options.here:
        print(json.dumps(measure(options)))
        return

    results = {}
    for variant in [options.variant] if options.variant else variants_of(options):
        results[variant] = measured(options, variant)
        if not options.json:
            result = results[variant]
            print(f"{variant}: {result.get('error') or '%.1f images/s' % result['images_per_s']}", file=sys.stderr)
    keys = ("net", "mode", "batch", "math", "device", "threads", "seconds", "stride_in")
    report = {"framework": "pytorch", **{key: getattr(options, key) for key in keys}, "variants": results}
    good = {name: result for name, result in results.items() if "error" not in result}
    if good:
        best = max(good, key=lambda name: good[name]["images_per_s"])
        report.update(best=best, **good[best])
        report["least_peak_rss_bytes"] = min(result["peak_rss_bytes"] for result in good.values())
    print(json.dumps(report))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()

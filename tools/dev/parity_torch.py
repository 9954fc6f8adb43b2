#!/usr/bin/env python3
"""What PyTorch computes for ResNet-20, to compare with: writes tests/train/parity_resnet20.txt.

  parity_torch.py [--dtype float64|float32] [--steps 50] > tests/train/parity_resnet20.txt

50 steps of SGD on CIFAR ResNet-20 with option A shortcuts (channels appended): batch 32, lr 0.01,
momentum 0.9, weight decay 1e-4 on every parameter. Weights, images and labels come from an integer hash
that tests/train/parity_test.cpp computes too, so that no tensor needs to be stored:
  mix(x)      the finaliser of MurmurHash3 (32 bits)
  draw(s, i)  mix(mix(s + 1) + i), arithmetic modulo 2^32; unit(s, i) = (draw >> 8) / 2^23 - 1
  weight i of the k-th convolution or fully connected layer (k from 0, row-major):
              unit(k, i) * sqrt(6 / fan_in), rounded to float32, a tenth of it in the last layer (with
              the whole, the first steps are so large that they amplify rounding to 1e-2 in 50 steps
              of PyTorch itself; now its float32 and float64 agree to 3e-5); gamma 1, beta and bias 0
  element i of image n (C,H,W row-major): unit(1000 + n, i); its label: draw(999, n) % 10
  step s takes the images 32 s .. 32 s + 31
Needs torch and numpy (Debian: python3-torch).
"""
import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH, CLASSES = 32, 10


def mix(x):
    x = x & 0xFFFFFFFF
    x ^= x >> 16
    x = (x * 0x85EBCA6B) & 0xFFFFFFFF
    x ^= x >> 13
    x = (x * 0xC2B2AE35) & 0xFFFFFFFF
    return x ^ (x >> 16)


def draw(stream, index):
    return mix(mix(stream + 1) + index)


def unit(stream, shape):
    bits = draw(stream, np.arange(int(np.prod(shape))))
    return ((bits >> 8).astype(np.float64) / 2**23 - 1).reshape(shape)


class Block(nn.Module):
    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride, self.extra = stride, channels - channels_in

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))
        return F.relu(y + shortcut)


def resnet20():
    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    width = 16
    for channels in (16, 32, 64):
        for block in range(3):
            layers.append(Block(width, channels, 2 if block == 0 and channels > 16 else 1))
            width = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, CLASSES))


def fill(model):
    weighted = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    for k, m in enumerate(weighted):
        bound = np.sqrt(6.0 / np.prod(m.weight.shape[1:]))
        if isinstance(m, nn.Linear):
            bound *= 0.1
        m.weight.data = torch.from_numpy((unit(k, m.weight.shape) * bound).astype(np.float32))
        if m.bias is not None:
            nn.init.zeros_(m.bias)


def batch(step):
    first = BATCH * step
    images = np.stack([unit(1000 + n, (3, 32, 32)) for n in range(first, first + BATCH)])
    labels = draw(999, np.arange(first, first + BATCH)) % CLASSES
    return torch.from_numpy(images), torch.from_numpy(labels)


def norm(tensors):
    return float(torch.sqrt(sum((t.double() ** 2).sum() for t in tensors)))


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--dtype", default="float64", choices=["float64", "float32"])
    args.add_argument("--steps", type=int, default=50)
    args.add_argument("--threads", type=int, default=2)
    options = args.parse_args()
    torch.set_num_threads(options.threads)
    dtype = getattr(torch, options.dtype)
    model = resnet20()
    fill(model)
    model.to(dtype)
    sgd = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    print(f"# PyTorch {torch.__version__}, {options.dtype}: written by tools/dev/parity_torch.py")
    print("# gradient NAME NORM: of the first step, in the order of the net's parameters")
    print("# step S LOSS NORM: loss of the batch, norm of all gradients")
    for step in range(options.steps):
        images, labels = batch(step)
        sgd.zero_grad()
        loss = F.cross_entropy(model(images.to(dtype)), labels)
        loss.backward()
        gradients = [p.grad for p in model.parameters()]
        if step == 0:
            for name, p in model.named_parameters():
                print(f"gradient {name} {norm([p.grad]):.10g}")
        print(f"step {step} {loss.item():.10g} {norm(gradients):.10g}", flush=True)
        sgd.step()


if __name__ == "__main__":
    main()

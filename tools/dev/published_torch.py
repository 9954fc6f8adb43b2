#!/usr/bin/env python3
"""What PyTorch computes for the published ResNet-50, 101 and 152, to compare with: writes
tests/exchange/published_logits.txt.

  published_torch.py > tests/exchange/published_logits.txt

float64, on one image of 224x224, every fifth of the 1000 scores before the softmax. Weights and image come
from the integer hash of parity_torch.py; tests/exchange/published_net.h computes them too. Convolutions are
numbered in the order of the file, a projection before the convolutions of its block:
  weight i of convolution k: unit(k, i) * sqrt(6 / fan_in); of the last layer: unit(900, i) * sqrt(6 / 2048),
              its bias 0.3 unit(901, i); the bias of conv1, which ResNet-50 has: 0.3 unit(902, i)
  element i of BatchNorm k: mean 0.2 unit(1000 + k, i), variance 1 + 0.5 unit(2000 + k, i),
              gamma 1 + 0.3 unit(3000 + k, i), beta 0.2 unit(4000 + k, i); gamma and beta of the last
              convolution of a block are a fifth of that, so that 50 blocks in a row stay moderate
  pixel (c, y, x) of the image: (draw(903, 196 c + 14 (y div 16) + x div 16) % 256 - 120) / 64
All are rounded to float32. Needs torch and numpy (Debian: python3-torch).
"""
import numpy as np
import torch
import torch.nn.functional as F

from parity_torch import draw, unit

STAGES = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def hashed(stream, shape, offset, spread):
    return torch.from_numpy((offset + spread * unit(stream, shape)).astype(np.float32)).double()


class Net:
    """The published nets: the stride of a stage is in the first 1x1 convolution; pooling rounds up."""

    def __init__(self, depth):
        self.depth, self.convolutions = depth, 0

    def convolution(self, x, channels, kernel, stride, gain=1.0, bias=None):
        k = self.convolutions
        self.convolutions += 1
        shape = (channels, x.shape[1], kernel, kernel)
        x = F.conv2d(x, hashed(k, shape, 0, np.sqrt(6.0 / np.prod(shape[1:]))), bias, stride, kernel // 2)
        return F.batch_norm(x, hashed(1000 + k, channels, 0, 0.2), hashed(2000 + k, channels, 1, 0.5),
                            hashed(3000 + k, channels, gain, 0.3 * gain),
                            hashed(4000 + k, channels, 0, 0.2 * gain), eps=1e-5)

    def block(self, x, filters, stride):
        shortcut = x
        if x.shape[1] != 4 * filters:
            shortcut = self.convolution(x, 4 * filters, 1, stride)
        x = F.relu(self.convolution(x, filters, 1, stride))
        x = F.relu(self.convolution(x, filters, 3, 1))
        return F.relu(shortcut + self.convolution(x, 4 * filters, 1, 1, gain=0.2))

    def scores(self, x):
        bias = hashed(902, 64, 0, 0.3) if self.depth == 50 else None
        x = F.relu(self.convolution(x, 64, 7, 2, bias=bias))
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        for stage, blocks in enumerate(STAGES[self.depth]):
            for k in range(blocks):
                x = self.block(x, 64 << stage, 2 if k == 0 and stage > 0 else 1)
        x = F.avg_pool2d(x, 7, 1).flatten(1)
        return F.linear(x, hashed(900, (1000, 2048), 0, np.sqrt(6.0 / 2048)), hashed(901, 1000, 0, 0.3))


def image():
    squares = draw(903, np.arange(3 * 14 * 14)) % 256
    pixels = squares.reshape(1, 3, 14, 14).repeat(16, axis=2).repeat(16, axis=3)
    return torch.from_numpy((pixels - 120.0) / 64)


def main():
    print(f"# PyTorch {torch.__version__}, float64: written by tools/dev/published_torch.py")
    print("# DEPTH, then every fifth score")
    for depth in STAGES:
        scores = Net(depth).scores(image())[0, ::5]
        print(depth, " ".join(f"{s:.7g}" for s in scores.tolist()))


if __name__ == "__main__":
    main()

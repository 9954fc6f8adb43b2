#!/usr/bin/env python3
"""What PyTorch computes by 10-crop and dense testing, to compare with: writes tests/train/protocol_scores.txt.

  protocol_torch.py > tests/train/protocol_scores.txt

A small net with padding, strides, BatchNorm and a max-pooling, for images of 12x12, on images of odd
sizes. Weights and images come from the integer hash that tools/dev/parity_torch.py describes and
tests/train/protocol_parity_test.cpp computes too:
  weight i of the k-th convolution or fully connected layer: unit(k, i) * sqrt(6 / fan_in) in float32,
              a quarter of it in the last layer, so that no class wins by far;
  element i of BatchNorm k: mean 0.2 unit(100 + k, i), variance 1 + 0.5 unit(200 + k, i),
              gamma 1 + 0.3 unit(300 + k, i), beta 0.2 unit(400 + k, i); bias 0.3 unit(500, i)
  pixel i of image n (B,G,R planes, row-major): draw(1000 + n, i) % 256; the net sees (pixel - 120) / 50
Scores are averages over positions, then views; of probabilities or of logits. Resizing is not compared.
Needs torch and numpy (Debian: python3-torch).
"""
import numpy as np
import torch
import torch.nn.functional as F

from parity_torch import draw, unit

SIDE, CLASSES = 12, 5
SIZES = [(25, 17), (14, 31), (19, 19), (12, 13)]  # (height, width) of images 0, 1, ..


def weight(k, shape):
    return torch.from_numpy((unit(k, shape) * np.sqrt(6.0 / np.prod(shape[1:]))).astype(np.float32)).double()


def float32(values):
    return torch.from_numpy(values.astype(np.float32)).double()


def batch_norm(x, k):
    n = x.shape[1]
    mean, variance = float32(0.2 * unit(100 + k, n)), float32(1 + 0.5 * unit(200 + k, n))
    gamma, beta = float32(1 + 0.3 * unit(300 + k, n)), float32(0.2 * unit(400 + k, n))
    return F.batch_norm(x, mean, variance, gamma, beta, eps=1e-5)


def features(x):
    x = F.relu(batch_norm(F.conv2d(x, weight(0, (6, 3, 3, 3)), padding=1), 0))
    x = F.max_pool2d(x, 2, 2, ceil_mode=True)  # Caffe rounds up
    return F.relu(batch_norm(F.conv2d(x, weight(1, (8, 6, 3, 3)), stride=2, padding=1), 1))


def logits(x):
    """(N,classes,positions): averages over all windows of the size that features of a training image have."""
    side = features(torch.zeros(1, 3, SIDE, SIDE).double()).shape[-1]
    pooled = F.avg_pool2d(features(x), side, stride=1)
    w, b = 0.25 * weight(2, (CLASSES, 8)), float32(0.3 * unit(500, CLASSES))
    return F.conv2d(pooled, w[:, :, None, None], b).flatten(2)


def image(n, size):
    pixels = draw(1000 + n, np.arange(3 * size[0] * size[1])) % 256
    return torch.from_numpy((pixels.reshape(1, 3, *size) - 120.0) / 50)


def ten_crops(x):
    down, right = x.shape[2] - SIDE, x.shape[3] - SIDE
    corners = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
    crops = [x[:, :, top : top + SIDE, left : left + SIDE] for top, left in corners]
    return crops + [crop.flip(3) for crop in crops]


def average(views, kind):
    scores = [logits(view) for view in views]
    if kind == "probabilities":
        scores = [F.softmax(s, dim=1) for s in scores]
    return torch.stack([s.mean(dim=2) for s in scores]).mean(dim=0)[0]


def main():
    print(f"# PyTorch {torch.__version__}, float64: written by tools/dev/protocol_torch.py")
    print("# PROTOCOL AVERAGE IMAGE HEIGHT WIDTH SCORES..")
    for kind in ("probabilities", "logits"):
        for n, size in enumerate(SIZES):
            x = image(n, size)
            for name, views in (("10crop", ten_crops(x)), ("dense", [x, x.flip(3)])):
                scores = " ".join(f"{s:.9f}" for s in average(views, kind).tolist())
                print(f"{name} {kind} {n} {size[0]} {size[1]} {scores}")


if __name__ == "__main__":
    main()

"""Nets of PyTorch with random weights, their scores for an image, for comparison.

usage: torch_resnets.py NET WEIGHTS IMAGE SCORES
  NET      resnet18, resnet50 (from torchvision where it is installed, else as defined here), resnet20 (CIFAR, option A)
  WEIGHTS  is written: the state dict, as safetensors
  IMAGE    is written: a random image (PPM) as large as the net wants it
  SCORES   is written: the net's scores for it (.npy)
"""

import sys

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional


def unit(inputs, outputs, kernel, stride=1):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)


class Block(nn.Module):
    """Two 3x3 convolutions, or 1x1, 3x3 (with the stride), 1x1."""

    def __init__(self, inputs, width, stride, bottleneck, projects):
        super().__init__()
        outputs = 4 * width if bottleneck else width
        if bottleneck:
            self.conv1, self.bn1 = unit(inputs, width, 1)
            self.conv2, self.bn2 = unit(width, width, 3, stride)
            self.conv3, self.bn3 = unit(width, outputs, 1)
        else:
            self.conv1, self.bn1 = unit(inputs, width, 3, stride)
            self.conv2, self.bn2 = unit(width, outputs, 3)
        self.bottleneck, self.stride, self.added = bottleneck, stride, outputs - inputs
        if projects and (stride > 1 or self.added):
            self.downsample = nn.Sequential(*unit(inputs, outputs, 1, stride))

    def around(self, x):
        if hasattr(self, "downsample"):
            return self.downsample(x)
        half = self.added // 2
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, half))

    def forward(self, x):
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.bottleneck:
            y = self.bn3(self.conv3(functional.relu(y)))
        return functional.relu(y + self.around(x))


class Net(nn.Module):
    def __init__(self, stages, width, bottleneck, small):
        super().__init__()
        self.small = small
        self.conv1, self.bn1 = unit(3, width, 3) if small else unit(3, width, 7, 2)
        channels = width
        for number, blocks in enumerate(stages):
            layers = []
            for i in range(blocks):
                stride = 2 if number > 0 and i == 0 else 1
                layers.append(Block(channels, width << number, stride, bottleneck, not small))
                channels = (width << number) * (4 if bottleneck else 1)
            setattr(self, f"layer{number + 1}", nn.Sequential(*layers))
        self.stages = len(stages)
        setattr(self, "linear" if small else "fc", nn.Linear(channels, 10 if small else 1000))

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)))
        if not self.small:
            x = functional.max_pool2d(x, 3, 2, 1)
        for number in range(self.stages):
            x = getattr(self, f"layer{number + 1}")(x)
        return (self.linear if self.small else self.fc)(x.mean((2, 3)))


def make(name):
    if name == "resnet20":
        return Net([3, 3, 3], 16, False, True)
    try:
        import torchvision

        print("torchvision", torchvision.__version__)
        return getattr(torchvision.models, name)()
    except ImportError:
        return Net([2, 2, 2, 2] if name == "resnet18" else [3, 4, 6, 3], 64, name == "resnet50", False)


name, weights, image, scores = sys.argv[1:]
torch.manual_seed(1)
net = make(name).eval()
for module in net.modules():
    if isinstance(module, nn.BatchNorm2d):
        nn.init.uniform_(module.weight, 0.5, 1)
        nn.init.uniform_(module.bias, -0.3, 0.3)
        nn.init.uniform_(module.running_mean, -0.5, 0.5)
        nn.init.uniform_(module.running_var, 0.5, 2)
save_file(net.state_dict(), weights)
size = 32 if name == "resnet20" else 224
pixels = torch.randint(0, 256, (size, size, 3))
with open(image, "wb") as file:
    file.write(f"P6\n{size} {size}\n255\n".encode() + pixels.numpy().astype("u1").tobytes())
mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
with torch.no_grad():
    x = ((pixels.double() / 255 - mean) / std).permute(2, 0, 1)[None]
    np.save(scores, net.double()(x).float().numpy())

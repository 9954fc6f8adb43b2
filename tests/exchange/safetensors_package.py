"""Copies a file by the package safetensors, and writes one with arrays of several types.

usage: safetensors_package.py INPUT COPY TYPES
"""

import sys

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

source, copy, types = sys.argv[1:]
with safe_open(source, framework="numpy") as file:
    save_file({name: file.get_tensor(name) for name in file.keys()}, copy, metadata=file.metadata())
values = np.arange(-3, 3).reshape(2, 3)
save_file({name: values.astype(name) for name in ("float16", "float32", "float64", "int64")}, types)

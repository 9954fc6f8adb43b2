"""Writes PREFIX_stored.npz and PREFIX_deflated.npz: 0..11 as (2,3,2) in several types and orders.

usage: numpy_archives.py PREFIX
"""

import sys

import numpy as np

values = np.arange(12).reshape(2, 3, 2)
arrays = {name: values.astype(name) for name in ("<f2", ">f4", "<f4", "<f8", ">i8", "u1")}
arrays["columns"] = np.asfortranarray(values.astype("f4"))
np.savez(sys.argv[1] + "_stored.npz", **arrays)
np.savez_compressed(sys.argv[1] + "_deflated.npz", **arrays)

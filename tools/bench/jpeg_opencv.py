"""How many images a second OpenCV prepares as the paper does, on one core: imdecode, linear resize of the
shorter side to a random length from 256 to 480, random 224x224 crop, flip. Prints one JSON object.

usage: jpeg_opencv.py FOLDER [SECONDS]
"""

import json
import pathlib
import random
import sys
import time

import cv2
import numpy


def prepare(data, draw):
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    height, width = image.shape[:2]
    factor = draw.randint(256, 480) / min(height, width)
    height, width = max(224, round(height * factor)), max(224, round(width * factor))
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    top, left = draw.randint(0, height - 224), draw.randint(0, width - 224)
    image = image[top : top + 224, left : left + 224]
    return cv2.flip(image, 1) if draw.random() < 0.5 else image


def main():
    files = sorted(p for p in pathlib.Path(sys.argv[1]).rglob("*") if p.suffix.lower() in (".jpeg", ".jpg"))
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 2.0
    blobs = [numpy.frombuffer(path.read_bytes(), numpy.uint8) for path in files]
    cv2.setNumThreads(1)
    draw = random.Random(1)
    for blob in blobs:
        prepare(blob, draw)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for blob in blobs:
            prepare(blob, draw)
        count += len(blobs)
    rate = count / (time.perf_counter() - start)
    size = sum(len(blob) for blob in blobs) // len(blobs)
    print(json.dumps({"opencv": cv2.__version__, "images_per_s": round(rate, 1), "files": len(files), "mean_bytes": size}))


main()

"""Segment one scan as equireg does: python example.py MASK.nii.gz SCAN.nii.gz (a file a channel, in their order).

Needs numpy, nibabel, for pictures (MASK.png PICTURE.jpg) Pillow, and onnxruntime. model.json says what the numbers
mean; working.py turns a scan into what the networks see, and their answer into a mask.
"""

import itertools
import json
import sys
from functools import reduce
from pathlib import Path

import numpy as np
import onnxruntime
from working import pad, prepare, read, restore, write

HERE = Path(__file__).resolve().parent
FACTS = json.loads((HERE / "model.json").read_text(encoding="utf-8"))


def windows(shape, patch):
    """Yield windows of a patch's size that cover a shape, each half over the next."""
    starts = []
    for whole, side in zip(shape, patch, strict=True):
        step, end = max(1, int(side * (1 - FACTS["overlap"]))), whole - side
        starts.append(sorted({min(first, end) for first in range(0, end + step, step)}))
    for corner in itertools.product(*starts):
        yield tuple(slice(first, first + side) for first, side in zip(corner, patch, strict=True))


def predict(network, scan, background):
    """Return probabilities [K, D, H, W] of a scan [C, D, H, W], by one network: a weighted mean over windows."""
    model = onnxruntime.InferenceSession(HERE / network["file"], providers=["CPUExecutionProvider"])
    patch, solid = network["patch_size"], network["spatial_dims"] == 3
    padded, inner = pad(scan, background, patch)
    batch = padded[None] if solid else padded.swapaxes(0, 1)  # slices are the batch: [B, C, *S]
    bells = [np.exp(-0.5 * ((np.arange(side) - (side - 1) / 2) / (0.125 * side)) ** 2) for side in patch]
    weight = np.maximum(reduce(np.multiply.outer, bells), 1e-3)  # the middle of a window counts most
    total = np.zeros((len(batch), len(FACTS["labels"]), *batch.shape[2:]), dtype=np.float32)
    weights = np.zeros(batch.shape[2:])
    for window in windows(batch.shape[2:], patch):
        for first in range(0, len(batch), 8):
            some = (slice(first, first + 8), slice(None), *window)
            total[some] += weight * model.run(None, {"image": np.ascontiguousarray(batch[some])})[0]
        weights[window] += weight
    mean = total / weights
    return (mean[0] if solid else mean.swapaxes(0, 1))[(slice(None), *inner)]


if __name__ == "__main__":
    out, *files = sys.argv[1:]
    image, affine, first = read(files, FACTS)
    scan, background, box, whole = prepare(image, affine, FACTS)
    probs = np.mean([predict(network, scan, background) for network in FACTS["networks"]], axis=0)
    labels = restore(probs, affine, image.shape[1:], box, whole, FACTS)
    write(out, labels, first)

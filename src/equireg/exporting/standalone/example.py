"""Segment one scan as equireg does: python example.py MASK.nii.gz SCAN.nii.gz (a file a channel, in their order).

Needs numpy, nibabel and onnxruntime (or torch, for TorchScript). model.json says what the numbers mean; working.py
turns a scan into what the networks see.
"""

import itertools
import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
from working import place, prepare, restore

HERE = Path(__file__).resolve().parent

FACTS = json.loads((HERE / "model.json").read_text(encoding="utf-8"))


def windows(shape, patch):
    """Yield where windows of half overlap lie, and the weights of their voxels: a Gaussian about the middle."""
    part = 1 - FACTS["overlap"]
    steps = [side if side == whole else max(1, int(side * part)) for side, whole in zip(patch, shape, strict=True)]
    starts = [
        sorted({min(first, whole - side) for first in range(0, whole - side + step, step)})
        for whole, side, step in zip(shape, patch, steps, strict=True)
    ]
    bells = [np.exp(-0.5 * ((np.arange(side) - (side - 1) / 2) / (0.125 * side)) ** 2) for side in patch]
    weight = np.ones(())
    for bell in bells:
        weight = weight[..., None] * bell
    for corner in itertools.product(*starts):
        window = tuple(slice(first, first + side) for first, side in zip(corner, patch, strict=True))
        yield window, np.maximum(weight, 1e-3)


def probabilities(run, batch, flips):
    """Return the mean over mirrored images [B, C, *S] of their probabilities [B, K, *S]."""
    total, views = 0.0, 0
    for count in range(len(flips) + 1):
        for chosen in itertools.combinations([axis + 2 for axis in flips], count):
            logits = np.flip(run(np.ascontiguousarray(np.flip(batch, chosen))), chosen)
            raised = np.exp(logits - logits.max(axis=1, keepdims=True))
            total, views = total + raised / raised.sum(axis=1, keepdims=True), views + 1
    return total / views


def predict(run, network, working, background):
    """Return probabilities [K, D, H, W] of a scan [C, D, H, W], by one network."""
    patch, flips = network["patch_size"], network["flip_axes"]
    batch = working[None] if network["spatial_dims"] == 3 else working.swapaxes(0, 1)  # slices are the batch
    missing = [max(side - size, 0) for side, size in zip(patch, batch.shape[2:], strict=True)]
    inner = tuple(slice(lack // 2, lack // 2 + size) for lack, size in zip(missing, batch.shape[2:], strict=True))
    shape = [size + lack for size, lack in zip(batch.shape[2:], missing, strict=True)]
    padded = np.empty((*batch.shape[:2], *shape), dtype=np.float32)
    padded[:] = np.reshape(background, (1, -1, *[1] * len(shape)))
    padded[(..., *inner)] = batch
    total, weights = np.zeros((len(batch), len(FACTS["labels"]), *shape), dtype=np.float32), np.zeros(shape)
    for window, weight in windows(shape, patch):
        for first in range(0, len(batch), 8):
            some = (slice(first, first + 8), slice(None), *window)
            total[some] += probabilities(run, padded[some], flips) * weight
        weights[window] += weight
    mean = (total / weights)[(..., *inner)]
    return mean[0] if network["spatial_dims"] == 3 else mean.swapaxes(0, 1)


def load(file):
    """Return what computes a network: images [B, C, *S] float32 to logits [B, K, *S]."""
    if file.endswith(".onnx"):
        import onnxruntime

        session = onnxruntime.InferenceSession(HERE / file, providers=["CPUExecutionProvider"])
        return lambda batch: session.run(["logits"], {"image": batch})[0]
    import torch

    module = torch.jit.load(HERE / file, "cpu").eval()
    return lambda batch: module(torch.from_numpy(batch)).detach().numpy()


def main(out, *files):
    """Segment the scan of some files, and write its mask."""
    scans = [nib.Nifti1Image.load(file) for file in files]
    voxels = [np.asarray(scan.dataobj, dtype=np.float32) for scan in scans]
    image = np.concatenate([np.moveaxis(array.reshape(*array.shape[:3], -1), -1, 0) for array in voxels])
    if len(image) != len(FACTS["channels"]):
        sys.exit(f"Got {len(image)} channels; expected {', '.join(FACTS['channels'])}.")
    affine = place(scans[0].header, image.shape[1:], FACTS)
    working, background, box, whole = prepare(image, affine, FACTS)
    found = [predict(load(network["file"]), network, working, background) for network in FACTS["networks"]]
    labels = restore(np.mean(found, axis=0), affine, image.shape[1:], box, whole, FACTS)
    mask = nib.Nifti1Image(labels, scans[0].affine, scans[0].header, dtype=labels.dtype)
    mask.header.set_slope_inter(1, 0)
    mask.to_filename(out)


if __name__ == "__main__":
    main(*sys.argv[1:])

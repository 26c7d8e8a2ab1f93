"""Bodies with two organs at known places, moved and bent by known amounts, for the tests of the atlas."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from equireg.folders.prepared import CASES, IMAGE, PreparedSet, write_array
from prepared_sets import record, write_set

Volume = tuple[int, int, int]
FLAT: Volume = (1, 40, 36)
SOLID: Volume = (10, 14, 12)


def anatomy(
    shape: Volume = FLAT, shift: float = 0.0, bend: float = 0.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return an image float32 [2, D, H, W] and its classes uint8 [D, H, W].

    Args:
        shape: voxels; one slice for a picture.
        shift: by how much the body lies further down, in parts of half its height.
        bend: by how much its left and right are pulled apart along the height, likewise.
        seed: of the noise.
    """
    axes = [np.linspace(-1, 1, size) if size > 1 else np.zeros(1) for size in shape]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    y = y - shift - bend * np.sin(2.5 * x)
    body = z**2 + y**2 + x**2 < 0.75
    one = z**2 + (y + 0.3) ** 2 + 2 * (x + 0.1) ** 2 < 0.07
    two = z**2 + (y - 0.3) ** 2 + (x - 0.25) ** 2 < 0.05
    noise = np.random.default_rng(seed).normal(scale=0.05, size=(2, *shape))
    values = body + 1.5 * one - 0.8 * two
    return (np.stack([values, 0.5 * values]) + noise).astype(np.float32), (one + 2 * two).astype(np.uint8)


def scattered(shape: Volume = FLAT, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return a body whose organs lie anywhere, as tumours do: what registration cannot bring together."""
    rng = np.random.default_rng(seed)
    d, h, w = shape
    z, y, x = np.meshgrid(*[np.arange(size) for size in shape], indexing="ij")
    label = np.zeros(shape, np.uint8)
    for value in (1, 2):
        centre = [int(rng.integers(size // 5, size - size // 5)) if size > 1 else 0 for size in (d, h, w)]
        label[sum((a - b) ** 2 for a, b in zip((z, y, x), centre, strict=True)) < (h / 9) ** 2] = value
    image = rng.normal(scale=0.5, size=(2, *shape)) + label
    return image.astype(np.float32), label


def write_scans(
    root: Path, scans: Mapping[str, tuple[np.ndarray, np.ndarray]], *, unlabelled: Sequence[str] = ()
) -> PreparedSet:
    """Write a prepared folder with these images and classes."""
    plain = {"spacing_mm": (1.0, 1.0, 1.0), "background": (0.0, 0.0)}
    records = [
        record(name, labelled=name not in unlabelled, shape=label.shape, **plain) for name, (_, label) in scans.items()
    ]
    write_set(root, records, {name: label for name, (_, label) in scans.items()})
    for name, (image, _) in scans.items():
        write_array(root / CASES / name / IMAGE, image.astype(np.float16))
    return PreparedSet(root)

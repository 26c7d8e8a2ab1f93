"""A short attack on the readers of images: seeded mutations, of which each is read or refused, and nothing else."""

import gzip
import resource
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from equireg.errors import EquiregError
from equireg.imaging import itk_readers
from equireg.imaging.volume import read_geometry, read_image, read_label

SECONDS = 120
"""Time after which the attack counts as hung; it takes a few seconds."""
MEMORY = 2**30
KIBIBYTE = 1 if sys.platform == "darwin" else 1024

VOXELS = np.abs(np.random.default_rng(1).normal(size=(11, 10, 9)) * 50).astype(np.int16)
WORDS = (b"0", b"-1", b"1e308", b"nan", b"99999999999999999999", b"", b"/etc/passwd", b"%d", b"\0", b"3 3 3", b"LIST")
NUMBERS = (0, 1, -1, 127, 255, 32767, -32768)


def nifti(kind: type) -> Callable[[Path], bytes]:
    return lambda folder: kind(VOXELS, np.diag([1.0, 2.0, 3.0, 1.0])).to_bytes()


def by_itk(ending: str, packed: bool) -> Callable[[Path], bytes]:
    def make(folder: Path) -> bytes:
        path = folder / f"seed.{ending}"
        sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(path), useCompression=packed)
        return path.read_bytes()

    return make


SEEDS = {
    "nifti1.nii": nifti(nib.Nifti1Image),
    "nifti2.nii": nifti(nib.Nifti2Image),
    "packed.nii.gz": lambda folder: gzip.compress(nifti(nib.Nifti1Image)(folder)),
    "header.nii.gz": nifti(nib.Nifti1Image),
    "plain.mha": by_itk("mha", False),
    "packed.mha": by_itk("mha", True),
    "plain.nrrd": by_itk("nrrd", False),
    "packed.nrrd": by_itk("nrrd", True),
}


def mutated(content: bytes, rng: np.random.Generator, *, text: bool) -> bytes:
    """Return a damaged copy: bits, bytes, numbers or words changed, mostly in the header, or the end cut off."""
    changed = bytearray(content)
    head = min(len(changed), 400)
    for _ in range(int(rng.integers(1, 4))):
        place = int(rng.integers(0, head if rng.random() < 0.8 else max(len(changed), 1)))
        way = int(rng.integers(0, 6))
        if way == 0:
            changed[place : place + 1] = bytes([int(rng.integers(0, 256))])
        elif way == 1:
            number = np.array(rng.choice(NUMBERS), dtype="<i2").tobytes()
            changed[place : place + 2] = number
        elif way == 2:
            value = np.array(rng.choice([np.nan, np.inf, -np.inf, 1e-30, 1e30, 0, -1]), dtype="<f4").tobytes()
            changed[place : place + 4] = value
        elif way == 3 and rng.random() < 0.3:
            del changed[place:]
        elif way == 4:
            del changed[place : place + int(rng.integers(1, 9))]
        elif text:
            lines = bytes(changed[:head]).split(b"\n")
            line = int(rng.integers(0, len(lines)))
            key = lines[line].split(b" ")[0]
            word = WORDS[int(rng.integers(0, len(WORDS)))]
            lines[line] = rng.choice([key + b" " + word, lines[line] + b"\n" + lines[line], lines[line][:5], word])
            changed[:head] = b"\n".join(lines)
    return bytes(changed)


def refusal(path: Path) -> str | None:
    """Read a file in all ways; return the words of its refusal, if it is refused."""
    try:
        geometry, _ = read_geometry(path)
        image, again = read_image([path])
        assert again == geometry
        assert image.shape[1:] == geometry.shape
        read_label(path, geometry)
    except EquiregError as error:
        return str(error)
    return None


@contextmanager
def bounded() -> Iterator[None]:
    """Fail where the block hangs, or where this process or the readers that ended need much memory."""

    def ring(number: int, frame: object) -> None:
        raise TimeoutError("the attack hangs")

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    old = signal.signal(signal.SIGALRM, ring)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)
    itk_readers.end_readers()
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * KIBIBYTE < MEMORY
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * KIBIBYTE < MEMORY


@pytest.mark.parametrize("name", SEEDS)
def test_damaged_files_are_read_or_refused(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(sorted(SEEDS).index(name))
    seed = SEEDS[name](tmp_path)
    is_text = not name.endswith((".nii", ".nii.gz"))
    path = tmp_path / name
    refused = 0
    count = 40 if is_text else 100
    with bounded(), warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(count):
            content = mutated(seed, rng, text=is_text)
            path.write_bytes(gzip.compress(content) if name == "header.nii.gz" else content)
            message = refusal(path)
            refused += message is not None
            assert message is None or (message.startswith(f"{path}: ") and "\n" not in message)
    assert refused > count // 4

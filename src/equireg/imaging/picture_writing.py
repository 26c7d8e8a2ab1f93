"""Masks and maps as PNG files, in the way that the masks of a data set are stored."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from equireg.disk import write_atomic
from equireg.errors import EquiregError
from equireg.imaging.labels import LabelTable

_MOST = 2**16 - 1


def check_flat(shape: tuple[int, int, int]) -> None:
    """Refuse several slices, which a picture cannot hold."""
    if shape[2] > 1:
        raise EquiregError(f"has {shape[2]} slices, and a PNG holds one. Give --format nifti or nrrd.")


def write_picture(path: Path, values: np.ndarray, labels: LabelTable, look: str) -> None:
    """Write label values [X, Y, 1] as a PNG; completely or not at all.

    Args:
        path: the file.
        values: label values.
        labels: what they mean, with their colours.
        look: ``grey`` (the values themselves, 8 bits as far as they fit, else 16), ``palette`` (the values are
            indices) or ``rgb``. Where the labels have colours and these are grey, so is the picture.

    Raises:
        EquiregError: if there are several slices, a value does not fit, or the disk is full.
    """
    check_flat((values.shape[0], values.shape[1], values.shape[2]))
    flat = np.ascontiguousarray(values[..., 0].T)
    colours = {value: labels.colours[value] for value in labels.values if value in labels.colours}
    all_coloured = len(colours) == labels.classes
    grey = all(len(set(colour)) == 1 for colour in colours.values())
    if look == "palette" and all_coloured and max(colours) < 256:
        picture = Image.fromarray(flat.astype(np.uint8))
        palette = np.zeros((max(colours) + 1, 3), dtype=np.uint8)
        for value, colour in colours.items():
            palette[value] = colour
        picture.putpalette(palette.ravel().tolist())
    elif all_coloured and (look == "rgb" or grey):
        painted = np.zeros((*flat.shape, 3), dtype=np.uint8)
        for value, colour in colours.items():
            painted[flat == value] = colour
        picture = Image.fromarray(np.ascontiguousarray(painted[..., 0]) if grey else painted)
    else:
        picture = Image.fromarray(_grey(flat))
    save_png(path, picture)


def write_fractions(path: Path, fractions: np.ndarray) -> None:
    """Write numbers from 0 to 1, [X, Y, 1], as a grey PNG from 0 to 255; completely or not at all."""
    flat = np.rint(np.clip(fractions[..., 0].T, 0, 1) * 255).astype(np.uint8)
    save_png(path, Image.fromarray(np.ascontiguousarray(flat)))


def save_png(path: Path, picture: Image.Image) -> None:
    """Write a picture without any text about it; completely or not at all."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    write_atomic(path, buffer.getvalue())


def _grey(values: np.ndarray) -> np.ndarray:
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > _MOST:
        raise EquiregError(
            f"has label values from {low} to {high}; a grey PNG holds 0 to {_MOST}. Give --format nifti or nrrd."
        )
    return values.astype(np.uint8 if high < 256 else np.uint16)

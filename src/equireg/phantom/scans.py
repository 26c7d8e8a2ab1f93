"""Making phantom scans, and writing them as BraTS 2019 lays its cases out."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from nibabel.loadsave import save
from nibabel.nifti1 import Nifti1Image

from equireg.disk import staged_folder
from equireg.errors import EquiregError
from equireg.folders import sign
from equireg.phantom.anatomy import brain_depth_mm, head_positions_mm, paint_anatomy
from equireg.phantom.field import Field, largest_part
from equireg.phantom.tissues import acquire
from equireg.phantom.tumour import draw_tumours, paint_tumours, pushed_away

CONTRASTS = ("t1", "t1ce", "t2", "flair")
"""The order of the channels, in the words that BraTS uses for its files."""

# A head with its share of tilt and size; a smaller field of view gets a smaller head.
_STANDARD_FIELD_MM = np.array([196.0, 204.0, 130.0])


@dataclass(frozen=True)
class PhantomConfig:
    """How many phantoms to make, on which grid."""

    cases: int = 24
    shape: tuple[int, int, int] = (64, 64, 24)
    """Voxels along x, y, z."""
    spacing_mm: tuple[float, float, float] = (3.0, 3.0, 5.0)
    """Voxel size along x, y, z."""
    seed: int = 42
    masked: int | None = None
    """Number of cases written with a mask, the first of a permutation drawn from the seed; None: all."""
    held_out: int = 0
    """Number of further cases, with masks, that the layout sets aside as BraTS does its validation data."""

    def __post_init__(self) -> None:
        if self.cases < 1 or self.seed < 0:
            raise EquiregError(f"phantom: cases={self.cases}, seed={self.seed}; expected cases >= 1 and seed >= 0.")
        if min(self.shape) < 16 or min(self.spacing_mm) <= 0:
            raise EquiregError(
                f"phantom: shape={self.shape}, spacing_mm={self.spacing_mm}; expected at least 16 voxels "
                "along each axis and spacings above 0."
            )
        if self.masked is not None and not 0 <= self.masked <= self.cases:
            raise EquiregError(f"phantom: masked={self.masked}; expected 0 to {self.cases}, or None for all.")
        if self.held_out < 0:
            raise EquiregError(f"phantom: held_out={self.held_out}; expected a count from 0.")


@dataclass(frozen=True)
class Phantom:
    """One scan and its mask."""

    images: np.ndarray
    """Intensities in the order of CONTRASTS, float32 [4, X, Y, Z]; 0 outside the brain, above 0 inside."""
    label: np.ndarray
    """Label values 0, 1, 2 and 4, uint8 [X, Y, Z]."""
    affine: np.ndarray
    """Voxel indices to RAS mm, [4, 4]; the axes point left, posterior and up, as in BraTS."""


def make_case(config: PhantomConfig, index: int) -> Phantom:
    """Make one phantom, a function of the grid, the seed and the index alone.

    Args:
        config: the grid and the seed.
        index: which case, from 0; it may lie beyond ``config.cases``.

    Returns:
        The scan and its mask.
    """
    rng = np.random.default_rng(np.random.SeedSequence((config.seed, index)))
    scale = min(1.0, float(np.min(np.array(config.shape) * config.spacing_mm / _STANDARD_FIELD_MM)))
    field = Field(config.shape, np.array(config.spacing_mm) / scale, rng)
    place = head_positions_mm(field)
    depth = brain_depth_mm(field, place)
    brain = largest_part(depth > 0)
    tumours = draw_tumours(field, place, depth)
    pushed = place
    for tumour in tumours:
        pushed = pushed_away(pushed, tumour)
    tissues = paint_anatomy(field, pushed, depth)
    label = paint_tumours(field, tissues, tumours, brain)
    images = acquire(field, tissues) * brain
    affine = np.diag([-config.spacing_mm[0], -config.spacing_mm[1], config.spacing_mm[2], 1.0])
    affine[1, 3] = (config.shape[1] - 1) * config.spacing_mm[1]  # the origin that BraTS gives its scans
    return Phantom(images.astype(np.float32), label, affine)


def write_dataset(folder: Path | str, config: PhantomConfig) -> Path:
    """Write the phantoms as ``MICCAI_BraTS_2019_Data_Training/HGG/CASE/CASE_{t1,t1ce,t2,flair,seg}.nii.gz``.

    Cases beyond ``config.masked`` have no ``_seg`` file: they are unlabelled. Those of ``config.held_out`` follow in
    ``MICCAI_BraTS_2019_Data_Validation/CASE``, each with its mask, which BraTS itself does not hand out.

    Args:
        folder: a new folder; it appears only once all is written.
        config: the cases, their grid and their masks.

    Returns:
        The folder.

    Raises:
        EquiregError: if the folder exists with something in it, or the disk is full.
    """
    order = np.random.default_rng(np.random.SeedSequence(config.seed)).permutation(config.cases)
    masked = {*order[: config.masked].tolist(), *range(config.cases, config.cases + config.held_out)}
    with staged_folder(folder) as staging:
        for index in range(config.cases + config.held_out):
            name = f"Phantom_{index + 1:04d}_1"
            home = "Training/HGG" if index < config.cases else "Validation"
            case = staging / f"MICCAI_BraTS_2019_Data_{home}" / name
            case.mkdir(parents=True)
            phantom = make_case(config, index)
            for contrast, image in zip(CONTRASTS, phantom.images, strict=True):
                _write(case / f"{name}_{contrast}.nii.gz", np.rint(image).astype(np.int16), phantom.affine)
            if index in masked:
                _write(case / f"{name}_seg.nii.gz", phantom.label, phantom.affine)
        sign(staging, "phantom", asdict(config), seed=config.seed)
    return Path(folder)


def _write(path: Path, values: np.ndarray, affine: np.ndarray) -> None:
    image = Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm")
    save(image, path)

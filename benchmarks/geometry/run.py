"""Predict the same scans in other frames and voxel sizes, and compare the predictions with the original's.

    python benchmarks/geometry/run.py RUN RAW --out OUT [--cases 6]

Each copy of a scan is written as NIfTI, predicted by `equireg predict --probabilities`, brought back to the
original's voxels by linear interpolation of the probabilities, and scored by Dice against the prediction for the
original. The result is `OUT/result.json`, with machine, versions, command and commit.
"""

import argparse
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform
from scipy.ndimage import affine_transform

import equireg
from equireg import folders
from equireg.folders.run import RunFolder
from equireg.imaging.volume import read_image
from equireg.layouts import RawCase, discover_inputs
from equireg.metrics import dice as overlap
from equireg.model import load_model

Scan = tuple[np.ndarray, np.ndarray]
"""Voxels [C, X, Y, Z] and affine [4, 4]."""


def reoriented(codes: str) -> Callable[[Scan], Scan]:
    """Return a change of axis order and direction, such as to ``LPS``; no voxel changes its value."""

    def change(scan: Scan) -> Scan:
        image, affine = scan
        turn = ornt_transform(io_orientation(affine), axcodes2ornt(tuple(codes)))
        turned = np.stack([apply_orientation(channel, turn) for channel in image])
        return turned, affine @ inv_ornt_aff(turn, image.shape[1:])

    return change


def tilted_header(degrees: float) -> Callable[[Scan], Scan]:
    """Return the same voxels in a patient who lies oblique: the affine alone turns, so voxels are compared."""
    return lambda scan: (scan[0], rotation(degrees) @ scan[1])


def resampled(spacing_mm: tuple[float, float, float] | None, degrees: float = 0.0) -> Callable[[Scan], Scan]:
    """Return a resampling to other voxels (None keeps the size), on a grid turned about the scan's centre."""

    def change(scan: Scan) -> Scan:
        image, affine = scan
        own = np.linalg.norm(affine[:3, :3], axis=0)
        wanted = own if spacing_mm is None else np.array(spacing_mm)
        shape = np.maximum(np.ceil(np.array(image.shape[1:]) * own / wanted), 1).astype(int)
        centre = affine @ np.append((np.array(image.shape[1:]) - 1) / 2, 1)
        linear = rotation(degrees)[:3, :3] @ (affine[:3, :3] / own) * wanted
        new = np.eye(4)
        new[:3, :3] = linear
        new[:3, 3] = centre[:3] - linear @ ((shape - 1) / 2)
        return np.stack([onto(channel, affine, tuple(shape), new, "nearest") for channel in image]), new

    return change


def rotation(degrees: float) -> np.ndarray:
    """Return a turn about the left-right and then the feet-head axis, [4, 4]."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    about_x, about_z = np.eye(4), np.eye(4)
    about_x[1:3, 1:3] = [[cos, -sin], [sin, cos]]
    about_z[:2, :2] = [[cos, -sin], [sin, cos]]
    return about_z @ about_x


def onto(volume: np.ndarray, affine: np.ndarray, shape: tuple[int, ...], new: np.ndarray, mode: str) -> np.ndarray:
    """Read a volume at the voxels of another grid, by linear interpolation."""
    way = np.linalg.inv(affine) @ new
    offset = way[:3, 3]  # scipy takes one number an axis, though its types say one for all
    return affine_transform(volume, way[:3, :3], offset, shape, order=1, mode=mode)  # pyright: ignore[reportArgumentType]


def copies(spacing_mm: tuple[float, ...]) -> dict[str, Callable[[Scan], Scan]]:
    """Return the copies to make of scans with a spacing: frames, oblique headers, oblique and other voxels."""
    x, y, z = spacing_mm
    return {
        "LPS": reoriented("LPS"),
        "RAS": reoriented("RAS"),
        "PIR": reoriented("PIR"),
        "oblique header, 20 degrees": tilted_header(20),
        "oblique grid, 10 degrees": resampled(None, 10),
        "2 mm": resampled((2.0, 2.0, 2.0)),
        "anisotropic, slices twice as thick": resampled((x, y, 2 * z)),
        "anisotropic, LPS and oblique": lambda scan: reoriented("LPS")(resampled((x, y, 2 * z), 10)(scan)),
    }


def write(folder: Path, case: RawCase, scan: Scan) -> None:
    """Write a scan, one 4D file for several channels."""
    image, affine = scan
    voxels = image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)
    nib.save(nib.Nifti1Image(voxels.astype(np.float32), affine), folder / f"{case.name}.nii.gz")


def dice(original: Path, copy: Path, *, by_voxel: bool) -> list[float]:
    """Return the Dice of each class between two folders of probabilities, averaged over their cases.

    By voxel where the patient was turned with the scan, else by place in the patient.
    """
    scores = []
    for path in sorted(original.glob("*_probabilities.nii.gz")):
        here, geometry = read_image((path,))
        there, other = read_image((copy / path.name,))
        frame = geometry if by_voxel else other
        back = [onto(probs, frame.affine_array, geometry.shape, geometry.affine_array, "nearest") for probs in there]
        ours, theirs = here.argmax(axis=0), np.argmax(back, axis=0)
        scores.append([overlap(ours == k, theirs == k) for k in range(1, len(here))])
    return np.mean(scores, axis=0).tolist()


def main() -> None:
    """Make the copies, predict them and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("run", type=Path)
    parser.add_argument("raw", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", nargs="+", required=True, help="names of the cases, best of the test split")
    options = parser.parse_args()
    model = load_model(RunFolder(options.run).checkpoint("auto"))
    cases = [case for case in discover_inputs(options.raw, model.facts.channels) if case.name in options.cases]
    scans = {case.name: case.read_image() for case in cases}
    spacing = next(iter(scans.values()))[1].spacing_mm
    result = {}
    changes: dict[str, Callable[[Scan], Scan]] = {"original": lambda scan: scan, **copies(spacing)}
    for number, (name, change) in enumerate(changes.items()):
        raw, predicted = options.out / "scans" / str(number), options.out / "predictions" / str(number)
        raw.mkdir(parents=True)
        for case in cases:
            image, geometry = scans[case.name]
            write(raw, case, change((image, geometry.affine_array)))
        equireg.predict(options.run, raw, predicted, probabilities=True)
        if name != "original":
            scores = dice(options.out / "predictions" / "0", predicted, by_voxel="header" in name)
            result[name] = dict(zip(model.facts.labels.names[1:], [round(score, 4) for score in scores], strict=True))
            print(f"{name:40}", result[name], flush=True)
    folders.sign(
        options.out,
        "benchmark",
        {"cases": options.cases},
        command=" ".join(["python", *sys.argv]),
        machine=f"{platform.machine()}, {platform.processor()}",
        dice=result,
    )
    (options.out / folders.SIGNATURE).rename(options.out / "result.json")


if __name__ == "__main__":
    main()

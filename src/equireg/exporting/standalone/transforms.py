"""Transforms for a MONAI bundle: a scan as equireg's networks see it, and their probabilities as a mask of the scan."""

import json
import re
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms.transform import MapTransform

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

from working import place, prepare, restore  # noqa: E402 - it lies beside this file

FACTS = json.loads((HERE / "model.json").read_text(encoding="utf-8"))
_CHANNEL = re.compile(r"_\d{4}$")


def cases(folder):
    """Return a list of scans for MONAI: a file each, or the files CASE_0000.nii.gz, CASE_0001.nii.gz, ... of each."""
    paths = [path for path in sorted(Path(folder).iterdir()) if path.name.endswith((".nii.gz", ".nii"))]
    if not paths:
        raise SystemExit(f"{folder}: holds no .nii.gz; give the folder of the scans by --dataset_dir.")
    groups = {}
    for path in paths:
        groups.setdefault(_case(path) if len(FACTS["channels"]) > 1 else path.name, []).append(str(path))
    return [{"image": files} for files in groups.values()]


def _case(path):
    return _CHANNEL.sub("", path.name.removesuffix(".gz").removesuffix(".nii"))


class Prepared(MapTransform):
    """Read the files of a scan, and turn, resample, normalise, crop and pad it: a tensor [C, D, H, W]."""

    def __call__(self, data):
        """Return the data with a tensor in place of the files."""
        data = dict(data)
        for key in self.key_iterator(data):
            scans = [nib.Nifti1Image.load(file) for file in data[key]]
            voxels = [np.asarray(scan.dataobj, dtype=np.float32) for scan in scans]
            image = np.concatenate([np.moveaxis(array.reshape(*array.shape[:3], -1), -1, 0) for array in voxels])
            name = Path(data[key][0])
            if len(image) != len(FACTS["channels"]):
                raise SystemExit(f"{name}: got {len(image)} channels; expected {', '.join(FACTS['channels'])}.")
            affine = place(scans[0].header, image.shape[1:], FACTS)
            working, background, box, whole = prepare(image, affine, FACTS)
            meta = {
                "filename_or_obj": str(name.with_name(f"{_case(name)}.nii.gz") if len(scans) > 1 else name),
                "scan_affine": np.asarray(scans[0].affine, dtype=np.float64),
                "turned_by": np.asarray(affine, dtype=np.float64),
                "scan_shape": np.array(image.shape[1:]),
                "box": np.array([(part.start, part.stop) for part in box]),
                "whole": np.array(whole),
            }
            data[key] = MetaTensor(torch.from_numpy(padded(working, background)), affine=torch.eye(4), meta=meta)
        return data


def padded(working, background):
    """Return a scan [C, D, H, W] in the middle of at least a patch of its background."""
    out = working
    for axis, (size, length) in enumerate(_sides(working.shape[1:]), start=1):
        lack = max(length - size, 0)
        shape = [*out.shape[:axis], lack, *out.shape[axis + 1 :]]
        fill = np.broadcast_to(np.reshape(background, (-1, 1, 1, 1)), shape).astype(np.float32)
        before, after = np.split(fill, [lack // 2], axis=axis)
        out = np.concatenate([before, out, after], axis=axis)
    return np.ascontiguousarray(out)


def _sides(shape):
    """Pair the sides of a scan [D, H, W] with those of the patch; slices have no patch across themselves."""
    patch = FACTS["networks"][0]["patch_size"]
    return zip(shape, [1] * (3 - len(patch)) + list(patch), strict=True)


class Restored(MapTransform):
    """Turn probabilities [K, D, H, W] into label values [1, X, Y, Z] in the scan's own voxels."""

    def __init__(self, keys, image_key="image"):
        super().__init__(keys)
        self.image_key = image_key

    def __call__(self, data):
        """Return the data with a mask in place of the probabilities."""
        data = dict(data)
        meta = data[self.image_key].meta
        arrays = {name: np.asarray(meta[name]) for name in ("scan_affine", "turned_by", "scan_shape", "box", "whole")}
        box = [slice(int(start), int(stop)) for start, stop in arrays["box"]]
        inner = []
        for size, length in _sides([part.stop - part.start for part in box]):
            before = max(length - size, 0) // 2
            inner.append(slice(before, before + size))
        for key in self.key_iterator(data):
            probs = np.asarray(data[key].cpu())[(slice(None), *inner)]
            shape, whole = (tuple(int(size) for size in arrays[name]) for name in ("scan_shape", "whole"))
            mask = restore(probs, arrays["turned_by"], shape, box, whole, FACTS)
            found = torch.from_numpy(mask[None].astype(np.int16))
            affine = torch.from_numpy(arrays["scan_affine"])
            data[key] = MetaTensor(found, affine=affine, meta={"filename_or_obj": meta["filename_or_obj"]})
        return data

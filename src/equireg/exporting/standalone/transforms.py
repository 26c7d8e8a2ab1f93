"""Transforms for a MONAI bundle: a scan as equireg's networks see it, and their probabilities as a mask of the scan."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms.transform import MapTransform

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

from working import holds_all, opened, pad, prepare, read, restore, write  # noqa: E402 - it lies beside this file

FACTS = json.loads((HERE / "model.json").read_text(encoding="utf-8"))
_CHANNEL = re.compile(r"_\d{4}$")
_ENDING = re.compile(r"(\.nii\.gz|\.\w+)$", re.IGNORECASE)
_VOLUMES = (".nii.gz", ".nii")
_PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")


def cases(folder):
    """Return a list of scans for MONAI: a file each, or the files CASE_0000.nii.gz, CASE_0001.nii.gz, ... of each."""
    pictures = "pixel_mm" in FACTS
    endings = _PICTURES if pictures else _VOLUMES
    paths = [path for path in sorted(Path(folder).iterdir()) if path.name.lower().endswith(endings)]
    if not paths:
        raise SystemExit(f"{folder}: holds no {' or '.join(endings)}; give the folder of the scans by --dataset_dir.")
    _check_names(paths, "pictures" if pictures else "scans")
    if pictures:
        return [{"image": [str(path)]} for path in paths]
    groups = {}
    for path in paths:
        named = _case(path) != _ENDING.sub("", path.name)
        whole = len(FACTS["channels"]) == 1 or (named and holds_all(path, FACTS))
        groups.setdefault(path.name if whole else _case(path), []).append(str(path))
    return [{"image": files} for files in groups.values()]


def _check_names(paths, kind):
    stems = [_ENDING.sub("", path.name) for path in paths]
    twice = next((stem for stem in stems if stems.count(stem) > 1), None)
    if twice is not None:
        raise SystemExit(f"{paths[0].parent}: holds two {kind} of the name {twice}; their masks would have one name.")


def _case(path):
    return _CHANNEL.sub("", _ENDING.sub("", path.name))


class Prepared(MapTransform):
    """Read the files of a scan, and turn, resample, normalise, crop and pad it: a tensor [C, D, H, W]."""

    def __call__(self, data):
        """Return the data with a tensor in place of the files."""
        data = dict(data)
        for key in self.key_iterator(data):
            image, affine, first = read(data[key], FACTS)
            name = Path(data[key][0])
            stem = _case(name) if len(data[key]) > 1 else _ENDING.sub("", name.name)
            working, background, box, whole = prepare(image, affine, FACTS)
            padded, inner = pad(working, background, FACTS["networks"][0]["patch_size"])
            meta = {
                "filename_or_obj": str(name if "pixel_mm" in FACTS else name.with_name(f"{stem}.nii.gz")),
                "scan_file": str(name),
                "scan_affine": np.asarray(first.affine, dtype=np.float64),
                "turned_by": np.asarray(affine, dtype=np.float64),
                "scan_shape": np.array(image.shape[1:]),
                "box": np.array([(part.start, part.stop) for part in box]),
                "whole": np.array(whole),
                "inner": np.array([(part.start, part.stop) for part in inner]),
            }
            data[key] = MetaTensor(torch.from_numpy(padded), affine=torch.eye(4), meta=meta)
        return data


class Restored(MapTransform):
    """Turn probabilities [K, D, H, W] into label values [1, X, Y, Z] in the scan's own voxels."""

    def __init__(self, keys, image_key="image"):
        super().__init__(keys)
        self.image_key = image_key

    def __call__(self, data):
        """Return the data with a mask in place of the probabilities."""
        data = dict(data)
        meta = data[self.image_key].meta
        names = ("scan_affine", "turned_by", "scan_shape", "box", "whole", "inner")
        arrays = {name: np.asarray(meta[name]) for name in names}
        box, inner = ([slice(int(start), int(stop)) for start, stop in arrays[name]] for name in ("box", "inner"))
        for key in self.key_iterator(data):
            probs = np.asarray(data[key].cpu())[(slice(None), *inner)]
            shape, whole = (tuple(int(size) for size in arrays[name]) for name in ("scan_shape", "whole"))
            mask = restore(probs, arrays["turned_by"], shape, box, whole, FACTS)
            found = torch.from_numpy(mask[None].astype(np.int32))
            affine = torch.from_numpy(arrays["scan_affine"])
            named = {name: meta[name] for name in ("filename_or_obj", "scan_file")}
            data[key] = MetaTensor(found, affine=affine, meta=named)
        return data


class Written(MapTransform):
    """Write the mask of a scan, label values [1, X, Y, Z], in its place and shape; of a picture as PNG."""

    def __init__(self, keys, output_dir, output_dtype=None):
        super().__init__(keys)
        self.folder, self.kind = Path(output_dir), output_dtype

    def __call__(self, data):
        """Return the data as they are."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for key in self.key_iterator(data):
            mask, meta = np.asarray(data[key][0]), data[key].meta
            name = Path(meta["filename_or_obj"])
            if "pixel_mm" in FACTS:
                kind = np.uint8 if mask.max() < 256 else np.uint16
                write(self.folder / f"{name.stem}.png", mask.astype(kind), None)
            else:
                write(self.folder / name.name, mask.astype(self.kind), opened(meta["scan_file"], FACTS))
        return data

"""One scan's mask from the labelled scans, made once and kept; what workers do."""

import json
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np

from equireg.atlas import registration
from equireg.atlas.fusing import MOST_VOTES, Labelled, fuse, mean_dice
from equireg.atlas.registration import Scan
from equireg.atlas.resolution import MOST_VOXELS, classes_at, coarse_image, coarse_shape
from equireg.errors import EquiregError
from equireg.folders import atlas
from equireg.folders.digests import digest_of
from equireg.folders.prepared import IMAGE, LABEL, PreparedSet

_MADE_BY = (1, MOST_VOTES, MOST_VOXELS, *registration.SETTINGS)
"""To be counted up where the same scans give other masks than before."""


def key_of(data: PreparedSet, target: str, labelled: Sequence[str]) -> str:
    """Return the name of a mask in the folder: a digest of all that it depends on."""
    files = [_file(data, target, IMAGE), *(_file(data, name, kind) for name in labelled for kind in (IMAGE, LABEL))]
    spacings = [data.by_name[name].spacing_mm for name in (target, *labelled)]
    content = [_MADE_BY, data.manifest.labels.classes, files, spacings]
    return blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()


def carry(data: PreparedSet, target: str, labelled: Sequence[str], folder: Path) -> atlas.Carried:
    """Carry the masks of labelled scans over to a scan, unless that is done already.

    Args:
        data: the prepared folder.
        target: name of the scan.
        labelled: names of the labelled ones.
        folder: where masks are kept.

    Returns:
        What is known of the mask, which lies in the folder.

    Raises:
        EquiregError: if a scan is damaged, or the folder cannot be written.
    """
    return _carried(data, target, labelled, folder, key_of(data, target, labelled))


def _carried(data: PreparedSet, target: str, labelled: Sequence[str], folder: Path, key: str) -> atlas.Carried:
    found = atlas.find(folder, key)
    if found is not None:
        return found
    fused = fuse(_scan(data, target), [_labelled(data, name) for name in labelled], data.manifest.labels.classes)
    if fused is None:
        return atlas.keep(folder, key, -1.0, None, None)
    classes = classes_at(fused.classes, data.by_name[target].shape)
    return atlas.keep(folder, key, fused.likeness, None, classes)


def there_and_back(data: PreparedSet, target: str, labelled: Sequence[str], folder: Path) -> float:
    """Carry masks over to a scan, and from there back to the first labelled one, by a registration of its own.

    Returns:
        Dice of what comes back and the first one's mask, 0 where nothing does.

    Raises:
        EquiregError: as ``carry``.
    """
    key = key_of(data, target, labelled)
    found = atlas.find(folder, f"{key}-back")
    if found is not None and found.dice is not None:
        return found.dice
    there = _mask(data, target, labelled, folder, key)
    dice = 0.0
    if there is not None:
        own, scan = _labelled(data, labelled[0]), _scan(data, target)
        come = Labelled(scan, classes_at(there, scan.shape))
        back = fuse(own.scan, [come], data.manifest.labels.classes)
        dice = 0.0 if back is None else mean_dice(back.classes, own.classes)
    atlas.keep(folder, f"{key}-back", 0.0, dice, None)
    return dice


def onto_labelled(data: PreparedSet, target: str, labelled: Sequence[str], folder: Path) -> float:
    """Carry masks over to a scan that has one; return the Dice of both, 0 where nothing comes over.

    Raises:
        EquiregError: as ``carry``.
    """
    there = _mask(data, target, labelled, folder, key_of(data, target, labelled))
    return 0.0 if there is None else mean_dice(there, np.asarray(data.label(target)[:]))


def _mask(data: PreparedSet, target: str, labelled: Sequence[str], folder: Path, key: str) -> np.ndarray | None:
    """Return the mask that ``carry`` makes, uint8 [D, H, W]; None where there is none."""
    if not _carried(data, target, labelled, folder, key).digest:
        return None
    return np.asarray(data.with_atlas({target: atlas.mask_file(folder, key)}).atlas(target)[:])


def _scan(data: PreparedSet, name: str) -> Scan:
    """Read a scan at the resolution that it is worked on with."""
    record = data.by_name[name]
    shape = coarse_shape(record.shape, record.spacing_mm)
    d, h, w = (step * old / new for step, old, new in zip(record.spacing_mm, record.shape, shape, strict=True))
    return Scan(coarse_image(np.asarray(data.image(name)[:]), shape), (d, h, w))


def _labelled(data: PreparedSet, name: str) -> Labelled:
    scan = _scan(data, name)
    return Labelled(scan, classes_at(np.asarray(data.label(name)[:]), scan.shape))


def _file(data: PreparedSet, case: str, name: str) -> str:
    """Return the digest of a case's file: that of the manifest, or where an older folder has none, of its bytes."""
    recorded = data.by_name[case].digests.get(name)
    if recorded is not None:
        return recorded
    path = data.folder(case) / name
    try:
        return digest_of(path)
    except OSError as error:
        raise EquiregError(f"{path}: cannot be read ({error}). Run the same `equireg prepare` again.") from error

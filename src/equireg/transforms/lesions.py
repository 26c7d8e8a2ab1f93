"""Lesions of labelled samples, pasted into others at other places, with borders that blend into what lies there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
import torch
from torch import Tensor

from equireg.imaging.labels import IGNORED

_LEAST_VOXELS = 4
"""Smaller components are rather noise of an annotation, or a cut corner of a lesion."""


@dataclass(frozen=True)
class Lesion:
    """One connected part of a sample that is not background, with a border about it."""

    image: Tensor
    """[C, *s]."""
    classes: Tensor
    """Class indices of the lesion, [1, *s]; ``IGNORED`` outside of it."""
    weight: Tensor
    """1 in the lesion, falling evenly to 0 over the border, and 0 where other lesions are, [1, *s]."""


def find_lesions(image: Tensor, label: Tensor, border_vox: int) -> list[Lesion]:
    """Return the lesions of labelled samples.

    Args:
        image: [N, C, *S].
        label: class indices, [N, 1, *S]; ``IGNORED`` where nobody annotated.
        border_vox: width of the border, voxels; 0 for a hard one.
    """
    found = []
    for sample, classes in zip(image, label.cpu().numpy()[:, 0], strict=True):
        shown = (classes != 0) & (classes != IGNORED)
        numbered = np.zeros(classes.shape, np.int32)
        scipy.ndimage.label(shown, structure=np.ones((3,) * shown.ndim), output=numbered)
        for number, box in enumerate(scipy.ndimage.find_objects(numbered), start=1):
            if box is None or (numbered[box] == number).sum() < _LEAST_VOXELS:
                continue
            sides = zip(box, classes.shape, strict=True)
            wide = tuple(slice(max(s.start - border_vox, 0), min(s.stop + border_vox, n)) for s, n in sides)
            found.append(_lesion(sample[(slice(None), *wide)], classes[wide], numbered[wide] == number, border_vox))
    return found


def _lesion(image: Tensor, classes: np.ndarray, inside: np.ndarray, border_vox: int) -> Lesion:
    """Return a lesion from a crop of a sample, and where it lies in it."""
    away = scipy.ndimage.distance_transform_edt(~inside)
    weight = np.clip(1 - np.asarray(away) / (border_vox + 1), 0, 1).astype(np.float32)
    weight[(classes != 0) & ~inside] = 0  # another lesion would come along as background
    known = np.where(inside, classes, IGNORED).astype(np.int64)
    return Lesion(image, *(torch.from_numpy(part)[None].to(image.device) for part in (known, weight)))


def paste(
    image: Tensor, classes: Tensor, body: Tensor, lesions: Sequence[Lesion], draws: Tensor
) -> tuple[Tensor, Tensor]:
    """Paste a lesion into some samples, centred on a voxel of the body; what would lie outside of it is left out.

    Args:
        image: [B, C, *S].
        classes: class indices, [B, 1, *S]; the lesion's stand where it does, also in place of others.
        body: True where tissue is, [B, 1, *S].
        lesions: those that may be pasted.
        draws: for each sample a number from 0 to below 1 that chooses the lesion, and one that chooses its place; below
            0 where none is pasted, [B, 2], on the CPU.

    Returns:
        New image and classes.
    """
    image, classes = image.clone(), classes.clone()
    for row, (which, where) in enumerate(draws.tolist()):
        places = body[row, 0].nonzero()
        if which < 0 or not len(places) or not lesions:
            continue
        lesion = lesions[int(which * len(lesions))]
        centre = places[int(where * len(places))].tolist()
        there, of_lesion = _boxes(centre, lesion.weight.shape[1:], image.shape[2:])
        weight = lesion.weight[of_lesion] * body[(row, slice(None), *there[1:])]
        seen, known = image[(row, *there)], classes[(row, *there)]
        image[(row, *there)] = seen + weight * (lesion.image[of_lesion] - seen)
        pasted = lesion.classes[of_lesion]
        classes[(row, *there)] = torch.where((pasted != IGNORED) & (weight > 0), pasted, known)
    return image, classes


def _boxes(
    centre: Sequence[int], sides: Sequence[int], shape: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return where a box about a centre lies in a sample, and which part of the box that is; channels first."""
    there, part = [slice(None)], [slice(None)]
    for middle, side, size in zip(centre, sides, shape, strict=True):
        start = middle - side // 2
        low, high = max(start, 0), min(start + side, size)
        there.append(slice(low, high))
        part.append(slice(low - start, high - start))
    return tuple(there), tuple(part)

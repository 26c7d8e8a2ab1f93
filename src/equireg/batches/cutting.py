"""The windows of a batch, cut from their cases."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from equireg.batches.reading import CaseReader
from equireg.folders.prepared import CaseRecord
from equireg.imaging.labels import IGNORED
from equireg.transforms.group import Move


class Patches:
    """Windows of a batch that may reach beyond their cases: there the image is background and ``valid`` 0.

    Args:
        background: value of each channel's background, [B, C].
        window: voxels of each, [D, H, W].
        device: where the cases are kept.
        classes: which classes are read too, those of masks or those of the atlas; None for none.
    """

    def __init__(
        self,
        background: Tensor,
        window: Sequence[int],
        device: torch.device,
        classes: Literal["label", "atlas"] | None = None,
    ) -> None:
        count = len(background)
        self._background = pinned(background, device).to(device, non_blocking=True)[..., None, None, None]
        self.image = torch.empty((*background.shape, *window), device=device)
        self.valid = torch.ones((count, 1, *window), device=device)
        self._kind = classes
        self.classes = torch.empty((count, 1, *window), dtype=torch.uint8, device=device) if classes else None

    def cut(self, row: int, reader: CaseReader, record: CaseRecord, start: Sequence[int], turn: Move) -> None:
        """Fill a row with the window of a case that begins at ``start``, turned."""
        unmirrored = Move(turn.inverse.order)  # what it gives is a view: what is written to it is written to the row
        rows = [part[row : row + 1] for part in (self.image, self.valid, self.classes) if part is not None]
        image, valid, *classes = (unmirrored.apply(part)[0] for part in rows)  # as the case lies
        inside, within = [], []
        for first, length, size in zip(start, image.shape[1:], record.shape, strict=True):
            low, high = max(first, 0), min(first + length, size)
            inside.append(slice(low, high))
            within.append(slice(low - first, high - first))
        place = (slice(None), *within)
        if any(part.stop - part.start < length for part, length in zip(within, image.shape[1:], strict=True)):
            image[:] = self._background[row]
            valid[:] = 0
            valid[place] = 1
            for each in classes:
                each[:] = IGNORED
        image[place] = reader.read(record.name, "image", tuple(inside))
        for each in classes:
            each[place] = self._known(reader, record.name, tuple(inside))
        if turn.mirrored:
            for part in rows:
                part[:] = part.flip([2 + axis for axis in turn.mirrored])

    def _known(self, reader: CaseReader, case: str, box: tuple[slice, ...]) -> Tensor | int:
        """Return the classes of a box; a case that the atlas left out has none."""
        if self._kind == "atlas" and case not in reader.prepared.atlas_files:
            return IGNORED
        return reader.read(case, self._kind or "label", box)


def pinned(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a small tensor in page-locked memory where it is to go to a GPU, which then need not be waited for."""
    return tensor.pin_memory() if device.type == "cuda" else tensor

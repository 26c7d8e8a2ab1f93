"""The batch of every step, drawn from a prepared folder as a function of seed and step alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from equireg.batches.batch import Batch, Samples
from equireg.batches.choice import drafted_cases
from equireg.batches.cutting import Patches, pinned
from equireg.batches.reading import CaseReader
from equireg.config import TrainConfig
from equireg.folders.prepared import CaseRecord
from equireg.imaging.labels import IGNORED
from equireg.processes.ranks import Rank, generator
from equireg.transforms.group import Move, Planes, members

_LABELLED, _UNLABELLED, _METHOD, _DRAFTED = 0, 1, 2, 3
"""Streams of random numbers; each is drawn from (seed, stream, ...), so that none depends on another's length."""


@dataclass(frozen=True)
class PatchPlan:
    """Size and place of training samples."""

    spatial_dims: int
    patch_size: tuple[int, ...]
    """Voxels of a sample, [n]."""
    flip_axes: tuple[int, ...]
    """Spatial axes of a sample along which mirroring is allowed."""
    turn_planes: Planes = ()
    """Pairs of its spatial axes in whose plane quarter turns are allowed."""

    @property
    def window(self) -> tuple[int, int, int]:
        """Voxels of a sample as [D, H, W]; a slice is one voxel deep."""
        d, h, w = (1, *self.patch_size) if self.spatial_dims == 2 else self.patch_size
        return d, h, w

    @property
    def turns(self) -> tuple[Move, ...]:
        """How a window [D, H, W] may be turned by quarters, without mirrors; the first way changes nothing."""
        offset = 3 - self.spatial_dims
        return members(3, (), tuple((one + offset, other + offset) for one, other in self.turn_planes))


@dataclass(frozen=True)
class _Window:
    """Where a sample is cut from a case."""

    start: Sequence[int]
    """First voxel along each axis of the case, [3]."""
    turn: Move
    """How it is turned then."""
    centred: bool
    """Whether it was drawn about a labelled voxel."""
    shift: Sequence[int]
    """How many voxels further on the second window begins, [3]."""


class BatchSource(Dataset[Batch]):
    """The batch of step k as item k.

    Labelled, drafted and unlabelled cases each run through permutations of their own, so that every case is drawn
    as often; ``config.draft_share`` of the labelled samples are of cases that a model drafted, where the prepared
    folder has such. Within a case the window is drawn at random, ``config.foreground`` of the labelled ones about a
    labelled voxel of a class drawn from those that the case shows. Where quarter turns are allowed, a window is turned
    by a random one: it is read with its sides exchanged, so that nothing is cut off.

    Args:
        reader: where the cases come from.
        labelled: names of the cases used with their masks.
        unlabelled: names of those used without; empty for methods that use none.
        config: batch size, ratio, seed and foreground fraction.
        plan: size of the samples.
        rank: whose slice of each batch is read.
    """

    def __init__(
        self,
        reader: CaseReader,
        labelled: Sequence[str],
        unlabelled: Sequence[str],
        config: TrainConfig,
        plan: PatchPlan,
        rank: Rank = Rank(),  # noqa: B008 - it is frozen
    ) -> None:
        self.reader, self.labelled, self.unlabelled = reader, tuple(labelled), tuple(unlabelled)
        self.config, self.plan, self.rank = config, plan, rank
        self._masked = frozenset(labelled)
        self._turns = plan.turns
        self._drafted = drafted_cases(reader.prepared.manifest.cases)

    def __len__(self) -> int:
        """Return the number of steps of the whole run."""
        return self.config.total_steps

    def batch_bytes(self) -> int:
        """Return the bytes of this rank's slice of a batch."""
        labelled = self.config.batch_size // self.rank.count
        unlabelled = labelled * self.config.unsup_ratio if self.unlabelled else 0
        images = 4 * len(self.reader.prepared.manifest.channels) + 4  # and ``valid``
        windows = labelled + unlabelled * (2 if self.config.method.second_window else 1)
        classes = labelled + (unlabelled if self.reader.prepared.atlas_files else 0)
        return math.prod(self.plan.patch_size) * (windows * images + 8 * classes)

    def __getitem__(self, step: int) -> Batch:
        """Return the batch of a step, where the cases are kept."""
        size = self.config.batch_size
        unlabelled = None
        if self.unlabelled and self.config.unsup_ratio:
            count = size * self.config.unsup_ratio
            unlabelled = self._samples(_UNLABELLED, self.unlabelled, step, count)
        seed = int(np.random.SeedSequence([self.config.random_seed, _METHOD, step]).generate_state(1, np.uint64)[0])
        return Batch(
            labelled=self._samples(_LABELLED, self.labelled, step, size),
            unlabelled=unlabelled,
            generator=generator(self.rank, seed >> 1),
            flip_axes=self.plan.flip_axes,
            turn_planes=self.plan.turn_planes,
        )

    def _samples(self, stream: int, names: Sequence[str], step: int, count: int) -> Samples:
        """Draw the samples of one stream for one step, of ``count`` samples in the whole batch."""
        whole = [self._record(*self._drawn(stream, names, index)) for index in range(step * count, (step + 1) * count)]
        own = self.rank.slice_of(count // self.rank.count)
        records, window = whole[own], self.plan.window
        background = torch.tensor([record.background for record in records], dtype=torch.float32)
        other = "atlas" if self.reader.prepared.atlas_files else None
        patches = Patches(background, window, self.reader.device, "label" if stream == _LABELLED else other)
        windows = []
        for row, record in enumerate(records):
            rng = np.random.default_rng([self.config.random_seed, stream, step * count + own.start + row])
            windows.append(self._window(record, rng, stream))
            patches.cut(row, self.reader, record, windows[row].start, windows[row].turn)
        flat = (slice(None), slice(None), 0) if self.plan.spatial_dims == 2 else ()
        spacing = torch.tensor([record.spacing_mm for record in whole], dtype=torch.float32)
        spacing = spacing[:, -self.plan.spatial_dims :]
        classes = None if patches.classes is None else patches.classes[flat].long()
        masked = torch.tensor([record.name in self._masked for record in records])
        return Samples(
            image=patches.image[flat],
            valid=patches.valid[flat],
            fill=pinned(background, self.reader.device),
            spacing_mm=spacing[own],
            batch_spacing_mm=spacing,
            cases=tuple(record.name for record in records),
            label=classes if stream == _LABELLED else None,
            masked=pinned(masked, self.reader.device),
            atlas=None if stream == _LABELLED else classes,
            centred=pinned(torch.tensor([one.centred for one in windows]), self.reader.device)
            if stream == _LABELLED
            else None,
            **(self._second(records, windows, background) if stream == _UNLABELLED else {}),
        )

    def _window(self, record: CaseRecord, rng: np.random.Generator, stream: int) -> _Window:
        """Draw a window of a case, and where methods that want a second one find it."""
        turn = self._turns[int(rng.integers(len(self._turns))) if len(self._turns) > 1 else 0]
        sides = turn.sides_before(self.plan.window)
        start, centred = self._start(record, rng, stream == _LABELLED, sides)
        reach = self.config.method.second_window if stream == _UNLABELLED else 0.0
        return _Window(start, turn, centred, _shift(record, rng, start, sides, reach) if reach else (0, 0, 0))

    def _second(
        self, records: Sequence[CaseRecord], windows: Sequence[_Window], background: Tensor
    ) -> dict[str, Tensor]:
        """Return the second windows of samples, and how far they begin from the first, where a method wants them."""
        if not self.config.method.second_window:
            return {}
        patches = Patches(background, self.plan.window, self.reader.device)
        for row, (record, one) in enumerate(zip(records, windows, strict=True)):
            patches.cut(row, self.reader, record, [a + b for a, b in zip(one.start, one.shift, strict=True)], one.turn)
        n = self.plan.spatial_dims
        shifts = torch.tensor([one.turn.vector(one.shift)[-n:] for one in windows])
        return {"second": patches.image[:, :, 0] if n == 2 else patches.image, "second_shift_vox": shifts}

    def _drawn(self, stream: int, names: Sequence[str], index: int) -> tuple[int, Sequence[str], int]:
        """Return the stream of a sample, the names that it runs through, and its index in it."""
        if stream != _LABELLED or not self._drafted:
            return stream, names, index
        before = math.floor(index * self.config.draft_share)
        if math.floor((index + 1) * self.config.draft_share) > before:
            return _DRAFTED, self._drafted, before
        return stream, names, index - before

    def _record(self, stream: int, names: Sequence[str], index: int) -> CaseRecord:
        """Return the case of a stream's sample, counted from the first of the run."""
        epoch, place = divmod(index, len(names))
        name = names[int(_permutation(self.config.random_seed, stream, epoch, len(names))[place])]
        return self.reader.prepared.by_name[name]

    def _start(
        self, record: CaseRecord, rng: np.random.Generator, labelled: bool, window: Sequence[int]
    ) -> tuple[list[int], bool]:
        """Draw where a window begins, and whether about a labelled voxel; an axis shorter than it is centred in it."""
        centre = None
        if labelled and rng.random() < self.config.foreground:
            places = self.reader.places(record.name)
            shown = [index for index in places if index not in (0, IGNORED)]
            if shown:
                found = places[shown[int(rng.integers(len(shown)))]]
                centre = found[int(rng.integers(len(found)))]
        start = []
        for axis, (length, size) in enumerate(zip(window, record.shape, strict=True)):
            if size <= length:
                start.append(-((length - size) // 2) if length > 1 else 0)
                continue
            if centre is None:
                start.append(int(rng.integers(size - length + 1)))
                continue
            low = max(0, int(centre[axis]) - length + 1 + length // 4)
            high = max(low, min(size - length, int(centre[axis]) - length // 4))
            start.append(min(int(rng.integers(low, high + 1)), size - length))
        return start, centre is not None


def _shift(
    record: CaseRecord, rng: np.random.Generator, start: Sequence[int], sides: Sequence[int], reach: float
) -> tuple[int, ...]:
    """Draw how much further on a second window begins: inside the case, and only along axes longer than a window.

    Args:
        record: of the case.
        rng: the only source of random numbers.
        start: of the first window, [3].
        sides: of both windows, [3].
        reach: greatest shift, as a fraction of the sides.
    """
    shift = []
    for first, length, size in zip(start, sides, record.shape, strict=True):
        most = int(reach * length)
        begin = first + int(rng.integers(-most, most + 1))
        shift.append(min(max(begin, 0), size - length) - first if size > length else 0)
    return tuple(shift)


@lru_cache(maxsize=16)
def _permutation(seed: int, stream: int, epoch: int, count: int) -> np.ndarray:
    """Return the order of the cases in one pass over them."""
    return np.random.default_rng([seed, stream, epoch, count]).permutation(count)

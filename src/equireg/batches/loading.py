"""The batch of every step, drawn from a prepared folder as a function of seed and step alone."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from equireg.batches.batch import Batch, Samples
from equireg.config import TrainConfig
from equireg.folders.prepared import CaseRecord, PreparedSet
from equireg.imaging.labels import IGNORED
from equireg.processes.ranks import Share, generator

_LABELLED, _UNLABELLED, _METHOD = 0, 1, 2
"""Streams of chance; each is drawn from (seed, stream, ...), so that none depends on another's length."""
_MEMORY_SHARE = 0.4
"""Part of the free memory, the machine's or a GPU's, that cached cases may take."""
_CPU = torch.device("cpu")


def free_memory(device: torch.device = _CPU) -> float:
    """Return the bytes that this process may still take: what a GPU has, or the machine, capped by its container."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    known = []
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        known += [1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        if limit != "max":
            known.append(float(limit) - float((group / "memory.current").read_text(encoding="ascii")))
    except (OSError, ValueError):
        pass  # not Linux, or no container
    return min(known, default=float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) / 2)


@dataclass(frozen=True)
class PatchPlan:
    """Size and place of training samples."""

    spatial_dims: int
    patch_size: tuple[int, ...]
    """Voxels of a sample, [n]."""
    flip_axes: tuple[int, ...]
    """Spatial axes of a sample along which mirroring is allowed."""

    @property
    def window(self) -> tuple[int, int, int]:
        """Voxels of a sample as [D, H, W]; a slice is one voxel deep."""
        d, h, w = (1, *self.patch_size) if self.spatial_dims == 2 else self.patch_size
        return d, h, w


class CaseReader:
    """Cases as tensors: kept whole on the GPU, or in memory, where they fit, else read by parts from disk.

    What is kept is kept as it lies on disk, images in 16 bits.

    Args:
        prepared: the prepared folder.
        names: cases that will be read.
        in_memory: keep whole cases; None decides by what is free.
        readers: processes on this machine that each keep them.
        device: where they are kept if its memory allows; each reader has a GPU of its own.
    """

    def __init__(
        self,
        prepared: PreparedSet,
        names: Sequence[str],
        in_memory: bool | None = None,
        readers: int = 1,
        device: torch.device = _CPU,
    ) -> None:
        self.prepared = prepared
        size = self._size(names)
        on_device = device != _CPU and in_memory is not False and size < _MEMORY_SHARE * free_memory(device)
        self.device = device if on_device else _CPU
        if in_memory is None:
            in_memory = on_device or size < _MEMORY_SHARE * free_memory() / readers
        self.in_memory = in_memory
        self._kept: dict[tuple[str, str], Tensor] = {}
        self._foreground = lru_cache(maxsize=4096)(prepared.foreground)

    def _size(self, names: Sequence[str]) -> int:
        """Return the bytes of cases."""
        channels = len(self.prepared.manifest.channels)
        voxels = sum(int(np.prod(self.prepared.by_name[name].shape)) for name in set(names))
        return voxels * (2 * channels + 1)

    def read(self, case: str, what: str, box: tuple[slice, ...]) -> Tensor:
        """Read a box of a case's ``image`` [C, d, h, w] or ``label`` [d, h, w], from where it is kept."""
        if not self.in_memory:
            return torch.from_numpy(getattr(self.prepared, what)(case)[(..., *box)])
        if (case, what) not in self._kept:
            self._kept[case, what] = torch.from_numpy(getattr(self.prepared, what)(case)[...]).to(self.device)
        return self._kept[case, what][(..., *box)]

    def places(self, case: str) -> dict[int, np.ndarray]:
        """Return places of each class that a labelled case shows."""
        return self._foreground(case)


@dataclass(frozen=True)
class _Patch:
    image: Tensor
    valid: Tensor
    label: Tensor | None


def _cut(reader: CaseReader, record: CaseRecord, start: Sequence[int], window: Sequence[int], labelled: bool) -> _Patch:
    """Cut a window that may reach beyond the case: there the image is background and ``valid`` 0."""
    inside, within = [], []
    for first, length, size in zip(start, window, record.shape, strict=True):
        low, high = max(first, 0), min(first + length, size)
        inside.append(slice(low, high))
        within.append(slice(low - first, high - first))
    device = reader.device
    background = torch.tensor(record.background, device=device).view(-1, 1, 1, 1)
    image = torch.empty((len(background), *window), device=device).copy_(background)
    image[(slice(None), *within)] = reader.read(record.name, "image", tuple(inside))
    valid = torch.zeros((1, *window), device=device)
    valid[(slice(None), *within)] = 1
    if not labelled:
        return _Patch(image, valid, None)
    label = torch.full((1, *window), IGNORED, dtype=torch.uint8, device=device)
    label[(slice(None), *within)] = reader.read(record.name, "label", tuple(inside))
    return _Patch(image, valid, label)


class BatchSource(Dataset[Batch]):
    """The batch of step k as item k.

    Labelled and unlabelled cases each run through permutations of their own, so that every case is drawn
    as often; within a case the window is drawn at random, ``config.foreground`` of the labelled ones about a
    labelled voxel of a class drawn from those that the case shows.

    Args:
        reader: where the cases come from.
        labelled: names of the cases used with their masks.
        unlabelled: names of those used without; empty for methods that use none.
        config: batch size, ratio, seed and foreground fraction.
        plan: size of the samples.
        share: the part of each batch that is read.
    """

    def __init__(
        self,
        reader: CaseReader,
        labelled: Sequence[str],
        unlabelled: Sequence[str],
        config: TrainConfig,
        plan: PatchPlan,
        share: Share = Share(),  # noqa: B008 - it is frozen
    ) -> None:
        self.reader, self.labelled, self.unlabelled = reader, tuple(labelled), tuple(unlabelled)
        self.config, self.plan, self.share = config, plan, share
        self._masked = frozenset(labelled)

    def __len__(self) -> int:
        """Return the number of steps of the whole run."""
        return self.config.max_steps

    def __getitem__(self, step: int) -> Batch:
        """Return the batch of a step, where the cases are kept."""
        size = self.config.batch_size
        unlabelled = None
        if self.unlabelled and self.config.unsup_ratio:
            count = size * self.config.unsup_ratio
            unlabelled = self._samples(_UNLABELLED, self.unlabelled, step, count)
        seed = int(np.random.SeedSequence([self.config.chance_seed, _METHOD, step]).generate_state(1, np.uint64)[0])
        return Batch(
            labelled=self._samples(_LABELLED, self.labelled, step, size),
            unlabelled=unlabelled,
            generator=generator(self.share, seed >> 1),
            flip_axes=self.plan.flip_axes,
        )

    def _samples(self, stream: int, names: Sequence[str], step: int, count: int) -> Samples:
        """Draw the samples of one stream for one step, of ``count`` samples in the whole batch."""
        whole = [self._record(stream, names, index) for index in range(step * count, (step + 1) * count)]
        rows = self.share.rows(count // self.share.ranks)
        records, patches = whole[rows], []
        for index, record in enumerate(records, start=step * count + rows.start):
            rng = np.random.default_rng([self.config.chance_seed, stream, index])
            start = self._start(record, rng, stream == _LABELLED)
            patches.append(_cut(self.reader, record, start, self.plan.window, stream == _LABELLED))
        squeeze = self.plan.spatial_dims == 2
        stack = {
            name: torch.stack([getattr(patch, name) for patch in patches])
            for name in ("image", "valid", *(["label"] if stream == _LABELLED else []))
        }
        if squeeze:
            stack = {name: value[:, :, 0] for name, value in stack.items()}
        spacing = torch.tensor([record.spacing_mm for record in whole], dtype=torch.float32)
        return Samples(
            image=stack["image"],
            valid=stack["valid"],
            fill=torch.tensor([record.background for record in records], dtype=torch.float32),
            spacing_mm=spacing[:, -self.plan.spatial_dims :],
            cases=tuple(record.name for record in records),
            label=stack["label"].long() if "label" in stack else None,
            masked=torch.tensor([record.name in self._masked for record in records]),
        )

    def _record(self, stream: int, names: Sequence[str], index: int) -> CaseRecord:
        """Return the case of a stream's sample, counted from the first of the run."""
        epoch, place = divmod(index, len(names))
        name = names[int(_permutation(self.config.chance_seed, stream, epoch, len(names))[place])]
        return self.reader.prepared.by_name[name]

    def _start(self, record: CaseRecord, rng: np.random.Generator, labelled: bool) -> list[int]:
        """Draw where a window begins; an axis shorter than the window is centred in it."""
        centre = None
        if labelled and rng.random() < self.config.foreground:
            places = self.reader.places(record.name)
            shown = [index for index in places if index not in (0, IGNORED)]
            if shown:
                found = places[shown[int(rng.integers(len(shown)))]]
                centre = found[int(rng.integers(len(found)))]
        start = []
        for axis, (length, size) in enumerate(zip(self.plan.window, record.shape, strict=True)):
            if size <= length:
                start.append(-((length - size) // 2) if length > 1 else 0)
                continue
            if centre is None:
                start.append(int(rng.integers(size - length + 1)))
                continue
            low = max(0, int(centre[axis]) - length + 1 + length // 4)
            high = max(low, min(size - length, int(centre[axis]) - length // 4))
            start.append(min(int(rng.integers(low, high + 1)), size - length))
        return start


@lru_cache(maxsize=16)
def _permutation(seed: int, stream: int, epoch: int, count: int) -> np.ndarray:
    """Return the order of the cases in one pass over them."""
    return np.random.default_rng([seed, stream, epoch, count]).permutation(count)


class StepSampler(Sampler[int]):
    """The steps from ``first`` to the next validation, or to the end of the run."""

    def __init__(self, first: int, val_every: int, max_steps: int) -> None:
        self._steps = range(first, min((first // val_every + 1) * val_every, max_steps))

    def __len__(self) -> int:
        """Return the number of steps; 0 where the run is at its end."""
        return len(self._steps)

    def __iter__(self):
        """Yield absolute step numbers."""
        return iter(self._steps)

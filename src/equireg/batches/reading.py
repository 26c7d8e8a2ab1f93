"""Cases as tensors, kept whole where there is room for them, else read by parts."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from equireg.folders.prepared import PreparedSet
from equireg.processes.memory import free_memory

_MEMORY_PART = 0.4
"""Part of the free memory, the machine's or a GPU's, that cached cases may take."""
_CPU = torch.device("cpu")


def _room(device: torch.device = _CPU) -> float:
    """Return the bytes that this process may still take on a device."""
    return float(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else free_memory()


class CaseReader:
    """Cases as tensors: kept whole on the GPU, or in memory, where they fit, else read by parts from disk.

    What is kept is kept as it lies on disk, images in 16 bits. A reader goes to another process without what it
    keeps; each process keeps cases of its own.

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
        size = self._size(names) if in_memory is None or device != _CPU else 0.0
        on_device = device != _CPU and in_memory is not False and size < _MEMORY_PART * _room(device)
        self.device = device if on_device else _CPU
        if in_memory is None:
            in_memory = on_device or size < _MEMORY_PART * _room() / readers
        self.in_memory = in_memory
        self._forget()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is kept here."""
        return {name: value for name, value in vars(self).items() if name not in ("_kept", "_places")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()

    def _forget(self) -> None:
        self._kept: dict[tuple[str, str], Tensor] = {}
        self._places = lru_cache(maxsize=4096)(self.prepared.foreground)

    def _size(self, names: Sequence[str]) -> int:
        """Return the bytes of cases, images as wide as they are stored."""
        channels = len(self.prepared.manifest.channels)
        widths = {name: np.dtype(self.prepared.image(name).dtype).itemsize for name in set(names)}
        voxels = {name: int(np.prod(self.prepared.by_name[name].shape)) for name in widths}
        return sum(voxels[name] * (width * channels + 1) for name, width in widths.items())

    def read(self, case: str, what: str, box: tuple[slice, ...]) -> Tensor:
        """Read a box of a case's ``image`` [C, d, h, w] or ``label`` [d, h, w], from where it is kept."""
        if not self.in_memory:
            return torch.from_numpy(getattr(self.prepared, what)(case)[(..., *box)])
        if (case, what) not in self._kept:
            self._kept[case, what] = torch.from_numpy(getattr(self.prepared, what)(case)[...]).to(self.device)
        return self._kept[case, what][(..., *box)]

    def places(self, case: str) -> dict[int, np.ndarray]:
        """Return places of each class that a labelled case shows."""
        return self._places(case)

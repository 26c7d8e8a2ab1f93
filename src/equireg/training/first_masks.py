"""The masks that a run's unlabelled scans start with, where its method asks for an atlas."""

import os
from pathlib import Path

from equireg.atlas.making import with_atlas
from equireg.config.methods import EquiRegConfig
from equireg.folders.atlas import ATLAS
from equireg.folders.prepared import PreparedSet
from equireg.processes.ranks import Rank
from equireg.training.own_folder import OwnFolder


def with_first_masks(folder: OwnFolder, rank: Rank) -> PreparedSet:
    """Return a run's prepared folder, with masks carried over to its unlabelled cases if the method asks for them.

    They are kept in the prepared folder, for other runs too, or in the run's own where that cannot be written.

    Raises:
        EquiregError: if neither can be written.
    """
    method, cases = folder.config.method, folder.cases
    if not isinstance(method, EquiRegConfig) or not method.atlas or not method.atlas_weight or not method.atlas_fade:
        return folder.data
    return with_atlas(folder.data, cases.labelled, cases.unlabelled, method.atlas_least, _place(folder), rank)


def _place(folder: OwnFolder) -> Path:
    shared = folder.data.root / ATLAS
    writable = os.access(shared if shared.is_dir() else folder.data.root, os.W_OK)
    return shared if writable else folder.out / ATLAS

"""The second window of unlabelled samples: of the same scan, shifted as it says, and inside it."""

from typing import Any, Literal

import pytest
import torch

from equireg.batches.loading import BatchSource, PatchPlan
from equireg.batches.reading import CaseReader
from equireg.config import TrainConfig
from equireg.config.methods import EquiRegConfig
from equireg.folders.prepared import PreparedSet
from equireg.processes.ranks import Rank
from prepared_sets import record, write_set

PATCHES = {2: (8, 12), 3: (4, 8, 12)}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    cases = [record("a", shape=(9, 20, 22)), record("b", shape=(7, 15, 12))]
    return PreparedSet(write_set(tmp_path_factory.mktemp("second") / "set", cases))


def source(
    prepared: PreparedSet, dims: Literal[2, 3], context: float, turns: Any = (), rank: Rank | None = None
) -> BatchSource:
    method = EquiRegConfig(context=context)
    config = TrainConfig(batch_size=4, unsup_ratio=2, spatial_dims=dims, method=method)
    plan = PatchPlan(dims, PATCHES[dims], (), turns)
    return BatchSource(CaseReader(prepared, ["a", "b"]), ("a", "b"), ("a", "b"), config, plan, rank or Rank())


@pytest.mark.parametrize(("dims", "turns"), [(2, ()), (2, ((0, 1),)), (3, ()), (3, ((1, 2),))])
def test_both_windows_show_the_same_voxels_where_they_overlap(prepared, dims, turns):
    found = source(prepared, dims, 0.5, turns)[0].unlabelled
    assert found is not None
    assert found.second is not None
    assert found.second_shift_vox is not None
    assert found.second.shape == found.image.shape
    for row, shift in enumerate(found.second_shift_vox.tolist()):
        ours, theirs = [], []
        for by, size in zip(shift, found.image.shape[2:], strict=True):
            assert abs(by) <= size / 2
            ours.append(slice(max(by, 0), size + min(by, 0)))
            theirs.append(slice(max(-by, 0), size - max(by, 0)))
        one, other = found.image[(row, slice(None), *ours)], found.second[(row, slice(None), *theirs)]
        assert one.numel() > 0
        assert torch.equal(one, other)
    assert len({tuple(shift) for shift in found.second_shift_vox.tolist()}) > 3


def test_an_axis_that_the_window_covers_is_not_shifted(prepared):
    """Case b is as wide as the window: there is nothing else to see along that axis."""
    found = source(prepared, 2, 0.5)[0].unlabelled
    assert found is not None
    assert found.second_shift_vox is not None
    wide = torch.tensor([case == "b" for case in found.cases])
    assert 0 < wide.sum() < len(wide)
    assert (found.second_shift_vox[wide, 1] == 0).all()
    assert (found.second_shift_vox[~wide, 1] != 0).any()
    assert (found.second_shift_vox[:, 0] != 0).any()


def test_without_it_the_samples_are_the_same_and_no_more_is_read(prepared):
    plain, more = source(prepared, 2, 0.0)[1], source(prepared, 2, 0.5)[1]
    assert plain.unlabelled is not None
    assert more.unlabelled is not None
    assert plain.unlabelled.second is plain.unlabelled.second_shift_vox is None
    assert torch.equal(plain.unlabelled.image, more.unlabelled.image)
    assert torch.equal(plain.labelled.image, more.labelled.image)
    assert more.labelled.second is None
    assert source(prepared, 2, 0.5).batch_bytes() > source(prepared, 2, 0.0).batch_bytes()


def test_ranks_read_the_same_windows(prepared):
    whole = source(prepared, 2, 0.5)[2].unlabelled
    halves = [source(prepared, 2, 0.5, (), Rank(index, 2))[2].unlabelled for index in range(2)]
    assert whole is not None
    for name in ("second", "second_shift_vox"):
        assert torch.equal(torch.cat([getattr(half, name) for half in halves]), getattr(whole, name))


def test_shifts_stay_on_the_cpu(prepared):
    found = source(prepared, 2, 0.5)[0].to("meta").unlabelled
    assert found is not None
    assert found.second is not None
    assert found.second_shift_vox is not None
    assert found.second.device.type == "meta"
    assert found.second_shift_vox.device.type == "cpu"

"""Planes of quarter turns: those that data, voxels, samples and network allow; and samples that are turned exactly."""

from typing import Any, Literal

import numpy as np
import pytest
import torch

from equireg.batches.loading import BatchSource, PatchPlan
from equireg.batches.patches import plan_patches
from equireg.batches.reading import CaseReader
from equireg.config import FCDenseNetConfig, TrainConfig, UNetConfig
from equireg.errors import UsageError
from equireg.folders.prepared import PreparedSet
from equireg.networks import build, divisors
from equireg.processes.ranks import Rank
from prepared_sets import manifest, record, write_set

CUBES = (1.0, 1.0, 1.0)


def planes(
    turns: str, dims: Literal[2, 3] = 2, spacing: Any = (2.0, 1.0, 1.0), flips: str = "xy", **options: Any
) -> Any:
    made = manifest([record("a", spacing_mm=spacing)], fingerprint={"large_shape": [16, 16, 16]}, flips=flips)
    return plan_patches(made, TrainConfig(spatial_dims=dims, turns=turns, **options)).turn_planes


@pytest.mark.parametrize(
    ("turns", "dims", "spacing", "flips", "expected"),
    [
        ("none", 2, CUBES, "xyz", ()),
        ("data", 2, CUBES, "xy", ((0, 1),)),
        ("data", 2, CUBES, "y", ()),
        ("data", 2, (1.0, 1.0, 1.5), "xy", ()),
        ("xy", 2, CUBES, "", ((0, 1),)),
        ("data", 3, CUBES, "xyz", ((0, 1), (0, 2), (1, 2))),
        ("data", 3, (2.0, 1.0, 1.005), "xyz", ((1, 2),)),
        ("xy, yz", 3, CUBES, "", ((1, 2), (0, 1))),
    ],
)
def test_planes_are_those_of_square_voxels(turns, dims, spacing, flips, expected):
    assert planes(turns, dims, spacing, flips) == expected


@pytest.mark.parametrize(
    ("turns", "options", "message"),
    [
        ("yx", {}, "--turns is yx; expected data, none or some of xy,xz,yz"),
        ("yz", {}, "--turns is yz, and the slices have no plane yz; expected xy"),
        ("xz", {"dims": 3}, "voxels of a are 2 mm along z and 1 mm along x; expected the same"),
        ("xy", {"patch_size": (64, 40)}, r"sides 64 and 40 of --patch_size \[64, 40\] cannot be exchanged"),
    ],
)
def test_other_planes_are_refused(turns, options, message):
    with pytest.raises(UsageError, match=message):
        planes(turns, **options)


def test_a_case_that_is_not_trained_on_does_not_matter():
    cases = [record("a", spacing_mm=CUBES), record("b", split="test", spacing_mm=(1.0, 1.0, 2.0))]
    made = manifest(cases, fingerprint={"large_shape": [16, 16, 16]}, flips="xy")
    assert plan_patches(made, TrainConfig(turns="data")).turn_planes == ((0, 1),)
    assert plan_patches(made, TrainConfig(turns="data", unlabelled_from="test")).turn_planes == ()


def test_data_leaves_out_what_the_network_does_not_take():
    assert planes("data", patch_size=(64, 40)) == ()
    assert planes("data", patch_size=(64, 40), network=FCDenseNetConfig(name="tiramisu")) == ((0, 1),)
    assert planes("data", patch_size=(24, 16)) == ((0, 1),)


@pytest.mark.parametrize("network", [UNetConfig(features=4), UNetConfig(features=4, downsample=(2, 1))])
def test_a_network_takes_what_divides(network):
    by = divisors(network, (32, 24))
    assert by == (8, 4)
    built = build(network, in_channels=1, out_channels=2, spatial_dims=2, patch_size=(32, 24))
    assert built(torch.zeros(1, 1, 48, 16)).shape == (1, 2, 48, 16)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    cases = [record("a", shape=(6, 20, 11), spacing_mm=CUBES), record("b", shape=(5, 9, 24), spacing_mm=CUBES)]
    return PreparedSet(write_set(tmp_path_factory.mktemp("turning") / "set", cases))


def source(prepared: PreparedSet, dims: Literal[2, 3], turns: Any, rank: Rank | None = None) -> BatchSource:
    config = TrainConfig(batch_size=4, unsup_ratio=2, spatial_dims=dims)
    plan = PatchPlan(dims, {2: (12, 16), 3: (4, 12, 16)}[dims], (), turns)
    return BatchSource(CaseReader(prepared, ["a", "b"]), ("a", "b"), ("a", "b"), config, plan, rank or Rank())


@pytest.mark.parametrize(("dims", "turns"), [(2, ((0, 1),)), (3, ((1, 2),)), (3, ((0, 1), (1, 2)))])
def test_every_turned_sample_is_a_window_of_its_case(prepared, dims, turns):
    """Searched for in the case among all turns of it, where the sample lies inside; labels go along."""
    made, seen = source(prepared, dims, turns), set()
    batch = made[0]
    assert batch.turn_planes == turns
    for samples in (batch.labelled, batch.unlabelled):
        assert samples is not None
        for row, case in enumerate(samples.cases):
            image, valid = samples.image[row], samples.valid[row, 0] > 0
            assert tuple(valid.shape) == made.plan.patch_size
            label = None if samples.label is None else samples.label[row, 0]
            found = [k for k, turn in enumerate(made.plan.turns) if lies_in(prepared, case, turn, image, valid, label)]
            assert found, case
            seen.update(found[:1])
    assert len(seen) > 2


def lies_in(prepared: PreparedSet, case: str, turn: Any, image: Any, valid: Any, label: Any) -> bool:
    """Return whether the valid voxels of a sample are a block of a turned case, voxel by voxel."""
    whole = turn.apply(torch.from_numpy(np.array(prepared.image(case)[:], dtype=np.float32))[None])[0]
    mask = turn.apply(torch.from_numpy(np.array(prepared.label(case)[:], dtype=np.int64))[None, None])[0, 0]
    if image.ndim == 3:
        image, valid, label = image[:, None], valid[None], None if label is None else label[None]
    box = [slice(int(places.min()), int(places.max()) + 1) for places in torch.nonzero(valid).T]
    block = image[(slice(None), *box)]
    first = block[:, 0, 0, 0].view(-1, 1, 1, 1)
    for place in torch.nonzero((whole == first).all(0)).tolist():
        there = tuple(slice(start, start + size) for start, size in zip(place, block.shape[1:], strict=True))
        part = whole[(slice(None), *there)]
        if part.shape == block.shape and torch.equal(part, block):
            return label is None or torch.equal(mask[there], label[tuple(box)])
    return False


def test_without_planes_nothing_is_drawn_for_turns(prepared):
    one, other = source(prepared, 2, ())[1], source(prepared, 2, ((0, 1),))[1]
    assert len(source(prepared, 2, ()).plan.turns) == 1
    assert not torch.equal(one.labelled.image, other.labelled.image)


def test_ranks_turn_the_same_samples(prepared):
    whole = source(prepared, 2, ((0, 1),))[2]
    halves = [source(prepared, 2, ((0, 1),), Rank(index, 2))[2] for index in range(2)]
    assert torch.equal(torch.cat([half.labelled.image for half in halves]), whole.labelled.image)

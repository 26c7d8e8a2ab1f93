"""The batch of step k is a function of (seed, k), whoever asks, in whatever order and from wherever."""

import pickle
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from equireg.batches import reading
from equireg.batches.batch import Batch
from equireg.batches.loading import BatchSource, PatchPlan
from equireg.batches.reading import CaseReader
from equireg.config import TrainConfig
from equireg.folders.prepared import PreparedSet, write_array
from equireg.imaging.labels import IGNORED
from equireg.processes.ranks import Rank, rank_of
from prepared_sets import image_of, label_of, record, write_set

CASES = [
    record("a", shape=(5, 20, 24)),
    record("b", shape=(6, 16, 20)),
    record("c", shape=(9, 24, 24)),
    record("d", labelled=False, shape=(5, 18, 18)),
]
PATCHES = {2: (16, 16), 3: (4, 16, 16)}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    return PreparedSet(write_set(tmp_path_factory.mktemp("loading") / "set", CASES))


def source(
    prepared: PreparedSet,
    dims: Literal[2, 3] = 2,
    *,
    in_memory: bool | None = True,
    patch: tuple[int, ...] | None = None,
    rank: Rank = Rank(),  # noqa: B008 - it is frozen
    **options: Any,
) -> BatchSource:
    values: dict[str, Any] = {"batch_size": 2, "unsup_ratio": 2, "max_steps": 50, "spatial_dims": dims} | options
    reader = CaseReader(prepared, ["a", "b", "c", "d"], in_memory)
    plan = PatchPlan(dims, patch or PATCHES[dims], (1,))
    return BatchSource(reader, ("a", "b", "c"), ("a", "b", "c", "d"), TrainConfig(**values), plan, rank)


def assert_equal(one: Batch, other: Batch) -> None:
    for kind in ("labelled", "unlabelled"):
        for field in fields(one.labelled):
            left, right = (getattr(getattr(batch, kind), field.name) for batch in (one, other))
            if isinstance(left, torch.Tensor):
                assert torch.equal(left, right), (kind, field.name)
            else:
                assert left == right, (kind, field.name)
    assert torch.equal(one.generator.get_state(), other.generator.get_state())
    assert one.flip_axes == other.flip_axes


@pytest.mark.parametrize("dims", [2, 3])
def test_a_batch_depends_on_seed_and_step_alone(prepared: PreparedSet, dims: Literal[2, 3]) -> None:
    one, other = source(prepared, dims), source(prepared, dims, in_memory=False)
    forward = [one[step] for step in range(6)]
    torch.manual_seed(1)
    np.random.seed(1)
    for step in (5, 0, 3, 3):
        assert_equal(forward[step], other[step])


def test_seed_and_step_change_the_batch(prepared: PreparedSet) -> None:
    first = source(prepared)[0]
    for other in (source(prepared)[1], source(prepared, seed=7)[0]):
        assert not torch.equal(first.labelled.image, other.labelled.image)
        assert not torch.equal(first.generator.get_state(), other.generator.get_state())


def test_fewer_unlabelled_samples_leave_the_labelled_ones_alone(prepared: PreparedSet) -> None:
    many, none = source(prepared)[3], source(prepared, unsup_ratio=0)[3]
    assert none.unlabelled is None
    assert torch.equal(many.labelled.image, none.labelled.image)
    assert torch.equal(many.generator.get_state(), none.generator.get_state())


@pytest.mark.parametrize("dims", [2, 3])
def test_shapes_types_and_spacing(prepared: PreparedSet, dims: Literal[2, 3]) -> None:
    batch = source(prepared, dims)[0]
    size = PATCHES[dims]
    assert batch.unlabelled is not None
    assert batch.labelled.label is not None
    assert batch.unlabelled.label is None
    assert batch.labelled.image.shape == (2, 2, *size)
    assert batch.unlabelled.image.shape == (4, 2, *size)
    assert batch.labelled.label.shape == batch.labelled.valid.shape == (2, 1, *size)
    assert batch.labelled.label.dtype == torch.int64
    assert batch.labelled.image.dtype == torch.float32
    assert batch.labelled.spacing_mm[0].tolist() == [2.0, 1.0, 1.0][-dims:]
    assert batch.labelled.fill.tolist() == [[-1.0, -2.0]] * 2


@pytest.mark.parametrize("dims", [2, 3])
def test_a_patch_beyond_the_scan_is_background_and_not_valid(prepared: PreparedSet, dims: Literal[2, 3]) -> None:
    patch = {2: (32, 32), 3: (12, 32, 32)}[dims]
    batch = source(prepared, dims, patch=patch)[0]
    for index, name in enumerate(batch.labelled.cases):
        case = prepared.by_name[name]
        inside = batch.labelled.valid[index, 0] == 1
        shape = case.shape[-dims:]
        assert int(inside.sum()) == np.prod(shape)
        assert set(batch.labelled.valid[index].unique().tolist()) == {0.0, 1.0}
        for channel, fill in enumerate(case.background):
            assert (batch.labelled.image[index, channel][~inside] == fill).all()
        assert batch.labelled.label is not None
        assert (batch.labelled.label[index, 0][~inside] == IGNORED).all()
        # The scan lies in the middle, as in inference.
        before = [int(inside.nonzero()[:, axis].min()) for axis in range(dims)]
        assert before == [(length - size) // 2 for length, size in zip(patch, shape, strict=True)]
        if dims == 3:
            image = torch.from_numpy(image_of(case, [c.name for c in CASES].index(name)).astype(np.float32))
            assert torch.equal(batch.labelled.image[index][:, inside].reshape(image.shape), image)
            label = torch.from_numpy(label_of(case).astype(np.int64))
            assert torch.equal(batch.labelled.label[index, 0][inside].reshape(label.shape), label)


def labelled_share(data: BatchSource, steps: int = 50) -> float:
    """Part of the labelled samples that show a labelled voxel."""
    shown = []
    for step in range(steps):
        label = data[step].labelled.label
        assert label is not None
        shown += ((label > 0) & (label != IGNORED)).flatten(1).any(dim=1).tolist()
    return sum(shown) / len(shown)


@pytest.mark.parametrize("dims", [2, 3])
def test_foreground_is_drawn_as_often_as_asked(prepared: PreparedSet, dims: Literal[2, 3]) -> None:
    assert labelled_share(source(prepared, dims, foreground=1.0)) == 1.0
    never = labelled_share(source(prepared, dims, foreground=0.0))
    often = labelled_share(source(prepared, dims, foreground=0.6))
    expected = 0.6 + 0.4 * never
    assert never < 0.7
    assert often == pytest.approx(expected, abs=0.15)


def test_a_labelled_sample_says_whether_it_was_drawn_about_a_label(prepared: PreparedSet) -> None:
    for foreground, expected in ((1.0, {True}), (0.0, {False}), (0.6, {True, False})):
        batches = [source(prepared, 3, foreground=foreground)[step] for step in range(10)]
        centred = [batch.labelled.centred for batch in batches if batch.labelled.centred is not None]
        assert len(centred) == 10
        assert set(torch.cat(centred).tolist()) == expected
        assert all(batch.unlabelled is None or batch.unlabelled.centred is None for batch in batches)


def test_each_class_is_centred_as_often(tmp_path: Path) -> None:
    case = record("a", shape=(4, 32, 32))
    label = np.zeros(case.shape, dtype=np.uint8)
    label[:2, :12, :12] = 1  # many voxels
    label[3, 30, 30] = 2  # one
    data = PreparedSet(write_set(tmp_path / "set", [case], {"a": label}))
    config = TrainConfig(batch_size=4, max_steps=50, foreground=1.0)
    drawn = BatchSource(CaseReader(data, ["a"], True), ("a",), (), config, PatchPlan(2, (8, 8), ()))
    labels = [drawn[step].labelled.label for step in range(50)]
    rare = [float((label == 2).flatten(1).any(dim=1).float().mean()) for label in labels if label is not None]
    assert np.mean(rare) == pytest.approx(0.5, abs=0.12)


def test_every_case_is_drawn_as_often(prepared: PreparedSet) -> None:
    data = source(prepared)
    labelled = [name for step in range(6) for name in data[step].labelled.cases]
    unlabelled = [name for step in range(6) for name in getattr(data[step].unlabelled, "cases")]  # noqa: B009
    assert {name: labelled.count(name) for name in set(labelled)} == {"a": 4, "b": 4, "c": 4}
    assert {name: unlabelled.count(name) for name in set(unlabelled)} == {"a": 6, "b": 6, "c": 6, "d": 6}


def test_unlabelled_samples_say_whether_their_case_has_a_mask_in_use(prepared: PreparedSet) -> None:
    data = source(prepared)  # a, b and c are labelled cases, d is none
    seen = {}
    for step in range(6):
        unlabelled = data[step].unlabelled
        assert unlabelled is not None
        assert unlabelled.masked is not None
        seen |= dict(zip(unlabelled.cases, unlabelled.masked.tolist(), strict=True))
    assert seen == {"a": True, "b": True, "c": True, "d": False}


def test_memory_decides_by_itself(prepared: PreparedSet) -> None:
    assert CaseReader(prepared, ["a", "b"]).in_memory


@pytest.mark.parametrize("dims", [2, 3])
def test_ranks_read_their_rows_of_the_batch(prepared: PreparedSet, dims: Literal[2, 3]) -> None:
    whole = source(prepared, dims)[3]
    shares = [source(prepared, dims, rank=Rank(rank, 2))[3] for rank in range(2)]
    for kind in ("labelled", "unlabelled"):
        samples, parts = getattr(whole, kind), [getattr(share, kind) for share in shares]
        assert parts[0].cases + parts[1].cases == samples.cases
        for name in ("image", "valid", "fill", "spacing_mm", *(["label"] if kind == "labelled" else [])):
            assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(samples, name)), name
        # Random numbers are drawn for the whole batch, and its ranges depend on the spacing.
        assert all(torch.equal(part.drawn_spacing_mm, samples.spacing_mm) for part in parts)
    for rank, share in enumerate(shares):
        assert rank_of(share.generator) == Rank(rank, 2)
        assert torch.equal(share.generator.get_state(), whole.generator.get_state())


def test_a_reader_goes_to_another_process_without_what_it_keeps(prepared: PreparedSet) -> None:
    reader = CaseReader(prepared, ["a", "b"], True)
    box = (slice(None),) * 3
    image, places = reader.read("a", "image", box), reader.places("a")
    content = pickle.dumps(reader)
    assert len(content) < image.numel()
    copy = pickle.loads(content)
    assert copy.in_memory
    assert torch.equal(copy.read("a", "image", box), image)
    assert copy.places("a").keys() == places.keys()


def test_cases_of_32_bits_are_counted_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = record("a", shape=(5, 20, 24))
    data = PreparedSet(write_set(tmp_path / "set", [case]))
    half, voxels = CaseReader(data, ["a"])._size(["a"]), 5 * 20 * 24
    write_array(data.folder("a") / "image.b2nd", image_of(case, 0).astype(np.float32))
    wide = CaseReader(PreparedSet(data.root), ["a"])._size(["a"])
    assert (half, wide) == (voxels * (2 * 2 + 1), voxels * (2 * 4 + 1))


def test_readers_on_one_machine_share_its_memory(prepared: PreparedSet, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = CaseReader(prepared, ["a"])
    voxels = 5 * 20 * 24
    needed = voxels * (2 * len(prepared.manifest.channels) + 1)
    monkeypatch.setattr(reading, "_room", lambda: 1.5 * needed / reading._MEMORY_PART)
    assert alone.in_memory
    assert CaseReader(prepared, ["a"]).in_memory
    assert not CaseReader(prepared, ["a"], readers=2).in_memory


@pytest.mark.parametrize("dims", [2, 3])
def test_cases_are_kept_on_the_device_that_has_room(
    prepared: PreparedSet, monkeypatch: pytest.MonkeyPatch, dims: Literal[2, 3]
) -> None:
    names, meta = ["a", "b", "c", "d"], torch.device("meta")  # in place of a GPU: shapes without values
    room = {"cpu": 0.0, "meta": 1e9}
    monkeypatch.setattr(reading, "_room", lambda device=reading._CPU: room[device.type])
    reader = CaseReader(prepared, names, device=meta)
    assert reader.in_memory
    assert reader.read("a", "image", (slice(None),) * 3).dtype == torch.float16
    config = TrainConfig(batch_size=2, unsup_ratio=2, max_steps=50, spatial_dims=dims)
    batch = BatchSource(reader, ("a", "b"), ("c", "d"), config, PatchPlan(dims, PATCHES[dims], (1,)))[0]
    assert batch.unlabelled is not None
    for samples in (batch.labelled, batch.unlabelled):
        assert samples.image.device == samples.valid.device == meta
        assert samples.image.dtype == torch.float32
    room["meta"] = 0.0
    reader = CaseReader(prepared, names, device=meta)
    assert not reader.in_memory
    assert reader.read("a", "image", (slice(None),) * 3).device.type == "cpu"
    assert CaseReader(prepared, names, in_memory=False, device=meta).device.type == "cpu"


def test_the_spacing_stays_on_the_cpu(prepared: PreparedSet) -> None:
    moved = source(prepared)[0].to("meta")
    assert moved.labelled.image.device.type == "meta"
    assert moved.labelled.spacing_mm.device.type == "cpu"


def test_a_share_of_the_labelled_samples_is_of_drafts(tmp_path: Path) -> None:
    cases = [record("a"), record("b"), record("c", labelled=False, drafted=True), record("d", labelled=False)]
    data = PreparedSet(write_set(tmp_path / "set", cases))

    def drawn(share: float, size: int) -> tuple[BatchSource, list[str]]:
        config = TrainConfig(batch_size=size, unsup_ratio=1, draft_share=share)
        reader = CaseReader(data, ["a", "b", "c", "d"], True)
        made = BatchSource(reader, ("a", "b"), ("a", "b", "c", "d"), config, PatchPlan(2, (8, 8), ()))
        return made, [name for step in range(12 // size) for name in made[step].labelled.cases]

    made, names = drawn(0.5, 2)
    assert names.count("c") == 6
    assert names.count("a") == names.count("b") == 3
    labels = [made[step].labelled for step in range(6)]
    shown = [one.label[one.cases.index("c")].unique().tolist() for one in labels if one.label is not None]
    assert any({1, 2} & set(values) for values in shown)
    assert drawn(0.5, 1)[1].count("c") == 6
    assert drawn(0.25, 4)[1].count("c") == 3
    assert drawn(0.0, 2)[1] == [name for step in range(6) for name in without_drafts(data)[step].labelled.cases]


def without_drafts(data: PreparedSet) -> BatchSource:
    reader = CaseReader(data, ["a", "b", "c", "d"], True)
    source = BatchSource(reader, ("a", "b"), (), TrainConfig(batch_size=2), PatchPlan(2, (8, 8), ()))
    source._drafted = ()
    return source


@pytest.mark.parametrize("in_memory", [True, False])
def test_masks_of_the_atlas_lie_on_the_unlabelled_samples(
    prepared: PreparedSet, tmp_path: Path, in_memory: bool
) -> None:
    """Voxel for voxel where the window lies; a case without such a mask has none, and all else stays as it was."""
    mask = (image_of(CASES[3], 3)[0] % 3).astype(np.uint8)
    write_array(tmp_path / "d.b2nd", mask)
    plain, with_masks = (
        source(data, in_memory=in_memory, patch=(20, 20))
        for data in (prepared, prepared.with_atlas({"d": tmp_path / "d.b2nd"}))
    )
    seen = set()
    for step in range(4):
        batch = pickle.loads(pickle.dumps(with_masks))[step]
        assert batch.labelled.atlas is None
        found = batch.unlabelled
        assert found is not None
        assert found.atlas is not None
        assert found.label is None
        for image, valid, atlas, case in zip(found.image, found.valid, found.atlas, found.cases, strict=True):
            known = (
                torch.where(valid > 0, (image[:1] % 3).long(), IGNORED)
                if case == "d"
                else torch.full_like(atlas, IGNORED)
            )
            assert torch.equal(atlas, known)
            seen.add(case)
        assert_equal(plain[step], replace(batch, unlabelled=replace(found, atlas=None)))
    assert {"d"} < seen
    assert with_masks.batch_bytes() > plain.batch_bytes()

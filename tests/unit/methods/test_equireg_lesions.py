"""Pasted lesions bring their annotation into labels and targets; boxes shrink where many scans have a mask."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from equireg.batches.batch import Batch
from equireg.config import IntensityConfig, SpatialConfig, TrainConfig, ViewsConfig
from equireg.config.methods import EquiRegConfig
from equireg.errors import UsageError
from equireg.imaging.labels import IGNORED
from equireg.methods.equireg import EquiReg
from equireg.methods.lesions import with_lesions
from equireg.transforms import mixing
from methods_made_up import STILL, some_batch

FLIPS = ViewsConfig(SpatialConfig(probability=0.0), SpatialConfig(probability=1.0), IntensityConfig(probability=0.0))


def method(views: ViewsConfig = STILL, **options: Any) -> EquiReg:
    torch.manual_seed(0)
    options = {"passes": 1, "cutmix": 0.0, **options}
    config = TrainConfig(method=EquiRegConfig(**options), views=views)
    return EquiReg(config, lambda: nn.Conv2d(1, 3, 3, padding=1), 100)


def batch(seed: int = 0, empty: bool = False) -> Batch:
    """Two labelled samples with a bright lesion each, and unlabelled ones of noise; background is exactly 0."""
    made = some_batch(seed=seed)
    label = torch.zeros_like(made.labelled.label)  # pyright: ignore[reportArgumentType]
    if not empty:
        label[:, :, 2:5, 3:7] = torch.tensor([1, 2]).view(2, 1, 1, 1)
    image = made.labelled.image + 50 * label
    return replace(made, labelled=replace(made.labelled, image=image, label=label))


def test_off_they_draw_nothing():
    plain, off = (method(**options).losses(batch(), 50) for options in ({}, {"lesions": 0.0, "lesion_border_vox": 9}))
    assert all(torch.equal(plain[name], off[name]) for name in plain)
    on = method(lesions=1.0).losses(batch(), 50)
    assert not torch.equal(plain["supervised"], on["supervised"])
    assert all(value.isfinite() for value in on.values())


@pytest.mark.parametrize("into", ["both", "labelled", "unlabelled"])
def test_they_come_into_the_samples_that_are_named(into):
    old = batch()
    new = with_lesions(old, EquiRegConfig(lesions=1.0, lesions_into=into, lesion_border_vox=0))
    assert torch.equal(new.labelled.image, old.labelled.image) == (into == "unlabelled")
    assert new.unlabelled is not None
    assert old.unlabelled is not None
    if into == "labelled":
        assert new.unlabelled is old.unlabelled
        return
    known = new.unlabelled.pasted
    assert known is not None
    lesion = known != IGNORED
    assert lesion.flatten(1).any(dim=1).all()
    assert (new.unlabelled.image[lesion] > 40).all()
    assert torch.equal(new.unlabelled.image[~lesion], old.unlabelled.image[~lesion])
    assert set(known[lesion].tolist()) <= {1, 2}
    if into == "both":
        assert (new.labelled.label != old.labelled.label).any()  # pyright: ignore[reportAttributeAccessIssue]
        assert ((new.labelled.image > 40) == (new.labelled.label > 0)).all()  # pyright: ignore[reportOptionalOperand]


def test_what_is_no_lesion_leaves_all_as_it_was():
    new = with_lesions(batch(empty=True), EquiRegConfig(lesions=1.0))
    old = batch(empty=True)
    assert torch.equal(new.labelled.image, old.labelled.image)
    assert (new.unlabelled.pasted == IGNORED).all()  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]


def test_the_target_of_a_pasted_lesion_is_its_annotation_under_the_transform():
    made = method(FLIPS, lesions=1.0, lesion_border_vox=0)
    samples = with_lesions(batch(), made.options)
    task = made.task(samples.unlabelled, samples, 0)  # pyright: ignore[reportArgumentType]
    bright = task.image > 40
    certain, classes = task.target.max(dim=1, keepdim=True)
    assert bright.any()
    assert (certain[bright] == 1).all()
    assert (classes[bright] > 0).all()
    assert (task.mask[bright] == 1).all()
    assert (certain[~bright] < 0.9).any()
    assert torch.equal((task.image[bright] > 75).long() + 1, classes[bright])


@pytest.mark.parametrize(("masks", "part"), [(0, 1.0), (2, 0.25), (4, 0.0)])
def test_boxes_shrink_with_the_number_of_labels(masks, part, monkeypatch):
    seen = []
    real = mixing.sample

    def sample(*arguments: Any, **named: Any) -> Any:
        seen.append(arguments[4])
        return real(*arguments, **named)

    monkeypatch.setattr(mixing, "sample", sample)
    made = batch()
    assert made.unlabelled is not None
    made = replace(made, unlabelled=replace(made.unlabelled, masked=torch.arange(4) < masks))
    for shrink, scale in ((0.0, 1.0), (2.0, part)):
        losses = method(cutmix=1.0, boxes_shrink=shrink).losses(made, 50)
        assert all(value.isfinite() for value in losses.values())
        assert seen[-1] == pytest.approx((0.1 * scale, 0.5 * scale))


@pytest.mark.parametrize(("name", "value"), [("lesions", 1.5), ("boxes_shrink", -1.0), ("lesion_border_vox", -1)])
def test_bad_options_are_refused(name, value):
    with pytest.raises(UsageError, match=name):
        EquiRegConfig(**{name: value})

"""Exchanged boxes: every voxel keeps what is known of it, and moves as its pair does."""

from dataclasses import replace

import pytest
import torch
from methods_made_up import SHAPE, STILL, some_batch
from torch import Tensor

from equireg.config import IntensityConfig, SpatialConfig, ViewsConfig
from equireg.data.batch import Batch
from equireg.data.labels import IGNORED
from equireg.methods.exchange import Exchange, Exchanged

QUIET = IntensityConfig(probability=0.0)
FLIPS = ViewsConfig(SpatialConfig(probability=1.0), SpatialConfig(probability=1.0), QUIET)  # which are exact
BENT = ViewsConfig(
    SpatialConfig(probability=1.0, translation=0.1),
    SpatialConfig(probability=1.0, rotation_deg=30, translation=0.2, elastic_amplitude=0.02),
    QUIET,
)


def numbered(batch: Batch) -> Batch:
    """Give labelled scan j the intensity 1 + j and unlabelled scan j the intensity -1 - j."""
    assert batch.unlabelled is not None

    def levels(count: int, sign: float) -> Tensor:
        return (sign * torch.arange(1.0, count + 1)).view(-1, 1, 1, 1).expand(-1, 1, *SHAPE)

    return replace(
        batch,
        labelled=replace(batch.labelled, image=levels(2, 1)),
        unlabelled=replace(batch.unlabelled, image=levels(4, -1)),
    )


def exchanged(batch: Batch, views: ViewsConfig, probs: Tensor | None = None) -> Exchanged:
    exchange = Exchange(batch, views)
    return exchange.strong(torch.full((4, 3, *SHAPE), 1 / 3) if probs is None else probs)


def test_each_scan_shows_its_partner_in_a_box():
    mixed = exchanged(numbered(some_batch()), STILL)
    assert mixed.image.shape == (6, 1, *SHAPE)
    shown = [sorted(set(image.round().unique().tolist())) for image in mixed.image]
    assert shown == [[-1, 1], [-3, 2], [-1, 1], [-2, 1], [-3, 2], [-4, 2]]
    part = torch.cat([mixed.predicted[:2], mixed.annotated[2:]]).mean(dim=(1, 2, 3))
    assert (part > 0.3).all()
    assert (part < 0.6).all()


@pytest.mark.parametrize("views", [STILL, FLIPS, BENT])
def test_a_voxel_is_judged_by_the_scan_that_it_comes_from(views):
    mixed = exchanged(numbered(some_batch()), views)
    assert ((mixed.annotated == 0) | (mixed.predicted == 0)).all()
    # But for a box's edge, where two scans are interpolated.
    assert (mixed.image[mixed.annotated > 0] > 0).float().mean() > 0.95
    assert (mixed.image[mixed.predicted > 0] < 0).float().mean() > 0.95
    assert mixed.annotated.mean() > 0.2
    assert mixed.predicted.mean() > 0.2


def test_where_nothing_moves_annotation_and_prediction_stay_in_place():
    batch = numbered(some_batch())
    probs = torch.rand((4, 3, *SHAPE), generator=torch.Generator().manual_seed(0)).softmax(1)
    mixed = exchanged(batch, STILL, probs)
    label = batch.labelled.label
    assert label is not None
    one, other = [0, 1, 0, 0, 1, 1], [0, 2, 0, 1, 2, 3]
    annotated, predicted = mixed.annotated > 0, (mixed.predicted > 0).expand(-1, 3, -1, -1)
    assert torch.equal(mixed.label[annotated], label[one][annotated])
    assert torch.allclose(mixed.target[predicted], probs[other][predicted])
    assert (annotated | predicted[:, :1]).all()


@pytest.mark.parametrize("views", [FLIPS, BENT])
def test_image_annotation_and_prediction_go_through_one_transform(views):
    """Scans that are bright where their class is 1: so they must be afterwards, by label and by target."""
    places = torch.zeros(6, 1, *SHAPE)
    places[:, :, 2:7, 3:9] = 1
    batch = some_batch()
    assert batch.unlabelled is not None
    labelled = replace(batch.labelled, image=places[:2], label=places[:2].long())
    batch = replace(batch, labelled=labelled, unlabelled=replace(batch.unlabelled, image=places[2:]))
    exchange = Exchange(batch, views)
    seen = exchange.weak_image.clamp(0, 1)
    mixed = exchange.strong(torch.cat([1 - seen, seen], dim=1))
    off = torch.where(mixed.annotated > 0, mixed.label - mixed.image, 0)
    away = torch.where(mixed.predicted > 0, mixed.target[:, 1:] - mixed.image, 0)
    most = 1e-4 if views is FLIPS else 0.75  # half a voxel at an edge, by nearest neighbour or by two interpolations
    assert off.abs().max() < most
    assert away.abs().max() < most
    assert (mixed.image > 0.5).float().mean() > 0.05


def test_what_nobody_annotated_and_what_lies_outside_counts_nowhere():
    batch = some_batch()
    assert batch.labelled.label is not None
    assert batch.unlabelled is not None
    blank = replace(batch.labelled, label=torch.full_like(batch.labelled.label, IGNORED))
    mixed = exchanged(replace(batch, labelled=blank), STILL)
    assert not mixed.annotated.any()
    assert 0.3 < mixed.predicted.mean() < 0.7  # still the unlabelled scans' own part alone
    gone = replace(batch.unlabelled, valid=torch.zeros_like(batch.unlabelled.valid))
    mixed = exchanged(replace(batch, unlabelled=gone), STILL)
    assert not mixed.predicted.any()
    assert 0.3 < mixed.annotated.mean() < 0.7


def test_pairs_need_a_whole_number_of_partners():
    batch = some_batch()
    assert batch.unlabelled is not None
    three = {name: value[:3] for name, value in vars(batch.unlabelled).items()}
    with pytest.raises(ValueError, match="whole number of unlabelled"):
        Exchange(replace(batch, unlabelled=replace(batch.unlabelled, **three)), STILL)
    with pytest.raises(ValueError, match="whole number of unlabelled"):
        Exchange(replace(batch, unlabelled=None), STILL)

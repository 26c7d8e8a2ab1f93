"""The weak and the strong view agree with each other, with ``valid`` and with their label."""

from dataclasses import replace

import pytest
import torch
from torch import Generator, Tensor

from equireg.config import IntensityConfig, SpatialConfig, ViewsConfig
from equireg.transforms import spatial
from equireg.transforms.views import LabelledScans, labelled_view, two_views

QUIET = IntensityConfig(probability=0.0)
VIEWS = ViewsConfig(
    weak=SpatialConfig(probability=1.0, translation=0.15),
    strong=SpatialConfig(
        probability=1.0, rotation_deg=20, scale=1.2, shear=0.1, translation=0.1, elastic_amplitude=0.01
    ),
    intensity=QUIET,
)
FIELDS = [((32, 28), (1.0, 1.5)), ((12, 20, 20), (2.0, 1.0, 1.0))]


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def scans(shape, spacing_mm, batch_size: int = 3):
    """Return smooth images with two channels, valid, fill and spacing."""
    axes = [(torch.arange(size) - (size - 1) / 2) * step for size, step in zip(shape, spacing_mm, strict=True)]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    image = torch.stack([torch.sin(points / (5 + row)).sum(0) for row in range(2 * batch_size)])
    image = image.view(batch_size, 2, *shape)
    valid = torch.ones(batch_size, 1, *shape)
    fill = torch.tensor([-3.0, 5.0]).expand(batch_size, 2)
    return image, valid, fill, torch.tensor(spacing_mm).expand(batch_size, -1)


@pytest.mark.parametrize(("shape", "spacing"), FIELDS)
def test_the_strong_view_is_the_transformed_weak_one(shape, spacing):
    image, valid, fill, spacing_mm = scans(shape, spacing)
    views = two_views(image, valid, fill, spacing_mm, VIEWS, seeded(), (0,))
    moved, seen = spatial.apply(views.weak, views.transform, fill=fill, valid=views.weak_valid)
    inner = ((seen * views.strong_valid) > 0).expand_as(moved)
    assert inner.float().mean() > 0.3
    # They differ by one interpolation, which near the border mixes in the fill.
    assert (moved - views.strong)[inner].abs().median() < 0.025
    assert (views.weak - views.strong)[inner].abs().median() > 0.1
    assert (seen != views.strong_valid).float().mean() < 0.08
    for view, where in ((views.weak, views.weak_valid), (views.strong, views.strong_valid)):
        outside = torch.broadcast_to(fill.view(3, 2, *[1] * len(shape)), view.shape)
        unseen = (where == 0).expand_as(view)
        assert 0 < unseen.float().mean() < 0.7
        assert torch.equal(view[unseen], outside[unseen])


def test_what_the_patch_did_not_show_stays_invalid():
    image, valid, fill, spacing_mm = scans((32, 28), (1.0, 1.5))
    whole = two_views(image, valid, fill, spacing_mm, VIEWS, seeded())
    valid[..., 10:16, :] = 0
    views = two_views(image, valid, fill, spacing_mm, VIEWS, seeded())
    assert (views.strong_valid <= whole.strong_valid).all()
    assert views.strong_valid.sum() < whole.strong_valid.sum()
    assert views.weak_valid.sum() < whole.weak_valid.sum()


def test_only_the_strong_view_changes_its_intensities():
    image, valid, fill, spacing_mm = scans((32, 28), (1.0, 1.5))
    loud = replace(VIEWS, intensity=IntensityConfig(probability=1.0, noise=0.5))
    plain = two_views(image, valid, fill, spacing_mm, VIEWS, seeded())
    views = two_views(image, valid, fill, spacing_mm, loud, seeded())
    assert torch.equal(views.weak, plain.weak)
    assert torch.equal(views.strong_valid, plain.strong_valid)
    assert not torch.allclose(views.strong, plain.strong, atol=0.01)


@pytest.mark.parametrize(("shape", "spacing"), FIELDS)
def test_the_label_moves_with_its_scan(shape, spacing):
    _, valid, fill, spacing_mm = scans(shape, spacing)
    label = torch.zeros(3, 1, *shape, dtype=torch.uint8)
    label[(..., *[slice(size // 4, size // 2) for size in shape])] = 1
    image = label.expand(3, 2, *shape).float()
    fill = torch.zeros_like(fill)
    moved, moved_label, seen = labelled_view(
        LabelledScans(image, label, valid, fill, spacing_mm), VIEWS, seeded(), (0,)
    )
    certain = (((moved < 0.2) | (moved > 0.8)).all(1, keepdim=True)) & (seen > 0)
    assert certain.float().mean() > 0.4
    assert moved_label.dtype == torch.uint8
    assert torch.equal((moved[:, :1] > 0.5)[certain], (moved_label == 1)[certain])
    assert (moved_label[certain] == 1).any()
    assert not torch.equal(moved_label, label)


def test_the_generator_is_the_only_randomness_and_nothing_changes_in_place():
    def make(seed: int) -> list[Tensor]:
        views = two_views(image, valid, fill, spacing_mm, ViewsConfig(), seeded(seed), (1,))
        label = torch.zeros(3, 1, 32, 28, dtype=torch.long)
        scans = LabelledScans(image, label, valid, fill, spacing_mm)
        return [views.weak, views.strong, *labelled_view(scans, VIEWS, seeded(seed))]

    image, valid, fill, spacing_mm = given = scans((32, 28), (1.0, 1.5))
    kept = [tensor.clone() for tensor in given]
    before = torch.get_rng_state()
    first, again, other = make(1), make(1), make(2)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(given, kept, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[1], other[1])


@pytest.mark.parametrize("background", [0.0, -0.8237, -3.6185982, 7.0])
def test_tissue_is_reported_from_a_background_that_was_stored_and_interpolated(background):
    """The background comes from disk in 16 bits, its value from the manifest in full; the warp rounds both."""
    image = torch.full((4, 2, 24, 24), background)
    image[:, :, 8:16, 6:18] += 1
    stored = image.to(torch.float16).float()
    fill = torch.full((4, 2), background)
    still = SpatialConfig(probability=0.0)
    turned = SpatialConfig(probability=1.0, rotation_deg=20.0, scale=1.1, flips=False)
    config = ViewsConfig(still, turned, IntensityConfig(probability=1.0))
    views = two_views(stored, torch.ones(4, 1, 24, 24), fill, torch.ones(4, 2), config, seeded())
    share = float(views.strong_tissue.mean())
    assert 8 * 12 / 24**2 / 1.1**2 < share < 1.5 * 8 * 12 / 24**2
    unchanged = two_views(stored, torch.ones(4, 1, 24, 24), fill, torch.ones(4, 2), ViewsConfig(still, still), seeded())
    assert torch.equal(unchanged.strong_tissue, (stored[:, :1] > background + 0.5).float())

"""Interpolation consistency's own arithmetic: what is mixed, with what, and by which share."""

from dataclasses import replace

import pytest
import torch
from torch import Generator

from equireg.errors import UsageError
from equireg.methods import ict
from equireg.methods.ict import ICTConfig, draw_mix, mixed

SHARE = torch.tensor([0.25, 0.5, 1.0, 0.0], dtype=torch.float64)
PARTNER = torch.tensor([1, 2, 3, 0])


@pytest.fixture
def known(monkeypatch):
    """Let every mix be the known one."""
    monkeypatch.setattr(ict, "draw_mix", lambda *_: (SHARE, PARTNER))


def by_hand(values: torch.Tensor) -> torch.Tensor:
    rows = [
        float(s) * values[i] + (1 - float(s)) * values[p] for i, (s, p) in enumerate(zip(SHARE, PARTNER, strict=True))
    ]
    return torch.stack(rows)


@pytest.mark.usefixtures("known")
def test_image_and_target_are_the_same_mix(made, batch, still, unlabelled):
    method = made("ict", still)
    with torch.no_grad():
        task = method.task(unlabelled, batch(), 0)
        expected = by_hand(method.teacher(unlabelled.image).softmax(1))
    assert torch.allclose(task.image, by_hand(unlabelled.image), atol=1e-5)
    assert torch.allclose(task.target, expected, atol=1e-5)
    assert torch.allclose(task.target.sum(1), torch.ones(4, 12, 16), atol=1e-5)
    assert task.mask.all()


@pytest.mark.usefixtures("known")
def test_the_loss_compares_the_answer_for_the_mix_with_the_mix_of_answers(made, batch, still, unlabelled):
    method = made("ict", still, weight=2.0)
    with torch.no_grad():
        answer = method.student(by_hand(unlabelled.image)).softmax(1)
        target = by_hand(method.teacher(unlabelled.image).softmax(1))
    each = ((answer - target) ** 2).mean(dim=(1, 2, 3))
    losses = method.losses(batch(), 100)
    assert float(losses["unsupervised"]) == pytest.approx(float(each.mean()), rel=1e-3)
    assert float(losses["weight"]) == pytest.approx(2)
    # The teacher still is the student: alone, a scan is no task.
    assert (each[:2] > 1e-4).all()
    assert (each[2:] < 1e-8).all()


@pytest.mark.usefixtures("known")
def test_a_voxel_counts_where_both_scans_have_it(made, batch, still, unlabelled):
    valid = torch.ones_like(unlabelled.valid)
    valid[1, ..., :8] = 0
    with torch.no_grad():
        task = made("ict", still).task(replace(unlabelled, valid=valid), batch(), 0)
    assert (task.area[:2, ..., :8] == 0).all()  # the first is mixed with the second
    assert (task.area[:2, ..., 8:] == 1).all()
    assert (task.area[2:] == 1).all()
    assert torch.equal(task.mask, task.area)


def test_a_share_of_one_changes_nothing():
    values = torch.randn((3, 2, 4, 5, 2), generator=Generator().manual_seed(0))
    partner = torch.tensor([1, 2, 0])
    assert torch.equal(mixed(values, torch.ones(3), partner), values)
    assert torch.equal(mixed(values, torch.zeros(3), partner), values[partner])


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_shares_have_the_beta_distributions_mean_and_spread(alpha):
    share, _ = draw_mix(20_000, alpha, Generator().manual_seed(0))
    assert 0 <= float(share.min()) <= float(share.max()) <= 1
    assert float(share.mean()) == pytest.approx(0.5, abs=0.01)
    assert float(share.var()) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.03)


def test_a_mix_comes_from_the_generator_alone():
    (one, first), (same, again), (other, _) = (draw_mix(4, 0.2, Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(one, same)
    assert torch.equal(first, again)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("size", [2, 3, 8])
def test_nobody_is_mixed_with_itself(size):
    seen = set()
    for seed in range(30):
        _, partner = draw_mix(size, 0.2, Generator().manual_seed(seed))
        assert sorted(partner.tolist()) == list(range(size))
        assert (partner != torch.arange(size)).all()
        seen.add(int(partner[0]))
    assert seen == set(range(1, size))


def test_a_single_scan_stays_as_it_is(made, batch, still, unlabelled):
    fields = ("image", "valid", "fill", "spacing_mm")
    single = replace(unlabelled, **{name: getattr(unlabelled, name)[:1] for name in fields})
    with torch.no_grad():
        task = made("ict", still).task(single, batch(), 0)
    assert torch.allclose(task.image, unlabelled.image[:1], atol=1e-5)


@pytest.mark.parametrize(("option", "value"), [("alpha", 0.0), ("ema_decay", -0.5)])
def test_values_out_of_range_are_refused(option, value):
    with pytest.raises(UsageError, match=rf"--method.{option} is {value}; expected"):
        ICTConfig(**{option: value})

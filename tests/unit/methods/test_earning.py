"""Trust in a teacher: each measure by hand, when it comes, when it goes, and that it is the same on all ranks."""

import math

import pytest
import torch
from torch import Tensor

from equireg.losses import one_hot
from equireg.methods.earning import MOST_CLASSES, Earning, Seen, volumes_of

SHAPE = (4, 4)


def logits_of(classes: Tensor) -> Tensor:
    return 10 * one_hot(classes, 3)


def halves(count: int, first: int, second: int) -> Tensor:
    """Return class maps whose upper half is one class and whose lower half another."""
    result = torch.full((count, 1, *SHAPE), second)
    result[:, :, : SHAPE[0] // 2] = first
    return result


def seen(answer: Tensor, label: Tensor, taught: Tensor, asked: Tensor, anywhere: Tensor | None = None) -> Seen:
    """Return what a step shows: answer and label of labelled samples, target and answer of the others."""
    ones, others = torch.ones(len(label), 1, *SHAPE), torch.ones(len(taught), 1, *SHAPE)
    target = one_hot(taught, 3)
    return Seen.of(
        (logits_of(answer), label, ones),
        anywhere,
        (logits_of(asked), target, others, others),
        volumes_of(target, others),
    )


def good() -> Seen:
    label, target = halves(2, 1, 0), halves(3, 1, 0)
    return seen(label, label, target, target)


def after(earning: Earning, *steps: Seen) -> dict[str, float]:
    for step in steps:
        earning.watch(step)
        earning.update()
    return {name: float(value) for name, value in earning.watch(steps[-1]).items()}


def test_measures_by_hand():
    label, answer = halves(2, 1, 0), halves(2, 1, 0)
    answer[0, 0, 1] = 0  # 4 of the 16 voxels of class 1 are missed: Dice 2 * 12 / (16 + 12)
    target, asked = halves(3, 1, 2), halves(3, 1, 0)  # class 2 is missed: the mean of 1 and 0
    found = after(Earning(), seen(answer, label, target, asked))
    assert found["fit"] == pytest.approx(24 / 28)
    assert found["agreement"] == pytest.approx(0.5)
    assert found["sure"] == pytest.approx(1)
    assert found["drift"] == pytest.approx(1, abs=1e-3)  # half of all voxels are of class 1, here and there


def test_drift_is_the_worst_classs_factor_either_way():
    label = halves(2, 1, 2)
    quarter = halves(2, 0, 1)
    quarter[:, :, -1] = 2  # class 1 and class 2 have a quarter each, where labelled scans have half
    assert after(Earning(), seen(label, label, quarter, quarter))["drift"] == pytest.approx(2, rel=1e-3)
    assert after(Earning(), seen(quarter, quarter, label, label))["drift"] == pytest.approx(2, rel=1e-3)
    lost = halves(2, 1, 0)
    assert after(Earning(), seen(label, label, lost, lost))["drift"] > 1000


def test_only_windows_drawn_anywhere_tell_how_large_a_class_is():
    label = torch.cat([halves(1, 1, 1), halves(1, 1, 0)])
    target = halves(2, 1, 0)
    anywhere = torch.tensor([False, True])
    assert after(Earning(), seen(label, label, target, target, anywhere))["drift"] == pytest.approx(1, abs=1e-3)
    assert after(Earning(), seen(label, label, target, target))["drift"] == pytest.approx(1.5, rel=1e-3)
    never = torch.zeros(2, dtype=torch.bool)
    assert after(Earning(), seen(label, label, target, target, never))["drift"] == pytest.approx(1)


def test_a_teacher_that_knows_nothing_is_not_trusted():
    label, background = halves(2, 1, 0), torch.zeros(2, 1, *SHAPE, dtype=torch.long)
    found = after(Earning(), *[seen(background, label, background, background)] * 5)
    assert found["fit"] == found["agreement"] == found["trust"] == 0
    knows_masks_alone = seen(label, label, background, background)
    assert after(Earning(), *[knows_masks_alone] * 5)["trust"] == 0


def test_one_that_knows_is_trusted_and_trust_is_earned_over_steps():
    label, background = halves(2, 1, 0), torch.zeros(2, 1, *SHAPE, dtype=torch.long)
    earning = Earning()
    assert after(earning, *[seen(background, label, background, background)] * 30)["trust"] == 0
    trust = [after(earning, good())["trust"] for _ in range(60)]
    assert trust[0] == 0
    assert trust[-1] == pytest.approx(1)
    assert trust == sorted(trust)
    assert sum(0 < value < 1 for value in trust) > 3


def test_it_goes_where_a_class_drifts_or_agreement_falls_and_comes_back():
    earning = Earning()
    assert after(earning, *[good()] * 10)["trust"] == pytest.approx(1)
    label, target = halves(2, 1, 0), torch.zeros(3, 1, *SHAPE, dtype=torch.long)
    assert after(earning, *[seen(label, label, target, target)] * 60)["trust"] == 0
    assert after(earning, *[good()] * 60)["trust"] == pytest.approx(1)
    asked = halves(3, 1, 0)
    asked[:, :, 0, :3] = 0  # 5 of 8 voxels: Dice 10 / 13, under 0.9 of the height of 1
    found = after(earning, *[seen(label, label, halves(3, 1, 0), asked)] * 100)
    assert found["agreement"] == pytest.approx(10 / 13, abs=0.01)
    assert found["trust"] == pytest.approx(
        (found["agreement"] - 0.5) / 0.3 * (found["agreement"] - 0.7) / 0.2, abs=0.01
    )


def test_watching_twice_is_watching_once_and_nothing_moves_before_the_update():
    earning, other = Earning(), Earning()
    first = earning.watch(good())
    assert first == earning.watch(good())
    assert float(earning.trust) == 0
    earning.update()
    other.watch(good())
    other.update()
    earning.update()  # nothing was watched since
    assert all(torch.equal(a, b) for a, b in zip(earning.buffers(), other.buffers(), strict=True))


def test_its_state_is_in_the_checkpoint():
    earning, loaded = Earning(), Earning()
    after(earning, *[good()] * 7)
    loaded.load_state_dict(earning.state_dict())
    assert after(earning, good()) == after(loaded, good())


def test_volumes_count_voxels_by_weight():
    weight = torch.ones(2, 1, *SHAPE)
    weight[1] = 0
    found = volumes_of(one_hot(halves(2, 1, 2), 3), weight)
    assert len(found) == MOST_CLASSES + 1
    assert found[:3].tolist() == [0, 8, 8]
    assert float(found[-1]) == 16
    assert not math.isnan(float(found.sum()))

"""The learning rate over the steps."""

import pytest

from equireg.config import OptimizerConfig
from equireg.optimiser import learning_rate


def rates(steps: list[int], **options: object) -> list[float]:
    config = OptimizerConfig(**options)  # pyright: ignore[reportArgumentType]
    return [learning_rate(config, 1000, step) for step in steps]


@pytest.mark.parametrize("schedule", ["cosine", "polynomial", "exponential", "constant"])
def test_it_rises_over_the_warm_up_to_the_highest(schedule: str) -> None:
    first, half, top = rates([0, 50, 100], schedule=schedule, warmup=0.1)
    assert 0 < first < 0.02
    assert half == pytest.approx(0.5, abs=0.01)
    assert top == 1
    assert rates([0], schedule=schedule, warmup=0.0) == [1]


def test_cosine_ends_at_the_lowest() -> None:
    middle, end = rates([500, 1000], schedule="cosine", warmup=0.0, lowest=0.004)
    assert middle == pytest.approx(0.502)
    assert end == pytest.approx(0.004)
    assert rates([1000], schedule="cosine", warmup=0.0)[0] == pytest.approx(0)


def test_exponential_decay_takes_its_factor_every_so_many_steps() -> None:
    found = rates([100, 300, 500], schedule="exponential", warmup=0.1, decay=0.5, decay_steps=200)
    assert found == pytest.approx([1, 0.5, 0.25])


def test_constant_stays() -> None:
    assert rates([0, 500, 1000], schedule="constant", warmup=0.0) == [1, 1, 1]

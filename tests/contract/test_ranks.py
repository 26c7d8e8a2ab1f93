"""Every method gives on two ranks what it gives on one; two threads stand for the ranks."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from equireg import networks
from equireg.batches.batch import Batch, Samples, label_of
from equireg.config import TrainConfig
from equireg.methods import METHODS, Method
from equireg.methods.equireg import EquiReg
from equireg.methods.supervised import Supervised
from equireg.processes import ranks
from equireg.processes.ranks import Rank

RANKS = 2
STEP, MAX_STEPS = 90, 100
SHAPE = (16, 16)
SPACING_MM = torch.tensor([[1.0, 1.0], [3.0, 2.0], [1.5, 1.0], [2.0, 1.0]])
"""Different for every sample, so that transforms depend on whose samples they are."""


class Messages:
    """What `torch.distributed` does between ranks, between threads."""

    def __init__(self) -> None:
        self.rank = threading.local()
        self._barrier = threading.Barrier(RANKS, timeout=60)
        self._values: dict[int, Tensor] = {}

    def _exchanged(self, value: Tensor) -> list[Tensor]:
        self._values[self.rank.index] = value.detach().clone()
        self._barrier.wait()
        found = [self._values[index] for index in range(RANKS)]
        self._barrier.wait()
        return found

    def all_reduce(self, value: Tensor) -> None:
        value.copy_(torch.stack(self._exchanged(value)).sum(dim=0))

    def all_gather(self, parts: list[Tensor], value: Tensor) -> None:
        for part, found in zip(parts, self._exchanged(value), strict=True):
            part.copy_(found)


@pytest.fixture
def on_ranks(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], Any]], list[Any]]:
    """Return a function that does some work on each of the ranks at once."""
    messages = Messages()
    monkeypatch.setattr(ranks, "count", lambda: RANKS if hasattr(messages.rank, "index") else 1)
    monkeypatch.setattr(ranks, "distributed", messages)

    def run(work: Callable[[int], Any]) -> list[Any]:
        def on_rank(index: int) -> Any:
            messages.rank.index = index
            return work(index)

        with ThreadPoolExecutor(RANKS) as threads:
            return [future.result() for future in [threads.submit(on_rank, index) for index in range(RANKS)]]

    return run


def samples(count: int, seed: int, labelled: bool) -> Samples:
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(3, (count, 1, *SHAPE), generator=generator, dtype=torch.uint8)
    return Samples(
        image=label.float() + torch.randn((count, 2, *SHAPE), generator=generator),
        valid=torch.ones(count, 1, *SHAPE),
        fill=torch.zeros(count, 2),
        spacing_mm=SPACING_MM[:count],
        cases=tuple(map(str, range(count))),
        label=label if labelled else None,
    )


def slice_of(whole: Samples, rank: Rank) -> Samples:
    """Return a rank's samples, as the loader makes them."""
    rows = rank.slice_of(len(whole.image) // rank.count)
    tensors = {name: value[rows] for name, value in vars(whole).items() if isinstance(value, Tensor)}
    return replace(whole, **tensors, cases=whole.cases[rows], batch_spacing_mm=whole.spacing_mm)


def batch_of(rank: Rank) -> Batch:
    labelled, unlabelled = samples(2, 1, labelled=True), samples(4, 2, labelled=False)
    return Batch(slice_of(labelled, rank), slice_of(unlabelled, rank), ranks.generator(rank, 5), (1,))


def make(name: str, kind: type[Method], **given: Any) -> Method:
    torch.manual_seed(3)
    config = TrainConfig(method=METHODS[name].Options(**given))
    options = replace(config.network, features=4, stages=2)  # pyright: ignore[reportCallIssue]
    return kind(config, lambda: networks.build(options, in_channels=2, out_channels=3, spatial_dims=2), MAX_STEPS)


def losses_and_gradient(method: Method, rank: Rank) -> tuple[dict[str, float], Tensor]:
    batch = batch_of(rank)
    if not method.uses_unlabelled:
        batch = replace(batch, unlabelled=None)
    losses = method.losses(batch, STEP)
    losses["total"].backward()
    gradients = [weight.grad.flatten() for weight in method.parameters() if weight.grad is not None]
    return {name: float(value.detach()) for name, value in losses.items()}, torch.cat(gradients)


def difference(on_ranks: Callable[..., list[Any]], make_method: Callable[[], Method]) -> str | None:
    """Say how a method's losses or gradient on two ranks differ from those of one process; None where they agree."""
    losses, gradient = losses_and_gradient(make_method(), Rank())
    methods = [make_method() for _ in range(RANKS)]  # made here, because torch's seed is one for all threads
    found = on_ranks(lambda index: losses_and_gradient(methods[index], Rank(index, RANKS)))
    for mine, _ in found:
        if mine != pytest.approx(losses, rel=1e-4, abs=1e-6):
            return f"losses {mine}, expected {losses}"
    mean = torch.stack([mine for _, mine in found]).mean(dim=0)  # as DDP takes it
    agree = torch.allclose(mean, gradient, rtol=1e-3, atol=1e-4 * float(gradient.abs().max()))
    return None if agree else f"gradients that differ by up to {float((mean - gradient).abs().max())}"


@pytest.mark.parametrize("name", list(METHODS))
def test_two_ranks_give_what_one_gives(on_ranks: Callable[..., list[Any]], name: str) -> None:
    assert difference(on_ranks, lambda: make(name, METHODS[name])) is None


@pytest.mark.parametrize("options", [{"teaching": "earned"}, {"teacher": "two"}, {"negative": 1.0, "threshold": 0.6}])
def test_options_of_equireg_that_are_off_give_on_two_ranks_what_one_gives(
    on_ranks: Callable[..., list[Any]], options: dict[str, Any]
) -> None:
    def made() -> Method:
        method = make("equireg", METHODS["equireg"], **options)
        if isinstance(method, EquiReg) and method.earning is not None:
            method.earning.trust.fill_(0.5)
        return method

    assert difference(on_ranks, made) is None


def test_ranks_trust_a_teacher_alike(on_ranks: Callable[..., list[Any]]) -> None:
    def state(method: Method, rank: Rank) -> dict[str, Tensor]:
        method.losses(batch_of(rank), STEP)
        method.after_step(STEP)
        return {key: value for key, value in method.state_dict().items() if key.startswith("earning")}

    def made() -> Method:
        return make("equireg", METHODS["equireg"], teaching="earned")

    expected, methods = state(made(), Rank()), [made() for _ in range(RANKS)]
    for found in on_ranks(lambda index: state(methods[index], Rank(index, RANKS))):
        assert found.keys() == expected.keys() != set()
        for key, value in found.items():
            assert torch.allclose(value, expected[key], rtol=1e-4, atol=1e-4), key


class Noisy(Supervised):
    """Adds noise as ``batch.random`` draws it, or as a method that forgets the other ranks would."""

    right = True

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        image = batch.labelled.image
        if self.right:
            noise = batch.random.uniform(len(image), *image.shape[1:])
        else:
            noise = torch.rand(image.shape, generator=batch.generator)
        label = label_of(batch.labelled)
        return {"total": self.supervised_loss(self.student(image + noise), label, batch.labelled.valid, step)}


class Forgetful(Noisy):
    right = False


def test_random_numbers_of_the_batch_are_right_on_two_ranks(on_ranks: Callable[..., list[Any]]) -> None:
    assert difference(on_ranks, lambda: make("supervised", Noisy)) is None


def test_a_method_that_forgets_the_other_ranks_is_found(on_ranks: Callable[..., list[Any]]) -> None:
    assert difference(on_ranks, lambda: make("supervised", Forgetful)) is not None


def test_each_kind_of_number_is_a_slice_of_the_whole_batchs() -> None:
    draws: dict[str, Callable[[ranks.Random, int], Tensor]] = {
        "uniform": lambda random, own: random.uniform(own, 3),
        "normal": lambda random, own: random.normal(own),
        "integers": lambda random, own: random.integers(1000, own, 2),
    }
    for name, draw in draws.items():
        whole = draw(ranks.Random(torch.Generator().manual_seed(1)), 4)
        parts = [draw(ranks.Random(ranks.generator(Rank(index, 2), 1)), 2) for index in range(2)]
        assert torch.equal(torch.cat(parts), whole), name
    seeds = {ranks.Random(ranks.generator(Rank(index, 2), 1)).seed() for index in range(2)}
    assert len(seeds) == 1

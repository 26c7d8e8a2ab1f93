"""Masks that registration carried over are first targets: they go through the student's view, and they fade."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from equireg.batches.batch import Batch
from equireg.config import IntensityConfig, SpatialConfig, TrainConfig, ViewsConfig
from equireg.config.methods import EquiRegConfig
from equireg.errors import UsageError
from equireg.imaging.labels import IGNORED
from equireg.methods.equireg import EquiReg
from equireg.methods.schedules import fall
from methods_made_up import STILL, some_batch

FLIPS = ViewsConfig(SpatialConfig(probability=0.0), SpatialConfig(probability=1.0), IntensityConfig(probability=0.0))


def method(views: ViewsConfig = STILL, **options: Any) -> EquiReg:
    torch.manual_seed(0)
    options = {"passes": 1, "cutmix": 0.0, "atlas": True, **options}
    config = TrainConfig(method=EquiRegConfig(**options), views=views)
    return EquiReg(config, lambda: nn.Conv2d(1, 3, 3, padding=1), 100)


def batch(atlas: Tensor | None = None) -> Batch:
    made = some_batch()
    assert made.unlabelled is not None
    return replace(made, unlabelled=replace(made.unlabelled, atlas=atlas))


def classes() -> Tensor:
    found = torch.randint(3, (4, 1, 12, 16), generator=torch.Generator().manual_seed(5))
    found[1] = IGNORED
    return found


def test_without_masks_nothing_changes():
    plain, off = method(atlas=False).losses(batch(), 10), method().losses(batch(), 10)
    assert plain.keys() == off.keys()
    assert all(torch.equal(plain[name], off[name]) for name in plain)
    with_masks = method().losses(batch(classes()), 10)
    assert all(torch.equal(plain[name], with_masks[name]) for name in plain if name != "total")


def test_it_is_the_segmentation_loss_where_something_is_known():
    made, atlas = method(), classes()
    losses = made.losses(batch(atlas), 0)
    known = (atlas != IGNORED).float()
    assert known.mean() == 0.75
    unlabelled = some_batch().unlabelled
    assert unlabelled is not None
    expected = made.segmentation_loss(made.student(unlabelled.image), atlas, known)
    assert float(losses["atlas"]) == pytest.approx(float(expected.detach()), rel=1e-5)
    rest = losses["supervised"] + losses["weight"] * losses["unsupervised"]
    assert float(losses["total"].detach()) == pytest.approx(float(rest + losses["atlas"]), rel=1e-6)


def test_its_weight_falls_to_nothing():
    whole = method().losses(batch(classes()), 0)["atlas"]
    assert float(method(atlas_weight=2.0, atlas_fade=0.4).losses(batch(classes()), 10)["atlas"]) == pytest.approx(
        2.0 * 0.75 * float(whole), rel=1e-5
    )
    plain = method().losses(batch(), 30)
    later = method().losses(batch(classes()), 30)
    assert later.pop("atlas") == 0
    assert all(torch.equal(plain[name], later[name]) for name in plain)
    assert [fall(step, 4) for step in range(6)] == [1, 0.75, 0.5, 0.25, 0, 0]
    assert fall(0, 0) == 0


def test_masks_follow_the_view_that_the_student_sees():
    """A network that reads the class off the intensity is right wherever the transform has put it."""
    made, atlas = method(FLIPS), classes()
    known = torch.where(atlas == IGNORED, 0, atlas)
    samples = batch(atlas)
    assert samples.unlabelled is not None
    samples = replace(samples, unlabelled=replace(samples.unlabelled, image=known.float()))
    task: Any = made.task(samples.unlabelled, samples, 0)  # pyright: ignore[reportArgumentType]
    moved = torch.where(task.facts.atlas == IGNORED, 0, task.facts.atlas)
    assert torch.equal(moved.float(), task.image)
    assert not torch.equal(moved, known)


def test_boxes_of_labelled_samples_bring_their_annotation():
    made = method(cutmix=1.0)
    samples = batch(torch.full((4, 1, 12, 16), IGNORED))
    known = image, label, valid = made.augmented(samples)
    (task,) = made.tasks(samples.unlabelled, known, samples, 0)  # pyright: ignore[reportArgumentType]
    inside: Tensor = task.facts.atlas != IGNORED  # pyright: ignore[reportAttributeAccessIssue]
    assert inside.any(dim=(1, 2, 3)).all()
    for shown, classes_of, where in zip(task.image, task.facts.atlas, inside, strict=True):  # pyright: ignore[reportAttributeAccessIssue]
        fits = [
            torch.equal(shown[where], image[k][where]) and torch.equal(classes_of[where], label[k][where])
            for k in (0, 1)
        ]
        assert any(fits)
    assert valid.all()


def test_two_students_learn_from_it():
    one = float(method().losses(batch(classes()), 0)["atlas"])
    both = method(teacher="cross")
    added = both.losses(batch(classes()), 0)
    added["total"].backward()
    assert float(added["atlas"]) > 1.3 * one
    assert all(weight.grad is not None for student in both.students for weight in student.parameters())


@pytest.mark.parametrize(("name", "value"), [("atlas_weight", -1.0), ("atlas_fade", 1.5), ("atlas_least", -0.1)])
def test_bad_options_are_refused(name, value):
    with pytest.raises(UsageError, match=name):
        EquiRegConfig(**{name: value})

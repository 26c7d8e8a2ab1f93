"""EquiReg's choices: each option does what it says, and the teacher follows the student."""

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from equireg.batches.batch import Batch, Samples
from equireg.config import IntensityConfig, SpatialConfig, TrainConfig, ViewsConfig
from equireg.errors import UsageError
from equireg.methods.base import Task
from equireg.methods.equireg import EquiReg, EquiRegConfig
from equireg.methods.evaluation_mode import evaluating
from equireg.methods.schedules import annealing_threshold, moving_average_decay, ramp_up
from equireg.methods.supervised import Supervised
from equireg.methods.teacher import copy_as_teacher, update_ema
from methods_made_up import SHAPE, STILL, some

MOVES = SpatialConfig(probability=1.0)  # flips alone, which are exact
FLIPS = ViewsConfig(SpatialConfig(probability=0.0), MOVES, IntensityConfig(probability=0.0))


def network(size: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, size, padding=size // 2),
        nn.InstanceNorm2d(4, affine=True) if size > 1 else nn.Identity(),
        nn.LeakyReLU(),
        nn.Conv2d(4, 3, size, padding=size // 2),
    )


def batch(seed: int = 0) -> Batch:
    return Batch(some(2, seed=1), replace(some(4, seed=2), label=None), Generator().manual_seed(seed), (0, 1))


def method(views: ViewsConfig | None = None, size: int = 3, **options: Any) -> EquiReg:
    options = {"threshold": 0.0, "labelled_boxes": 0.0, "passes": 1, "ramp_least": 0, **options}
    config = TrainConfig(method=EquiRegConfig(**options), views=views or ViewsConfig())
    return EquiReg(config, lambda: network(size), 100)


def gradients(of: nn.Module, total: Tensor) -> list[Tensor]:
    of.zero_grad()
    total.backward()
    return [weight.grad.clone() for weight in of.parameters() if weight.grad is not None]


@pytest.mark.parametrize(
    ("teacher", "targets", "loss", "averaging"),
    list(itertools.product(("self", "ema"), ("soft", "hard"), ("kl", "ce", "ce+dice"), ("valid", "tissue", "all"))),
)
def test_every_choice_trains_the_student(teacher, targets, loss, averaging):
    made = method(teacher=teacher, targets=targets, loss=loss, averaging=averaging)
    losses = made.losses(batch(), 90)
    assert all(value.isfinite() for value in losses.values())
    assert losses["unsupervised"] > 1e-4
    assert float(losses["total"].detach()) == pytest.approx(float(losses["supervised"] + losses["unsupervised"]))
    with_it = gradients(made.student, losses["total"])
    without = gradients(made.student, made.losses(replace(batch(), unlabelled=None), 90)["total"])
    assert max(float((a - b).abs().max()) for a, b in zip(with_it, without, strict=True)) > 1e-4
    assert made.teacher is None or all(weight.grad is None for weight in made.teacher.parameters())


def test_at_weight_zero_it_is_the_baseline():
    """The unlabelled samples share a forward pass, and must not disturb the labelled ones'."""
    made = method(weight=0.0, cutmix=1.0)
    baseline = Supervised(replace(made.config), network, 100)
    losses, expected = made.losses(batch(7), 90), baseline.losses(batch(7), 90)
    assert float(losses["supervised"]) == pytest.approx(float(expected["total"].detach()), rel=1e-5)
    ours, theirs = gradients(made.student, losses["total"]), gradients(baseline.student, expected["total"])
    assert len(ours) == len(theirs) == len(list(made.student.parameters()))
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ours, theirs, strict=True))
    assert max(float(value.abs().max()) for value in theirs) > 1e-2


def test_a_step_that_needs_no_unlabelled_scans_is_the_baseline():
    made = method()
    losses = made.losses(replace(batch(7), unlabelled=None), 90)
    expected = Supervised(made.config, network, 100).losses(batch(7), 90)
    assert torch.equal(losses["total"], expected["total"])


def test_a_pointwise_student_that_teaches_itself_has_no_divergence_under_flips():
    """Image, target and ``valid`` must go through the same transform, in the same direction."""
    options: dict[str, Any] = {"teacher": "self", "targets": "soft", "loss": "kl", "cutmix": 0.5}
    assert float(method(FLIPS, size=1, **options).losses(batch(), 90)["unsupervised"]) == pytest.approx(0, abs=1e-6)
    assert float(method(FLIPS, size=3, **options).losses(batch(), 90)["unsupervised"]) > 1e-3
    assert float(method(STILL, size=3, **{**options, "cutmix": 0.0}).losses(batch(), 90)["unsupervised"]) < 1e-6


def test_threshold_counts_the_confident():
    parts = [float(method(threshold=value).losses(batch(), 90)["counted"]) for value in (0.0, 0.4, 0.6, 1.0)]
    assert parts[0] == pytest.approx(1)
    assert parts[0] > parts[1] > parts[2] > 0
    assert parts[3] == 0
    nobody = method(threshold=1.0).losses(batch(), 90)
    assert float(nobody["unsupervised"]) == pytest.approx(0, abs=1e-6)
    assert torch.equal(nobody["total"].detach(), nobody["supervised"])


def test_a_class_must_also_stand_out_from_how_often_it_occurs():
    counts = [float(method(threshold=0.4, balanced=value).losses(batch(), 90)["counted"]) for value in (0.0, 0.5, 0.9)]
    assert counts[0] > counts[1] > counts[2]
    everywhere = float(method(threshold=0.0, balanced=0.9).losses(batch(), 90)["counted"])
    assert everywhere == pytest.approx(1)


def test_the_loss_of_the_confident_is_averaged_over_all():
    """As in FixMatch: where few voxels are sure, the loss is small."""
    made = method(STILL, loss="ce", cutmix=0.0, threshold=0.5, balanced=0.0)
    given = batch().unlabelled
    assert given is not None
    with torch.no_grad():  # the teacher still is the student, and both views are the scan itself
        confidence, classes = made.student(given.image).softmax(1).max(dim=1)
        each = nn.functional.cross_entropy(made.student(given.image), classes, reduction="none")
    sure = confidence >= 0.5
    assert 0.05 < sure.float().mean() < 0.95
    losses = made.losses(batch(), 90)
    assert float(losses["unsupervised"]) == pytest.approx(float((each * sure).mean()), rel=1e-3)
    assert float(losses["counted"]) == pytest.approx(float(sure.float().mean()), abs=1e-3)


def test_temperature_sharpens():
    sharp, plain, flat = (method(threshold=0.6, temperature=t).losses(batch(), 90)["counted"] for t in (0.5, 1, 2))
    assert sharp > plain > flat


def test_averaging_over_all_counts_what_lies_outside():
    views = ViewsConfig(SpatialConfig(probability=1.0, translation=0.4), SpatialConfig(), IntensityConfig())
    valid, every = (method(views, averaging=kind).losses(batch(), 90) for kind in ("valid", "all"))
    assert float(valid["unsupervised"]) != pytest.approx(float(every["unsupervised"]), abs=1e-4)


def test_averaging_over_tissue_is_image_by_image_and_skips_the_background():
    """The thesis' unsup_crop: one image of little tissue weighs as much as one of much."""
    given = batch().unlabelled
    assert given is not None
    image = given.image.clone()
    image[0, :, 2:] = 0  # the background of the first two images: most of one, a corner of the other
    image[1, :, :2, :2] = 0
    samples = replace(given, image=image)
    made = method(STILL, targets="soft", loss="ce", averaging="tissue", cutmix=0.0)
    with torch.no_grad():  # the teacher still is the student, and both views are the scan itself
        logits = made.student(image)
        each = -(logits.softmax(1) * logits.log_softmax(1)).sum(1)
    tissue = (image != 0).any(dim=1)
    expected = sum(float(values[where].mean()) for values, where in zip(each, tissue, strict=True)) / 4
    found = made.losses(replace(batch(), unlabelled=samples), 90)["unsupervised"]
    assert float(found) == pytest.approx(expected, rel=1e-4)
    assert float(found) != pytest.approx(float(each[tissue].mean()), rel=1e-3)


def test_averaging_over_all_asks_for_background_outside():
    views = ViewsConfig(SpatialConfig(probability=1.0, translation=0.4), SpatialConfig(), IntensityConfig())
    made = method(views, averaging="all", targets="soft", cutmix=0.0)
    given = batch().unlabelled
    assert given is not None
    task = made.task(given, batch(), 0)
    assert task.area.all()
    outside = (task.target[:, 0] == 1) & (task.target[:, 1:] == 0).all(dim=1)
    assert 0.1 < outside.float().mean() < 0.9


@pytest.mark.parametrize("tsa", ["linear", "log", "exp", "soft"])
def test_annealing_reaches_the_supervised_loss_alone(tsa):
    made, plain = method(), method()
    made.config = replace(made.config, tsa=tsa)
    losses, expected = made.losses(batch(), 10), plain.losses(batch(), 10)
    assert float(losses["supervised"]) != pytest.approx(float(expected["supervised"]), rel=1e-3)
    assert float(losses["unsupervised"]) == pytest.approx(float(expected["unsupervised"]), rel=1e-5)


def test_annealing_thresholds_rise_from_one_in_classes_to_one():
    parts = [step / 10 for step in range(11)]
    curves = {name: [annealing_threshold(name, part, 4) for part in parts] for name in ("linear", "log", "exp")}
    for curve in curves.values():
        assert curve == sorted(curve)
        assert curve[0] == pytest.approx(0.25, abs=0.01)
        assert curve[-1] == pytest.approx(1.0, abs=0.01)
    assert curves["linear"][5] == pytest.approx(0.625)
    assert curves["exp"][5] < curves["linear"][5] < curves["log"][5]


def test_labelled_samples_are_seen_weak_where_asked():
    """The weak view of these ranges is the scan itself; the strong one is not."""
    views = ViewsConfig(SpatialConfig(probability=0.0), MOVES, IntensityConfig(probability=1.0))
    made = method(views)
    given = batch()
    assert not torch.equal(made.augmented(given)[0], given.labelled.image)
    made.config = replace(made.config, labelled_view="weak")
    image, label, valid = made.augmented(given)
    assert torch.equal(image, given.labelled.image)
    assert given.labelled.label is not None
    assert torch.equal(label, given.labelled.label)
    assert valid.all()


def test_cross_entropy_alone_where_asked():
    made = method(STILL)
    both = float(made.losses(batch(), 0)["supervised"])
    made.config = replace(made.config, supervised_loss="ce")
    alone = made.losses(replace(batch(), unlabelled=None), 0)["supervised"]
    image, label, _ = method(STILL).augmented(batch())
    expected = nn.functional.cross_entropy(network()(image), label[:, 0])
    assert float(alone) == pytest.approx(float(expected.detach()), rel=1e-4)
    assert float(alone) < both


def test_what_lies_outside_gives_no_gradient():
    """Where nothing of the unlabelled scans is valid, they leave the student alone."""
    made = method(cutmix=0.0)
    given = batch()
    assert given.unlabelled is not None
    empty = replace(given.unlabelled, valid=torch.zeros_like(given.unlabelled.valid))
    losses = made.losses(replace(given, unlabelled=empty), 90)
    assert float(losses["unsupervised"]) == pytest.approx(0, abs=1e-6)
    assert float(losses["counted"]) == 0


def test_cutmix_changes_the_unlabelled_task_alone():
    mixed, plain = (method(STILL, cutmix=value).losses(batch(), 90) for value in (1.0, 0.0))
    assert float(mixed["supervised"]) == pytest.approx(float(plain["supervised"]), rel=1e-5)
    assert float(mixed["unsupervised"]) != pytest.approx(float(plain["unsupervised"]), abs=1e-5)


def test_cutmix_mixes_scan_and_valid_alike():
    given = batch().unlabelled
    assert given is not None
    image, valid = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, *SHAPE), torch.ones(4, 1, *SHAPE)
    valid[2:] = 0
    quiet = replace(given, image=image, valid=valid, fill=torch.tensor([[0.0], [1.0], [2.0], [3.0]]))
    shown = method(STILL, cutmix=1.0).pictures(replace(batch(), unlabelled=quiet))
    assert torch.equal(shown["valid"], (shown["scan"].round() < 2).float())
    assert not torch.equal(shown["valid"], valid)


def test_boxes_of_labelled_samples_bring_their_annotation():
    given = batch()
    unlabelled = given.unlabelled
    assert unlabelled is not None
    bright = replace(given.labelled, image=torch.full_like(given.labelled.image, 7.0))
    dark = replace(unlabelled, image=torch.zeros_like(unlabelled.image))
    mixed = replace(given, labelled=bright, unlabelled=dark)
    made = method(STILL, cutmix=1.0, labelled_boxes=1.0)
    known = made.augmented(mixed)
    task = made.mixed(made.task(dark, mixed, 0), known, mixed)
    inside = task.image[:, 0] == 7
    assert 0.1 < inside.float().mean() < 0.5
    surest = task.target.amax(dim=1)
    assert (surest[inside] == 1).all()
    assert (surest[~inside] < 1).all()
    for image, target, box in zip(task.image, task.target, inside, strict=True):
        assert any(torch.equal(target.argmax(0)[box], label[0][box]) for label in known[1]), image.shape
    assert not made.mixed(made.task(dark, mixed, 0), known, mixed).image.eq(task.image).all()  # each box anew


def test_several_passes_make_an_equivariant_target():
    """The mean over all mirrored copies is mirrored with the scan; a single prediction is not."""
    given = batch().unlabelled
    assert given is not None
    turned = replace(given, image=given.image.flip([2]))

    def target(made: EquiReg, samples: Samples) -> Tensor:
        return made.task(samples, replace(batch(), flip_axes=(0, 1)), 0).target

    lopsided = nn.Conv2d(1, 3, 5, padding=2)
    for passes, equal in ((1, False), (4, True)):
        made = method(STILL, passes=passes)
        made.teacher = copy_as_teacher(lopsided)
        assert torch.allclose(target(made, turned), target(made, given).flip([2]), atol=1e-5) == equal
    assert torch.allclose(target(made, given).sum(dim=1), torch.ones(()), atol=1e-5)


def test_the_weight_ramps_up():
    made = method(weight=2.0, ramp_up=0.5)
    weights = [float(made.losses(batch(), step)["weight"]) for step in (0, 25, 50, 99)]
    assert weights[0] < 0.02
    assert weights[0] < weights[1] < weights[2]
    assert weights[2] == weights[3] == pytest.approx(2.0)
    assert ramp_up(0, 0) == 1
    assert ramp_up(25, 50) == pytest.approx(0.2865, abs=1e-4)


def test_a_short_run_ramps_up_more_slowly_than_its_fraction():
    assert EquiRegConfig().ramp_steps(200) == EquiRegConfig(exchange=0.0).ramp_steps(1000) == 300
    assert EquiRegConfig().ramp_steps(4000) == pytest.approx(1200)
    assert EquiRegConfig(exchange=1.0).ramp_steps(200) == EquiRegConfig(ramp_least=0).ramp_steps(200) == 60
    assert EquiRegConfig(ramp_up=0.0).ramp_steps(200) == 0
    short, exchanging = method(ramp_least=300), method(ramp_least=300, exchange=1.0)
    assert short.weight_at(99) < 0.15 < exchanging.weight_at(99) == 1


def test_the_teacher_follows_closely_at_first():
    made = method(ema_decay=0.99, ema_span=1.0)
    assert made.teacher is not None
    assert made.predictor is made.teacher
    with torch.no_grad():
        for weight in made.student.parameters():
            weight.add_(1.0)
    for step, keep in ((0, 0.5), (8, 0.9), (10_000, 0.99)):
        before = [weight.clone() for weight in made.teacher.parameters()]
        made.after_step(step)
        for new, old, goal in zip(made.teacher.parameters(), before, made.student.parameters(), strict=True):
            assert torch.allclose(new, keep * old + (1 - keep) * goal, atol=1e-6)
            assert not torch.equal(new, old)
    assert moving_average_decay(0, 0.3) == 0.3


def test_a_short_span_keeps_a_short_run_from_its_first_steps():
    assert [moving_average_decay(step, 0.99, 0.1) for step in (0, 89, 5000)] == pytest.approx([1 / 11, 0.9, 0.99])
    assert all(moving_average_decay(step, 0.99, 1.0) == min(0.99, 1 - 1 / (step + 2)) for step in range(200))
    made = method(ema_span=0.1)
    assert made.teacher is not None
    with torch.no_grad():
        for weight in made.student.parameters():
            weight.add_(1.0)
    made.after_step(0)
    for mine, goal in zip(made.teacher.parameters(), made.student.parameters(), strict=True):
        assert torch.allclose(mine, goal - 1 / 11, atol=1e-5)


def test_negative_learning_acts_on_the_doubtful_alone():
    """Every voxel above the threshold: nothing to add. None above: what the teacher rules out is pushed down."""
    options: dict[str, Any] = {"loss": "ce", "cutmix": 0.0, "ruled_out": 0.3}
    for threshold, adds in ((0.0, False), (1.0, True)):
        with_it = method(STILL, threshold=threshold, negative=1.0, **options).losses(batch(), 90)["unsupervised"]
        without = method(STILL, threshold=threshold, **options).losses(batch(), 90)["unsupervised"]
        assert (float(with_it) > float(without) + 1e-3) == adds
        assert adds or torch.equal(with_it, without)
    made = method(STILL, threshold=1.0, negative=2.0, **options)
    given = batch().unlabelled
    assert given is not None
    with torch.no_grad():  # the teacher still is the student
        probs = made.student(given.image).softmax(1)
    expected = -((1 - probs).log() * (probs < 0.3)).sum(1).mean()
    found = made.losses(batch(), 90)
    assert float(found["unsupervised"]) == pytest.approx(2 * float(expected), rel=1e-3)
    ours = gradients(made.student, found["total"])
    plain = method(STILL, threshold=1.0, **options)
    theirs = gradients(plain.student, plain.losses(batch(), 90)["total"])
    assert max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True)) > 1e-3


def test_two_teachers_are_updated_in_turn_and_predict_together():
    made = method(STILL, teacher="two", turn=3, passes=2, ema_decay=0.5, cutmix=0.0)
    assert made.pair is not None
    assert made.predictor is made.teacher
    with torch.no_grad():
        for weight in made.student.parameters():
            weight.add_(0.5)
    moved = []
    for step in range(12):
        before = [[weight.clone() for weight in teacher.parameters()] for teacher in made.pair]
        made.after_step(step)
        moved.append(
            [
                any(not torch.equal(a, b) for a, b in zip(old, teacher.parameters(), strict=True))
                for old, teacher in zip(before, made.pair, strict=True)
            ]
        )
    assert moved == [[True, False]] * 3 + [[False, True]] * 3 + [[True, False]] * 3 + [[False, True]] * 3


@pytest.mark.parametrize("axes", [(0, 1), ()])
def test_the_surer_of_two_teachers_weighs_more(axes):
    made = method(STILL, teacher="two", passes=2)
    sure, doubtful = (nn.Conv2d(1, 3, 1) for _ in range(2))
    with torch.no_grad():
        for teacher, bias in ((sure, [3.0, 0.0, 0.0]), (doubtful, [0.0, 0.5, 0.0])):
            teacher.weight.zero_()
            teacher.bias.copy_(torch.tensor(bias))  # pyright: ignore[reportOptionalMemberAccess]
    made.pair = nn.ModuleList([sure, doubtful])
    given = batch().unlabelled
    assert given is not None
    found = made.task(given, replace(batch(), flip_axes=axes), 0).target[0, :, 0, 0]
    each = torch.tensor([[3.0, 0.0, 0.0], [0.0, 0.5, 0.0]]).softmax(1)
    weights = (each * each.log()).sum(1).exp()
    assert weights[0] > weights[1]
    assert torch.allclose(found, (weights[:, None] * each).sum(0) / weights.sum(), atol=1e-5)


def test_teaching_that_is_earned_follows_trust_and_not_the_step():
    made = method(teaching="earned")
    losses = made.losses(batch(), 99)
    assert float(losses["weight"]) == float(losses["trust"]) == 0
    assert torch.equal(losses["total"].detach(), losses["supervised"])
    assert {"fit", "agreement", "sure", "drift"} <= losses.keys()
    assert made.earning is not None
    made.after_step(0)
    assert float(made.earning.get_buffer("steps")) == 1
    made.earning.trust.fill_(0.5)
    assert float(made.losses(batch(), 0)["weight"]) == 0.5
    assert float(method(teaching="earned", weight=3.0).losses(batch(), 0)["weight"]) == 0
    assert method().earning is None


def test_the_teacher_takes_the_students_statistics():
    student = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    teacher = copy_as_teacher(student)
    assert not any(weight.requires_grad for weight in teacher.parameters())
    student(torch.randn((4, 1, 5, 5), generator=Generator().manual_seed(0)) + 3)
    update_ema(teacher, student, 0, 0.99)
    ours, theirs = teacher.state_dict(), student.state_dict()
    assert int(ours["1.num_batches_tracked"]) == 1
    assert torch.allclose(ours["1.running_mean"], theirs["1.running_mean"] / 2)
    teacher.requires_grad_(True)
    assert ours["0.weight"].data_ptr() != theirs["0.weight"].data_ptr()


def test_a_network_that_teaches_itself_needs_no_second_one():
    made = method(teacher="self")
    assert made.teacher is None
    assert made.predictor is made.student
    assert len(list(made.parameters())) == len(list(made.student.parameters()))


def test_evaluating_gives_every_module_its_mode_back():
    made = network().train()
    made[1].eval()  # pyright: ignore[reportIndexIssue]
    modes = [module.training for module in made.modules()]
    with evaluating(made) as inside:
        assert not any(module.training for module in inside.modules())
    assert [module.training for module in made.modules()] == modes


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("ema_decay", 1.5),
        ("threshold", -0.1),
        ("cutmix", 2.0),
        ("ramp_up", 1.1),
        ("weight", -1.0),
        ("temperature", 0),
        ("labelled_boxes", 1.5),
        ("passes", 0),
    ],
)
def test_values_out_of_range_are_refused(option, value):
    with pytest.raises(UsageError, match=rf"--method.{option} (is )?{value}"):
        EquiRegConfig(**{option: value})


def test_pictures_show_the_task():
    shown = method(STILL, cutmix=0.0).pictures(batch())
    given = batch().unlabelled
    assert given is not None
    assert torch.allclose(shown["scan"], given.image, atol=1e-5)
    made = method(STILL)
    assert made.teacher is not None
    with torch.no_grad():
        probs = made.teacher(given.image).softmax(1)
    assert torch.equal(shown["target"], probs.argmax(1, keepdim=True))
    assert torch.allclose(shown["teacher"], probs.amax(1, keepdim=True), atol=1e-6)
    assert shown["valid"].all()


@pytest.mark.parametrize("mixing", [0.0, 1.0])
def test_the_dice_fades_with_the_share_of_labelled_cases(mixing):
    """Where all scans are labelled cases too the cross-entropy alone is left; where that is not known, both count."""

    def total(masked: list[bool] | None, **options: Any) -> float:
        flags = None if masked is None else torch.tensor(masked)
        known = replace(batch(), unlabelled=replace(some(4, seed=2), label=None, masked=flags))
        made = method(FLIPS, cutmix=mixing, labelled_boxes=1.0, **options)
        return float(made.losses(known, 90)["unsupervised"])

    both, entropy = total(None), total([False] * 4, loss="ce")
    assert total([False] * 4) == both == total([True] * 4, dice_fades=False)
    assert total([True] * 4) == pytest.approx(entropy, rel=1e-6)
    assert total([True, False, True, True]) == pytest.approx(0.75 * entropy + 0.25 * both, rel=1e-6)


@pytest.mark.parametrize(("ruled_out", "acts"), [(0.05, False), (0.2, True)])
def test_negative_learning_of_two_classes_needs_a_doubtful_voxel_to_rule_one_out(ruled_out: float, acts: bool):
    made = method(loss="ce", negative=1.0, threshold=0.9, ruled_out=ruled_out)
    target = torch.tensor([0.85, 0.15]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
    one = torch.ones(1, 1, 4, 4)
    task = Task(torch.zeros(1, 1, 4, 4), target, one, torch.zeros_like(one))
    if acts:
        assert float(made.unsupervised_loss(torch.zeros(1, 2, 4, 4), task)) > 0.1
        return
    with pytest.raises(UsageError, match=r"does nothing with two classes.*ruled_out above 0\.1"):
        made.unsupervised_loss(torch.zeros(1, 2, 4, 4), task)


def test_negative_learning_leaves_out_what_is_probable_though_merely_common():
    made = method(loss="ce", negative=1.0, threshold=0.9, ruled_out=0.2, balanced=0.5)
    target = torch.tensor([0.97, 0.03]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
    one = torch.ones(1, 1, 4, 4)
    task = Task(torch.zeros(1, 1, 4, 4), target, one, torch.zeros_like(one))
    assert float(made.unsupervised_loss(torch.zeros(1, 2, 4, 4), task)) == 0

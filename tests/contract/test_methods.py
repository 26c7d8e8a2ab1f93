"""What every method promises to the training loop, over all METHODS, on tiny networks in 2D and 3D."""

import copy
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from equireg import methods, networks
from equireg.batches.batch import Batch, Samples
from equireg.config import NetworkConfig, TrainConfig, UNetConfig
from equireg.errors import UsageError
from equireg.imaging.labels import IGNORED, LabelTable
from equireg.methods import METHODS, Method
from equireg.model import ENTRY, ModelFacts, entry, load_model, new_method

MAX_STEPS = 100
LATE = 90
"""A step at which every ramp is over."""
CLASSES = 3
PATCHES = {2: (16, 24), 3: (8, 8, 12)}

IN_3D = ("equireg", "bcp")
"""Methods that every run of the tests takes through all contracts in 3D as well; the others' 3D is slow."""
over_all = pytest.mark.parametrize(
    ("name", "dims"),
    [(name, 2) for name in METHODS]
    + [pytest.param(name, 3, marks=() if name in IN_3D else pytest.mark.slow) for name in METHODS],
)
over_steps = pytest.mark.parametrize(
    ("name", "dims", "step"), [(name, *pair) for name in METHODS for pair in ((2, 0), (3, LATE))]
)
"""Every method in both dimensions and at both ends of the ramps, a pair each."""
over_names = pytest.mark.parametrize("name", list(METHODS))


def has_option(name: str, option: str) -> bool:
    return option in {field.name for field in fields(METHODS[name].Options)}


ADDING = [name for name in METHODS if has_option(name, "weight") and name != "bcp"]
"""Methods that only add a loss to the supervised one; bcp also changes what the labelled scans look like."""
TWINS = ["cps"]
"""Methods that train two networks."""


def samples(dims: int, count: int, seed: int, labelled: bool) -> Samples:
    """Return bright blobs on noise, with their classes; a corner of each patch lies beyond the scan."""
    generator = Generator().manual_seed(seed)
    shape = PATCHES[dims]
    label = torch.zeros(count, 1, *shape, dtype=torch.uint8)
    for row in range(count):
        starts = [int(torch.randint(1, size // 2, (1,), generator=generator)) for size in shape]
        label[(row, 0, *[slice(start, start + size // 2) for start, size in zip(starts, shape, strict=True)])] = 1
        label[(row, 0, *[slice(start, start + size // 4) for start, size in zip(starts, shape, strict=True)])] = 2
    image = label.float() + 0.3 * torch.randn((count, 2, *shape), generator=generator)
    valid = torch.ones(count, 1, *shape)
    valid[..., -2:] = 0
    label[..., :1] = IGNORED
    return Samples(
        image=image,
        valid=valid,
        fill=torch.full((count, 2), -1.0),
        spacing_mm=torch.tensor([2.0, 1.0, 1.5][-dims:]).expand(count, dims),
        cases=tuple(f"case{row}" for row in range(count)),
        label=label if labelled else None,
    )


def make_batch(method: Method | type[Method], dims: int, seed: int = 0, unlabelled: int = 5) -> Batch:
    """Return a batch as the loader makes it; ``seed`` seeds its generator, ``unlabelled`` its scans."""
    rest = samples(dims, 4, unlabelled, labelled=False) if method.uses_unlabelled else None
    return Batch(samples(dims, 2, 1, labelled=True), rest, Generator().manual_seed(seed), (dims - 1,))


def make_method(name: str, dims: int, norm: Any = "instance", max_steps: int = MAX_STEPS, **options: Any) -> Method:
    """Return a method with the same first weights every time; it asks for no confidence, so that voxels count."""
    given = {"name": name, "threshold": 0.0, "passes": 2, **options}
    method = METHODS[name].Options(**{key: value for key, value in given.items() if has_option(name, key)})
    network = UNetConfig(features=4, stages=3, norm=norm)
    torch.manual_seed(3)
    return METHODS[name](TrainConfig(method=method), factory(network, dims), max_steps)


def factory(config: NetworkConfig, dims: int) -> Callable[[], nn.Module]:
    return lambda: networks.build(config, in_channels=2, out_channels=CLASSES, spatial_dims=dims)


def of_students(method: Method) -> dict[str, nn.Parameter]:
    """Return the weights that are trained, by their names in the method."""
    trained = {id(weight) for student in method.students for weight in student.parameters()}
    return {key: weight for key, weight in method.named_parameters() if id(weight) in trained}


def prefixes(method: Method) -> tuple[str, ...]:
    """Return how the names of the students' tensors begin."""
    return tuple(f"{key}." for key, module in method.named_children() if module in method.students)


def gradients(method: Method, batch: Batch, step: int = LATE) -> dict[str, Tensor]:
    """Return the gradient of ``total`` on every weight of the students."""
    method.zero_grad(set_to_none=True)
    method.losses(batch, step)["total"].backward()
    return {key: weight.grad for key, weight in of_students(method).items() if weight.grad is not None}


def supervised_gradients(method: Method, dims: int) -> dict[str, Tensor]:
    """Return what the baseline gives for the same batch, with the weights of each student in turn."""
    found = {}
    for prefix, student in zip(prefixes(method), method.students, strict=True):
        baseline = make_method("supervised", dims)
        baseline.student.load_state_dict(student.state_dict())
        alone = gradients(baseline, make_batch(baseline, dims))
        found |= {prefix + key.removeprefix("student."): value for key, value in alone.items()}
    return found


def differ(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Return the greatest difference, relative to the greatest gradient."""
    greatest = max(float(value.abs().max()) for value in one.values())
    return max(float((one[key] - other[key]).abs().max()) for key in one) / greatest


@over_all
def test_losses_are_finite_scalars_of_which_total_alone_has_a_graph(name, dims):
    method = make_method(name, dims)
    for step in (0, LATE):
        losses = method.losses(make_batch(method, dims), step)
        assert losses["total"].requires_grad
        for key, value in losses.items():
            assert value.shape == (), key
            assert value.isfinite(), key
            assert key == "total" or not value.requires_grad, key


@over_steps
def test_total_reaches_every_weight_that_is_optimised(name, dims, step):
    method = make_method(name, dims)
    found = gradients(method, make_batch(method, dims), step)
    for key, weight in method.named_parameters():
        if not weight.requires_grad:
            assert weight.grad is None, key
            continue
        assert weight.grad is not None, key
        assert weight.grad.isfinite().all(), key
        if weight.ndim > 1:  # a bias ahead of a normalisation cannot have one
            assert weight.grad.abs().max() > 0, key
    assert found.keys() == of_students(method).keys()


@over_all
def test_the_unlabelled_scans_reach_the_students(name, dims):
    """The classic fault is an unlabelled loss that has a value but trains nothing."""
    method = make_method(name, dims, weight=10.0)  # some start out with small losses
    found = gradients(method, make_batch(method, dims, unlabelled=5))
    others = gradients(method, make_batch(method, dims, unlabelled=6))
    for prefix in prefixes(method):
        mine, other = (
            {key: value for key, value in some.items() if key.startswith(prefix)} for some in (found, others)
        )
        assert (differ(mine, other) > 1e-3) == method.uses_unlabelled, prefix
    if method.uses_unlabelled:
        without = replace(make_batch(method, dims), unlabelled=None)
        assert differ(found, gradients(method, without)) > 1e-3


@over_all
def test_without_unlabelled_scans_each_student_learns_from_labels_alone(name, dims):
    method = make_method(name, dims)
    found = gradients(method, replace(make_batch(method, dims), unlabelled=None))
    expected = supervised_gradients(method, dims)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in found)


@pytest.mark.parametrize(("name", "dims", "step"), [(name, *pair) for name in ADDING for pair in ((2, 0), (3, LATE))])
def test_at_weight_zero_it_is_the_baseline(name, dims, step):
    """The labelled view is the same draw, and a pass with more samples in it differs by rounding alone."""
    method = make_method(name, dims, weight=0.0)
    found = gradients(method, make_batch(method, dims), step)
    expected = supervised_gradients(method, dims)
    assert found.keys() == expected.keys()
    assert differ(found, expected) < 1e-5
    assert differ(found, gradients(make_method(name, dims, weight=10.0), make_batch(method, dims))) > 1e-3


@pytest.mark.parametrize("step", [0, LATE])
@over_names
def test_deep_supervision_trains_every_head_and_no_teacher(name, step):
    """Every method that learns from labels asks for the lower resolutions too, with and without unlabelled scans."""
    torch.manual_seed(3)
    network = UNetConfig(features=4, stages=4, deep_supervision=True)
    options = METHODS[name].Options()
    method = METHODS[name](TrainConfig(method=options, network=network), factory(network, 2), MAX_STEPS)
    batch = make_batch(method, 2)
    for given in (batch, replace(batch, unlabelled=None)):
        found = gradients(method, given, step)
        heads = [key for key in found if ".lower_heads." in key]
        assert len(heads) == 2 * len(method.students)
        assert all(found[key].abs().max() > 0 for key in heads)
        assert found.keys() == of_students(method).keys()


@over_all
def test_the_students_alone_are_trained(name, dims):
    method = make_method(name, dims)
    assert method.students[0] is method.student
    trained = of_students(method)
    assert {key for key, weight in method.named_parameters() if weight.requires_grad} == trained.keys()


@over_steps
def test_a_teacher_gets_no_gradient_even_if_it_could(name, dims, step):
    method = make_method(name, dims).requires_grad_()
    method.losses(make_batch(method, dims), step)["total"].backward()
    reached = {key for key, weight in method.named_parameters() if weight.grad is not None}
    assert reached == of_students(method).keys()


@over_all
def test_only_the_students_own_pass_moves_statistics(name, dims):
    """A teacher's pass leaves BatchNorm as it is: a student's counts one pass, any other's none."""
    method = make_method(name, dims, norm="batch").train()
    own = prefixes(method)
    modes = {key: module.training for key, module in method.named_modules()}
    before = copy.deepcopy(method.state_dict())
    method.losses(make_batch(method, dims), LATE)
    passes = {key: value for key, value in method.state_dict().items() if key.endswith("num_batches_tracked")}
    assert all(any(key.startswith(prefix) for key in passes) for prefix in own)
    for key, value in passes.items():
        assert value - before[key] == (1 if key.startswith(own) else 0), key
    for key, value in method.state_dict().items():
        if not key.startswith(own):
            assert torch.equal(value, before[key]), key
    assert {key: module.training for key, module in method.named_modules()} == modes


@over_all
def test_pictures_move_no_statistics(name, dims):
    method = make_method(name, dims, norm="batch").train()
    before = copy.deepcopy(method.state_dict())
    method.pictures(make_batch(method, dims))
    assert all(torch.equal(value, before[key]) for key, value in method.state_dict().items())
    assert all(module.training for student in method.students for module in student.modules())


@over_all
def test_random_numbers_come_from_the_batch_alone(name, dims):
    method = make_method(name, dims)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = method.losses(make_batch(method, dims, seed=1), LATE)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    again = method.losses(make_batch(method, dims, seed=1), LATE)
    other = method.losses(make_batch(method, dims, seed=2), LATE)
    assert first.keys() == again.keys()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["total"], other["total"])


@over_all
def test_the_batch_and_the_weights_stay_as_they_are(name, dims):
    method = make_method(name, dims)
    batch = make_batch(method, dims)
    kept, weights = make_batch(method, dims), copy.deepcopy(method.state_dict())
    method.losses(batch, LATE)
    method.pictures(batch)
    for ours, theirs in ((batch.labelled, kept.labelled), (batch.unlabelled, kept.unlabelled)):
        for key, value in vars(ours).items() if ours is not None else ():
            if isinstance(value, Tensor):
                assert torch.equal(value, getattr(theirs, key)), key
    assert all(torch.equal(value, weights[key]) for key, value in method.state_dict().items())


@over_all
def test_nobody_annotated_anything(name, dims):
    method = make_method(name, dims)
    batch = make_batch(method, dims)
    assert batch.labelled.label is not None
    unknown = replace(batch.labelled, label=torch.full_like(batch.labelled.label, IGNORED))
    method.losses(replace(batch, labelled=unknown), LATE)["total"].backward()
    for key, weight in of_students(method).items():
        assert weight.grad is None or weight.grad.isfinite().all(), key


@over_names
def test_labelled_samples_without_a_label_are_refused(name):
    method = make_method(name, 2)
    batch = make_batch(method, 2)
    with pytest.raises(ValueError, match="label"):
        method.losses(replace(batch, labelled=replace(batch.labelled, label=None)), LATE)


@over_names
def test_ignored_voxels_do_not_matter(name):
    """Which class lies under a mask of what nobody annotated makes no difference."""
    method = make_method(name, 2)
    image, label, valid = method.augmented(make_batch(method, 2))
    hidden = (valid == 0) | (label == IGNORED)
    assert (valid[label == IGNORED] == 0).all()
    assert 0 < hidden.float().mean() < 1
    logits = method.student(image)
    value = method.supervised_loss(logits, label, valid, 0)
    assert torch.equal(value, method.supervised_loss(logits, torch.where(hidden, 1, label), valid, 0))
    assert not torch.equal(value, method.supervised_loss(logits, torch.where(hidden, label, 1), valid, 0))


@over_all
def test_predictor_gives_logits_of_the_patchs_shape(name, dims):
    method = make_method(name, dims)
    logits = method.predictor(samples(dims, 1, 0, labelled=False).image)
    assert logits.shape == (1, CLASSES, *PATCHES[dims])


@over_all
def test_pictures_have_their_names_and_shapes(name, dims):
    method = make_method(name, dims)
    shown = method.pictures(make_batch(method, dims))
    assert {"scan", "student", "valid"} <= shown.keys()
    assert "teacher" not in shown or method.uses_unlabelled
    for key, value in shown.items():
        assert value.shape[1:] == (1, *PATCHES[dims]), key
        assert not value.requires_grad, key
    for key in {"target", "student"} & shown.keys():
        assert 0 <= shown[key].min() <= shown[key].max() < CLASSES


@over_all
def test_a_few_steps_lower_the_supervised_loss(name, dims):
    method = make_method(name, dims).train()
    optimiser = torch.optim.Adam([weight for weight in method.parameters() if weight.requires_grad], lr=1e-2)
    course = []
    for step in range(12):
        optimiser.zero_grad()
        losses = method.losses(make_batch(method, dims), step)
        losses["total"].backward()
        optimiser.step()
        method.after_step(step)
        course.append(float(losses.get("supervised", losses["total"]).detach()))
    assert course[-1] < 0.85 * course[0]


@over_names
def test_after_step_leaves_the_students_alone(name):
    method = make_method(name, 2)
    before = copy.deepcopy(method.state_dict())
    for step in (0, LATE):
        method.after_step(step)
    assert all(torch.equal(weight, before[key]) for key, weight in of_students(method).items())


def train_on(method: Method, optimiser: torch.optim.Optimizer, steps: range) -> None:
    """Do some steps of the training loop."""
    for step in steps:
        optimiser.zero_grad()
        method.losses(make_batch(method, 2, seed=step), step)["total"].backward()
        optimiser.step()
        method.after_step(step)


def make_optimiser(method: Method) -> torch.optim.Optimizer:
    return torch.optim.Adam([weight for weight in method.parameters() if weight.requires_grad], lr=1e-2)


@over_names
def test_resumed_is_uninterrupted(name):
    """Bit by bit, from weights and step alone; stopped in each phase where a method has two."""
    whole = make_method(name, 2, max_steps=4, pretraining=0.5).train()
    optimiser = make_optimiser(whole)
    stopped = {}
    for first, last in ((0, 1), (1, 2), (2, 3), (3, 4)):
        stopped[first] = copy.deepcopy((whole.state_dict(), optimiser.state_dict()))
        train_on(whole, optimiser, range(first, last))
    for first in (1, 2, 3):
        resumed = make_method(name, 2, max_steps=4, pretraining=0.5).train()
        resumed.load_state_dict(stopped[first][0])
        optimiser = make_optimiser(resumed)
        optimiser.load_state_dict(stopped[first][1])
        train_on(resumed, optimiser, range(first, 4))
        for key, value in resumed.state_dict().items():
            assert torch.equal(value, whole.state_dict()[key]), (first, key)
            assert not torch.equal(value, stopped[first][0][key]), (first, key)


@over_names
def test_a_checkpoint_holds_every_network(name, tmp_path: Path):
    facts = ModelFacts(
        dataset="made up",
        channels=("t1", "t2"),
        labels=LabelTable((0, 1, 2), ("background", "rim", "core"), {}),
        axes="zyx",
        spacing_mm=(1.0, 1.0, 2.0),
        normalisation={"name": "zscore"},
        patch_size=PATCHES[2],
        flip_axes=(1,),
    )
    config = TrainConfig(method=METHODS[name].Options(), network=UNetConfig(features=4))
    method = new_method(config, facts)
    with torch.no_grad():
        for weight in method.parameters():  # nothing that a new method has
            weight.add_(0.01 * torch.randn(weight.shape, generator=Generator().manual_seed(weight.numel())))
    weights = {f"method.{key}": value for key, value in method.state_dict().items()}
    content = {"state_dict": weights, "global_step": 7, ENTRY: entry(config, facts)}
    torch.save(content, tmp_path / "last.ckpt")
    loaded = load_model(tmp_path / "last.ckpt").method
    assert len(loaded.students) == (2 if name in TWINS else 1)
    for key, value in method.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key


@pytest.mark.parametrize("name", TWINS)
def test_two_networks_begin_apart(name):
    one, other = make_method(name, 2).students
    image = samples(2, 1, 0, labelled=False).image
    assert not torch.allclose(one(image), other(image), atol=1e-2)


@over_names
def test_the_options_carry_the_methods_name(name):
    kind = METHODS[name].Options
    assert kind().name == name
    assert methods.find(name) is METHODS[name]
    given = {field.name: getattr(kind(), field.name) for field in fields(kind)}
    assert kind(**given) == kind()


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(UsageError, match=r"--method is equirek; expected one of .*Did you mean equireg\?"):
        methods.find("equirek")

"""The first answer of a run's networks, from the labelled cases."""

import pytest
import torch
from tests.made_up.prepared_sets import record

from equireg.imaging.labels import LabelTable
from equireg.model import ModelFacts, config_from, new_method
from equireg.training.class_prior import Prior

FACTS = ModelFacts(
    dataset="made up",
    channels=("t1",),
    labels=LabelTable((0, 1, 2), ("background", "core", "rim")),
    axes="zyx",
    spacing_mm=(1.0, 1.0, 2.0),
    normalisation={"name": "zscore"},
    patch_size=(16, 16),
    flip_axes=(1,),
)
CASES = [record("a", class_voxels=(800, 50, 50)), record("b", class_voxels=(100, 0, 0))]


def config(**options):
    return config_from({"method": {"name": "equireg"}, "network": {"features": 4}, **options})


def test_voxels_of_all_labelled_cases_count():
    prior = Prior.of(config(), FACTS, CASES)
    assert prior is not None
    assert torch.allclose(prior.probabilities, torch.tensor([0.9, 0.05, 0.05]))


def test_it_may_be_left_to_chance():
    assert Prior.of(config(class_prior=False), FACTS, CASES) is None


def test_cases_without_counts_say_nothing():
    assert Prior.of(config(), FACTS, [record("old", class_voxels=())]) is None


@pytest.mark.parametrize("name", ["equireg", "cps"])
def test_student_teacher_and_second_network_answer_it(name):
    prior = Prior.of(config(), FACTS, CASES)
    assert prior is not None
    method = new_method(config(method={"name": name}), FACTS, prior.fill)
    biases = [value for key, value in method.state_dict().items() if key.endswith("output_block.conv.conv.bias")]
    assert len(biases) >= 2
    assert all(torch.allclose(bias.softmax(dim=0), prior.probabilities) for bias in biases)


def test_other_weights_are_those_of_the_seed():
    prior = Prior.of(config(), FACTS, CASES)
    assert prior is not None
    plain, filled = (new_method(config(), FACTS, fill).state_dict() for fill in (None, prior.fill))
    differ = {name for name in plain if not torch.equal(plain[name], filled[name])}
    assert differ
    assert all("output_block" in name for name in differ)

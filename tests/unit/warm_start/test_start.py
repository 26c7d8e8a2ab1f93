"""Trained weights in new networks: what is kept, what is new, what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from equireg.config import TrainConfig, UNetConfig
from equireg.config.choosing import options_of
from equireg.errors import EquiregError
from equireg.imaging.labels import LabelTable
from equireg.methods import METHODS
from equireg.model import ModelFacts, config_from, new_method
from equireg.networks import NETWORKS
from equireg.warm_start import Source, WarmStart
from equireg.warm_start.start import agreeing

FACTS = ModelFacts(
    dataset="made up",
    channels=("t1", "t2"),
    labels=LabelTable((0, 1, 2), ("background", "rim", "core")),
    axes="zyx",
    spacing_mm=(1.0, 1.0, 2.0),
    normalisation={"name": "zscore"},
    patch_size=(16, 16),
    flip_axes=(1,),
)


def config(**options: Any) -> TrainConfig:
    return config_from({"method": {"name": "supervised"}, "network": {"features": 4}, "seed": 7, **options})


def source_of(trained: TrainConfig, facts: ModelFacts = FACTS, **changes: Any) -> Source:
    """Return the weights of a new model as if it had been trained."""
    method = new_method(trained, facts)
    values: dict[str, Any] = {
        "path": Path("run/checkpoints/last.ckpt"),
        "name": "run",
        "digest": "0123456789abcdef",
        "network": trained.network,
        "spatial_dims": len(facts.patch_size),
        "channels": facts.channels,
        "labels": facts.labels,
        "weights": method.predictor.state_dict(),
        "spacing_mm": facts.spacing_mm,
        "normalisation": "zscore",
    }
    return Source(**{**values, **changes})


def predictor_of(trained: Source, run: TrainConfig, facts: ModelFacts = FACTS) -> dict[str, Tensor]:
    return new_method(run, facts, WarmStart.onto(trained, facts).fill).predictor.state_dict()


def network_of(name: str) -> dict[str, Any]:
    sized = {"features": 8} if hasattr(options_of("network", name), "features") else {}
    return {"name": name, **sized, **({"blocks": [1]} if name == "resenc" else {})}


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name == "tiramisu" else [])
        for name in NETWORKS
        if not name.startswith(("fc-densenet6", "fc-densenet1"))
    ],
)
def test_every_network_takes_all_weights_but_those_of_new_classes(name: str, dims: int) -> None:
    if dims == 3 and name == "tiramisu":
        pytest.skip("the same code as in 2D, slow to draw weights for")
    facts = replace(FACTS, patch_size=(16,) * dims)
    other = replace(facts, labels=LabelTable((0, 5, 2), ("background", "core", "cyst")))
    trained = source_of(config(network=network_of(name), spatial_dims=dims), facts)
    run = config(network=network_of(name), spatial_dims=dims, seed=8)
    same, changed = predictor_of(trained, run, facts), predictor_of(trained, run, other)
    fresh = new_method(run, other).predictor.state_dict()
    assert all(torch.equal(same[key], value) for key, value in trained.weights.items())
    head = [key for key, value in trained.weights.items() if not torch.equal(changed[key], value)]
    assert {key.rpartition(".")[2] for key in head} <= {"weight", "bias"}
    assert head
    for key in head:
        assert torch.equal(changed[key][:2], trained.weights[key][[0, 2]])
        assert torch.equal(changed[key][2], fresh[key][2])


@pytest.mark.parametrize("name", METHODS)
def test_student_and_teacher_both_start_from_them(name: str) -> None:
    trained = source_of(config())
    method = new_method(config(method={"name": name}, seed=8), FACTS, WarmStart.onto(trained, FACTS).fill)
    state = method.state_dict()
    networks = {key.split(".")[0] for key in state}
    for network in networks - {"second"}:
        assert all(torch.equal(state[f"{network}.{key}"], value) for key, value in trained.weights.items()), network


def test_the_second_of_two_networks_shares_the_encoder_alone() -> None:
    """Two equal networks would teach each other nothing."""
    trained = source_of(config())
    method = new_method(config(method={"name": "cps"}, seed=8), FACTS, WarmStart.onto(trained, FACTS).fill)
    second = {key.removeprefix("second."): value for key, value in method.state_dict().items() if "second" in key}
    kept = {key.split(".")[0] for key, value in trained.weights.items() if torch.equal(second[key], value)}
    drawn = {key.split(".")[0] for key, value in trained.weights.items() if not torch.equal(second[key], value)}
    assert {"input_block", "downsamples", "bottleneck"} <= kept
    assert {"upsamples", "output_block"} <= drawn
    assert not {"input_block", "downsamples", "bottleneck"} & drawn


def test_lower_heads_may_be_new_or_left_out() -> None:
    plain, deep = config(), config(network={"features": 4, "deep_supervision": True})
    for trained, run in ((plain, deep), (deep, plain)):
        source = source_of(trained)
        found = predictor_of(source, run)
        assert all(torch.equal(found[key], value) for key, value in source.weights.items() if key in found)


@pytest.mark.parametrize(
    ("here", "there", "rows"),
    [
        ((("background", 0), ("a", 1), ("b", 2)), (("background", 0), ("B", 1), ("A", 2)), {0: 0, 1: 2, 2: 1}),
        ((("background", 0), ("enhancing_tumour", 3)), (("bg", 0), ("Enhancing tumour", 4)), {0: 0, 1: 1}),
        ((("background", 0), ("liver", 1)), (("background", 0), ("spleen", 1)), {0: 0}),
        ((("background", 0), ("label_1", 1)), (("background", 0), ("spleen", 1)), {0: 0, 1: 1}),
        ((("background", 0), ("spleen", 2)), (("background", 0), ("label_1", 1), ("label_2", 2)), {0: 0, 1: 2}),
        ((("background", 0), ("a", 1), ("label_1", 2)), (("background", 0), ("label_1", 1)), {0: 0, 1: 1}),
    ],
)
def test_classes_agree_by_name_and_else_by_value(here: Any, there: Any, rows: dict[int, int]) -> None:
    tables = [LabelTable(tuple(value for _, value in side), tuple(name for name, _ in side)) for side in (here, there)]
    assert agreeing(*tables) == rows


@pytest.mark.parametrize(
    ("here", "there", "rows"),
    [
        (("ER+", "ER-"), ("ER+", "ER-"), {0: 0, 1: 1, 2: 2}),
        (("er -", "er +"), ("ER+", "ER-"), {0: 0, 1: 2, 2: 1}),
        (("ER+",), ("ER-",), {0: 0}),
        (("<5mm", ">5mm"), ("<5mm", ">5mm"), {0: 0, 1: 1, 2: 2}),
        (("level 1.1", "level 11"), ("level 1.1", "level 11"), {0: 0, 1: 1, 2: 2}),
        (("level-11",), ("level 1.1", "level 11"), {0: 0}),
    ],
)
def test_classes_whose_names_differ_in_a_sign_are_not_mixed_up(
    here: tuple[str, ...], there: tuple[str, ...], rows: dict[int, int]
) -> None:
    tables = [LabelTable(tuple(range(len(side) + 1)), ("background", *side)) for side in (here, there)]
    assert agreeing(*tables) == rows


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (FACTS.labels, "head kept for background, rim, core"),
        (LabelTable((0, 1), ("background", "cyst")), "head kept for background; new for cyst"),
        (None, "head new for background, rim, core"),
    ],
)
def test_the_head_is_told(labels: LabelTable | None, told: str) -> None:
    facts = FACTS if labels is None else replace(FACTS, labels=labels)
    start = WarmStart.onto(source_of(config(), labels=None if labels is None else FACTS.labels, step=9), facts)
    assert start.summary() == f"starting from the weights of step 9 of run@0123456789abcdef; {told}"


@pytest.mark.parametrize("channels", [("t2", "t1"), ("t1",), ("t1", "t2", "flair"), ("t1", "ct")])
def test_other_channels_are_refused_and_both_are_named(channels: tuple[str, ...]) -> None:
    facts = replace(FACTS, channels=channels)
    expected = rf"other channels \(t1, t2\) than the prepared folder has \({', '.join(channels)}\)"
    with pytest.raises(EquiregError, match=expected):
        WarmStart.onto(source_of(config()), facts)


def test_channels_go_by_several_names_and_unnamed_ones_are_told() -> None:
    assert WarmStart.onto(source_of(config()), replace(FACTS, channels=("T1w", "T2"))).remarks == ()
    (remark,) = WarmStart.onto(source_of(config(), channels=("channel_0", "channel_1")), FACTS).remarks
    assert "channel_0, channel_1 there, t1, t2 here" in remark
    with pytest.raises(EquiregError, match="other channels"):
        WarmStart.onto(source_of(config(), channels=("channel_0",)), FACTS)


@pytest.mark.parametrize("names", [("NCCT", "CTA"), ("T1w", "T1n")])
def test_channels_of_one_meaning_in_another_order_are_refused(names: tuple[str, ...]) -> None:
    source = source_of(config(), channels=names)
    assert WarmStart.onto(source, replace(FACTS, channels=names)).remarks == ()
    with pytest.raises(EquiregError, match="in the same order"):
        WarmStart.onto(source, replace(FACTS, channels=names[::-1]))


def test_other_spacing_and_normalisation_are_told() -> None:
    facts = replace(FACTS, spacing_mm=(1.0, 1.0, 5.0), normalisation={"name": "ct"})
    assert WarmStart.onto(source_of(config()), facts).remarks == (
        "intensities were normalised by zscore, here ct",
        "voxels had 1 x 1 x 2 mm, here 1 x 1 x 5 mm",
    )


def test_weights_of_another_network_are_refused_by_their_tensors() -> None:
    start = WarmStart.onto(source_of(config()), FACTS)
    for network in ({"features": 8}, {"features": 4, "norm": "batch"}, {"features": 4, "trans_bias": True}):
        with pytest.raises(EquiregError, match=r"weights of another network \(\d+ of \d+ tensors differ: \S+ is "):
            new_method(config(network=network), FACTS, start.fill)


def test_options_come_from_the_weights_and_may_not_contradict_them() -> None:
    trained = source_of(config(), network=UNetConfig(features=4, strides=((1, 1), (2, 2), (2, 2))))
    made = trained.options({"max_steps": 3, "network": {"dropout": 0.5, "strides": None}})
    assert made["init"] == "run@0123456789abcdef"
    assert made["spatial_dims"] == 2
    network = config_from(made).network
    assert network == replace(trained.network, dropout=0.5)  # pyright: ignore[reportCallIssue]
    for options, reason in (
        ({"network": {"name": "segresnet"}}, "holds weights of a unet, and --network is segresnet"),
        ({"network": {"features": 8}}, r"--network\.features is 8, there it is 4"),
        ({"network": {"norm": "batch"}}, r"--network\.norm is batch, there it is instance"),
        ({"spatial_dims": 3}, r"for slices, and --spatial_dims is 3 \(volumes\)"),
    ):
        with pytest.raises(EquiregError, match=reason):
            trained.options(options)


def test_the_options_of_every_network_are_plain() -> None:
    for name in NETWORKS:
        network = options_of("network", name)(name=name)
        made = source_of(config(), network=network).options({})
        assert config_from(made).network == network

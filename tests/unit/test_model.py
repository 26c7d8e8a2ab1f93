"""A checkpoint rebuilds its model by itself, or is refused by name."""

from pathlib import Path
from typing import Any

import pytest
import torch

from equireg.config import TrainConfig
from equireg.errors import EquiregError
from equireg.folders.run import RunFolder
from equireg.imaging.labels import LabelTable
from equireg.model import (
    ENTRY,
    FOREGROUND_BIAS,
    ModelFacts,
    chosen_of,
    config_from,
    entry,
    load_model,
    load_weights,
    new_method,
    read_checkpoint,
    seal,
)
from equireg.postprocessing import ForegroundBias, PostProcessing

FACTS = ModelFacts(
    dataset="made up",
    channels=("t1", "t2"),
    labels=LabelTable((0, 4), ("background", "rim"), {"whole": (4,)}),
    axes="zyx",
    spacing_mm=(1.0, 1.0, 2.0),
    normalisation={"name": "zscore"},
    patch_size=(16, 16),
    flip_axes=(1,),
)


def config(**options: Any) -> TrainConfig:
    return config_from({"method": {"name": "equireg"}, "network": {"features": 4}, **options})


def write(path: Path, made: TrainConfig, **changes: Any) -> dict[str, Any]:
    """Write a checkpoint as training does; return its content."""
    method = new_method(made, FACTS)
    weights = {f"method.{name}": value for name, value in method.state_dict().items()}
    content = {"state_dict": weights, "global_step": 7, ENTRY: entry(made, FACTS)} | changes
    seal(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return content


@pytest.mark.parametrize("spacing", [None, (1.0, 1.0, 2.0)])
def test_facts_there_and_back(spacing: tuple[float, float, float] | None) -> None:
    facts = ModelFacts(**{**vars(FACTS), "spacing_mm": spacing})
    assert ModelFacts.from_dict(facts.as_dict()) == facts
    plan = facts.case_plan()
    assert (plan.spacing_mm, plan.slice_axis, plan.channels, plan.labels) == (spacing, "z", 2, FACTS.labels)


def test_new_weights_come_from_the_seed_alone() -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    one = new_method(config(), FACTS).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    again = new_method(config(), FACTS).state_dict()
    other = new_method(config(seed=1), FACTS).state_dict()
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_a_model_is_rebuilt(tmp_path: Path) -> None:
    content = write(tmp_path / "a.ckpt", config(seed=3))
    model = load_model(tmp_path / "a.ckpt")
    assert (model.config, model.facts, model.step) == (config(seed=3), FACTS, 7)
    loaded = model.method.state_dict()
    assert {f"method.{name}" for name in loaded} == set(content["state_dict"])
    assert all(torch.equal(value, content["state_dict"][f"method.{name}"]) for name, value in loaded.items())
    assert not model.predictor.training
    assert model.predictor(torch.zeros(1, 2, 16, 16)).shape == (1, 2, 16, 16)


@pytest.mark.parametrize("method", ["supervised", "equireg", "cps", "bcp"])
def test_the_bias_that_training_chose_is_in_what_the_model_predicts(tmp_path: Path, method: str) -> None:
    made = config(method={"name": method})
    write(tmp_path / "a.ckpt", made)
    chosen = ForegroundBias(1.5, 0.5, 0.1, 0.01, 9)
    write(tmp_path / "b.ckpt", made, **{ENTRY: {**entry(made, FACTS), FOREGROUND_BIAS: chosen.as_dict()}})
    before, after = load_model(tmp_path / "a.ckpt"), load_model(tmp_path / "b.ckpt")
    assert (before.foreground_bias, after.foreground_bias) == (ForegroundBias(), chosen)
    assert chosen_of(tmp_path / "b.ckpt") == (chosen, PostProcessing())
    image = torch.randn(1, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        moved = after.predictor(image) - before.predictor(image)
    assert torch.allclose(moved, torch.tensor([0.0, 1.5]).view(1, 2, 1, 1).expand_as(moved), atol=1e-5)


def test_a_bias_that_no_training_chooses_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path / "a.ckpt", config(), **{ENTRY: {**entry(config(), FACTS), FOREGROUND_BIAS: {"bias": 50.0}}})
    with pytest.raises(EquiregError, match=r"a\.ckpt: is damaged.*foreground_bias is 50"):
        load_model(tmp_path / "a.ckpt")


def test_weights_of_another_network_are_refused_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    content = write(path, config())
    other = entry(config(network={"features": 8}), FACTS)
    write(path, config(), **{ENTRY: other})
    with pytest.raises(EquiregError, match=rf"{path}: holds weights of another network \(\d+ of \d+ tensors differ"):
        load_model(path)
    method = new_method(config(seed=9), FACTS)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    short = {name.removeprefix("method."): value for name, value in list(content["state_dict"].items())[1:]}
    with pytest.raises(EquiregError, match=r"1 of \d+ tensors differ"):
        load_weights(method, short, path)
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


def test_best_goes_before_last(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    with pytest.raises(EquiregError, match=rf"{folder}: holds no best or last\.ckpt"):
        RunFolder(tmp_path).checkpoint("auto")
    (folder / "last.ckpt").touch()
    assert RunFolder(tmp_path).checkpoint("auto").name == "last.ckpt"
    with pytest.raises(EquiregError, match=r"holds no best\.ckpt"):
        RunFolder(tmp_path).checkpoint("best")
    (folder / "best.ckpt").touch()
    assert RunFolder(tmp_path).checkpoint("auto").name == "best.ckpt"
    assert RunFolder(tmp_path).checkpoint("last").name == "last.ckpt"


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    write(path, config())
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(EquiregError, match=rf"{path}: cannot be read as a checkpoint") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    torch.save({"state_dict": {}, ENTRY: Path("object")}, path)
    with pytest.raises(EquiregError, match=rf"{path}: cannot be read as a checkpoint"):
        read_checkpoint(path)


def test_another_programs_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    torch.save({"state_dict": {}}, path)
    with pytest.raises(EquiregError, match=rf"{path}: is not a checkpoint of equireg"):
        read_checkpoint(path)


def test_another_format_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    write(path, config(), **{ENTRY: entry(config(), FACTS) | {"format_version": 99}})
    with pytest.raises(EquiregError, match=rf"{path}: has format version 99"):
        load_model(path)


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    content = write(path, config())
    whole = path.read_bytes()
    some = max(content["state_dict"].values(), key=torch.Tensor.numel).numpy().tobytes()
    flipped = bytearray(whole)
    flipped[whole.index(some) + len(some) // 2] ^= 8
    path.write_bytes(flipped)
    with pytest.raises(EquiregError, match=rf"{path}: cannot be read as a checkpoint .*checksum"):
        read_checkpoint(path)


@pytest.mark.parametrize("change", ["weights", "facts", "config", "step"])
def test_what_was_changed_after_training_is_refused(tmp_path: Path, change: str) -> None:
    path = tmp_path / "a.ckpt"
    content = write(path, config())
    if change == "weights":
        next(iter(content["state_dict"].values())).add_(1e-3)
    elif change == "step":
        content["global_step"] += 1
    else:
        content[ENTRY][change] = content[ENTRY][change] | {"more": 1}
    torch.save(content, path)
    with pytest.raises(EquiregError, match=rf"{path}: was changed after training"):
        read_checkpoint(path)


def test_an_older_checkpoint_without_digest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    content = write(path, config())
    del content[ENTRY]["digest"]
    torch.save(content, path)
    assert load_model(path).step == 7


@pytest.mark.parametrize("part", ["config", "facts", "format_version"])
def test_a_checkpoint_that_lacks_a_part_is_named(tmp_path: Path, part: str) -> None:
    path = tmp_path / "a.ckpt"
    content = write(path, config())
    del content[ENTRY][part]
    seal(content)
    torch.save(content, path)
    with pytest.raises(EquiregError, match=str(path)):
        load_model(path)


@pytest.mark.parametrize(
    "change", [{"config": {"method": {"name": "equireg"}, "max_step": 3}}, {"post_process": {"cases": {}}}]
)
def test_options_that_nobody_has_name_the_file(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "a.ckpt"
    write(path, config(), **{ENTRY: entry(config(), FACTS) | change})
    with pytest.raises(EquiregError, match=rf"{path}: is damaged, or another version of equireg made it"):
        load_model(path)


@pytest.mark.parametrize("group", ["method", "network"])
def test_a_name_that_nothing_registers_here_is_told_with_the_way_to_register_it(tmp_path: Path, group: str) -> None:
    path = tmp_path / "a.ckpt"
    whole = entry(config(), FACTS)
    whole["config"][group]["name"] = "mine"
    write(path, config(), **{ENTRY: whole})
    with pytest.raises(EquiregError, match=rf"{path}: names the {group} 'mine', .* Set EQUIREG_PLUGINS to the module"):
        load_model(path)


@pytest.mark.parametrize("change", [{"axes": "zyy"}, {"channels": "t1"}, {"more": 1}, {"normalisation": "zscore"}])
def test_facts_of_another_kind_name_the_file(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "a.ckpt"
    whole = entry(config(), FACTS)
    write(path, config(), **{ENTRY: whole | {"facts": whole["facts"] | change}})
    with pytest.raises(EquiregError, match=rf"{path}: is damaged, .*\(facts"):
        load_model(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    path = tmp_path / "a.ckpt"
    content = write(path, config())
    next(weight for name, weight in content["state_dict"].items() if "teacher" in name).view(-1)[0] = value
    seal(content)
    torch.save(content, path)
    with pytest.raises(EquiregError, match=rf"{path}: holds weights that are NaN or infinite \(\d of"):
        load_model(path)

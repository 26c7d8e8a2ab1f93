"""The folder of a run: which runs are one arm, and that what is written is read back."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from equireg import disk
from equireg.config import NetworkConfig, TrainConfig
from equireg.config.parsing import to_plain
from equireg.errors import EquiregError
from equireg.folders.run import RunFolder
from equireg.folders.run_facts import RunFacts, run_facts
from equireg.folders.signature import sign


def facts(config: TrainConfig, dataset: str = "brain", labelled: int = 5, unlabelled: int = 20) -> RunFacts:
    counts = {"labelled_cases": labelled, "unlabelled_cases": unlabelled, "masked_cases": 50}
    return run_facts("r", to_plain(config), dataset, **counts)


@pytest.mark.parametrize(
    "changes", [{"seed": 7}, {"repeat": 3}, {"devices": 2}, {"workers": 4}, {"device": "cpu"}, {"sup_cut": 0.1}]
)
def test_seed_repeat_and_machine_make_no_other_arm(changes: dict[str, Any]) -> None:
    """Nor does the way in which the same number of cases is asked for."""
    one, other = facts(TrainConfig()), facts(TrainConfig(**changes))
    assert (one.arm, one.series, one.options) == (other.arm, other.series, other.options)


@pytest.mark.parametrize(
    "other",
    [
        facts(TrainConfig(network=NetworkConfig(name="segresnet"))),
        facts(TrainConfig(max_steps=7)),
        facts(TrainConfig(), dataset="heart"),
    ],
)
def test_any_other_option_makes_another_arm_and_series(other: RunFacts) -> None:
    one = facts(TrainConfig())
    assert one.arm != other.arm
    assert one.series != other.series


@pytest.mark.parametrize("other", [facts(TrainConfig(), labelled=3), facts(TrainConfig(), unlabelled=0)])
def test_arms_of_one_series_differ_in_the_amount_of_data(other: RunFacts) -> None:
    one = facts(TrainConfig())
    assert one.arm != other.arm
    assert one.series == other.series


def test_options_have_dotted_names_and_plain_values() -> None:
    options = facts(TrainConfig(max_steps=7, patch_size=(16, 24))).options
    assert (options["max_steps"], options["patch_size"], options["optimizer.lr"]) == (7, [16, 24], 4e-3)
    assert not {"seed", "repeat", "device", "sup_cut", "unsup_cases"} & options.keys()


def test_facts_come_back_under_the_folders_present_name(tmp_path: Path) -> None:
    config = TrainConfig()
    (tmp_path / "one").mkdir()
    RunFolder(tmp_path / "one").sign(config, facts(config), tmp_path, finished=True)
    (tmp_path / "one").rename(tmp_path / "two")
    folder = RunFolder(tmp_path / "two")
    assert folder.facts() == replace(facts(config), name="two")
    assert folder.is_finished()
    copied = replace(folder.facts(), step=7, split="val").as_dict()
    assert RunFacts.from_dict(copied).step == 7
    assert RunFacts.from_dict({**copied, "of a later version": 1}).split == "val"


def test_a_run_of_an_earlier_version_has_the_same_facts(tmp_path: Path) -> None:
    counts: dict[str, Any] = {"labelled_cases": 5, "unlabelled_cases": 20, "masked_cases": 50}
    sign(tmp_path, "train", to_plain(TrainConfig()), seed=42, dataset="brain", repeat=0, **counts)
    assert RunFolder(tmp_path).facts() == replace(facts(TrainConfig()), name=tmp_path.name)


def test_scalars_come_back(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.read_metrics() == []
    rows = [{"step": 1.0, "train/total": 0.1}, {"step": 2.0, "train/total": 1 / 3, "val/dice": 0.5}]
    folder.write_metrics(rows)
    assert folder.read_metrics() == rows
    folder.metrics.write_text("step,lr\nx,1\n")
    with pytest.raises(EquiregError, match="is damaged"):
        folder.read_metrics()


def test_the_best_checkpoint_is_found_before_the_last(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with pytest.raises(EquiregError, match="holds no best or last"):
        folder.checkpoint()
    folder.checkpoints.mkdir()
    (folder.checkpoints / "last.ckpt").touch()
    assert folder.checkpoint().name == "last.ckpt"
    (folder.checkpoints / "best.ckpt").touch()
    assert folder.checkpoint().name == "best.ckpt"
    assert folder.checkpoint("last").name == "last.ckpt"


@pytest.mark.parametrize("name", [4, {"x": 1}])
def test_options_that_name_no_network_are_an_error_that_names_the_file(tmp_path: Path, name: object) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"method": {"name": "equireg"}, "network": {"name": name}}))
    with pytest.raises(EquiregError, match=r"config\.yaml: is damaged: --network\.name"):
        RunFolder(tmp_path).read_config()


def test_options_are_written_for_people(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert not folder.has_config()
    folder.write_config(TrainConfig(max_steps=7))
    assert folder.has_config()
    assert folder.read_config()["max_steps"] == 7
    disk.write_atomic(tmp_path / "config.yaml", "[")
    with pytest.raises(EquiregError, match="not valid YAML"):
        folder.read_config()


@pytest.mark.parametrize(
    "left", [("checkpoints/",), ("checkpoints/", "made_by.json"), ("checkpoints/", "splits_final.json")]
)
def test_what_a_killed_training_left_before_it_could_be_resumed_is_removed(
    left: tuple[str, ...], tmp_path: Path
) -> None:
    make(tmp_path, left)
    RunFolder(tmp_path).remove_false_start()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "kept",
    [
        ("made_by.json",),
        ("checkpoints/", "config.yaml"),
        ("checkpoints/", "notes.txt"),
        ("checkpoints/", "checkpoints/last.ckpt"),
        ("photos/",),
    ],
)
def test_anything_else_stays(kept: tuple[str, ...], tmp_path: Path) -> None:
    make(tmp_path, kept)
    before = sorted(tmp_path.rglob("*"))
    RunFolder(tmp_path).remove_false_start()
    assert sorted(tmp_path.rglob("*")) == before


def make(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        if name.endswith("/"):
            (folder / name).mkdir()
        elif name == "made_by.json":
            sign(folder, "train", {}, finished=False)
        else:
            (folder / name).write_text("x")


def test_the_method_of_a_run_that_nothing_registers_here_is_no_damage(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write_config(TrainConfig())
    content = run.read_config()
    content["method"]["name"] = "mine"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(EquiregError, match=r"config\.yaml: names the method 'mine', .* Set EQUIREG_PLUGINS to"):
        run.check_config()

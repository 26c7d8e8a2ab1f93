"""Options: their checks, YAML there and back, and errors that name the option."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equireg.config import (
    OptimizerConfig,
    PredictConfig,
    PrepareConfig,
    SelftrainOptions,
    SuggestConfig,
    SweepOptions,
    TrainConfig,
    TrainOptions,
    UNetConfig,
)
from equireg.config.describe import docs_of, example_of, options_in, words_of
from equireg.config.networks import ResEncConfig
from equireg.config.option_parser import OptionParser
from equireg.config.parsing import (
    add_options,
    from_plain,
    laid_over,
    nested,
    options_from,
    to_plain,
    to_yaml,
    with_config,
)
from equireg.config.yaml_files import read_yaml
from equireg.errors import EquiregError, UsageError


def train_config(**values: Any) -> TrainConfig:
    return from_plain(TrainConfig, values)


def test_yaml_there_and_back_gives_the_same_options(tmp_path: Path) -> None:
    config = train_config(
        **{"method": "equireg", "method.teacher": "self", "optimizer.clip_norm": None, "sup_cases": 3},
        patch_size=[16, 24],
    )
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(config))
    again = from_plain(TrainConfig, read_yaml(path))
    assert again == config
    assert again.patch_size == (16, 24)
    assert vars(again.method)["teacher"] == "self"
    assert again.optimizer.clip_norm is None


def test_options_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().seed = 1  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("values", "unknown", "near"),
    [
        ({"max_step": 1}, "max_step", "max_steps"),
        ({"network": {"feature": 4}}, "network.feature", "network.features"),
        ({"method": {"name": "equireg", "teachr": "ema"}}, "method.teachr", "method.teacher"),
        ({"views.strong.rotation": 3}, "views.strong.rotation", "views.strong.rotation_deg"),
    ],
)
def test_an_unknown_key_names_the_nearest(values: dict[str, Any], unknown: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        train_config(**values)
    message = str(caught.value)
    assert f"unknown option {unknown!r}" in message
    assert f"did you mean {near!r}?" in message


@pytest.mark.parametrize(
    ("values", "option"),
    [
        ({"batch_size": 0}, "--batch_size"),
        ({"batch_size": "two"}, "--batch_size"),
        ({"max_steps": 0}, "--max_steps"),
        ({"unsup_ratio": -1}, "--unsup_ratio"),
        ({"sup_cut": 1.5}, "--sup_cut"),
        ({"unsup_cut": -0.1}, "--unsup_cut"),
        ({"sup_cases": -1}, "--sup_cases"),
        ({"foreground": 2}, "--foreground"),
        ({"spatial_dims": 4}, "--spatial_dims"),
        ({"patch_size": [16, 16, 16]}, "--patch_size"),
        ({"patch_size": [4, 16]}, "--patch_size"),
        ({"early_stopping_steps": 0}, "--early_stopping_steps"),
        ({"device": "tpu"}, "--device"),
        ({"optimizer": {"lr": 0}}, "--optimizer.lr"),
        ({"optimizer": {"warmup": 1}}, "--optimizer.warmup"),
        ({"network": {"dropout": 1}}, "--network.dropout"),
        ({"network": {"stages": 1}}, "--network.stages"),
        ({"views.strong.scale": 9, "views.weak.scale": 2}, "--views.strong.scale is 9"),
        ({"views.intensity": {"gamma": 0.5}}, "--views.intensity.gamma"),
        ({"method": {"name": "equireg", "threshold": 1.1}}, "--method.threshold"),
        ({"method": {"name": "equireg", "targets": "softish"}}, "--method.targets"),
    ],
)
def test_a_value_that_does_not_fit_names_its_option(values: dict[str, Any], option: str) -> None:
    with pytest.raises(UsageError) as caught:
        train_config(**values)
    assert option in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "xpected" in str(caught.value)


@pytest.mark.parametrize(("cut", "count"), [("sup_cut", "sup_cases"), ("unsup_cut", "unsup_cases")])
def test_cut_and_count_together_are_refused(cut: str, count: str) -> None:
    given: dict[str, Any] = {cut: 0.5, count: 2}
    with pytest.raises(UsageError, match=rf"both --{cut} 0\.5 and --{count} 2 are given; give one"):
        TrainConfig(**given)
    del given[cut]
    assert getattr(TrainConfig(**given), count) == 2


def test_prepare_fractions_leave_room_for_training() -> None:
    with pytest.raises(UsageError, match="--val_fraction"):
        PrepareConfig(val_fraction=0.5, test_fraction=0.5)
    with pytest.raises(UsageError, match="--jobs"):
        PrepareConfig(jobs=-1)


@pytest.mark.parametrize("verb", [PrepareConfig, PredictConfig, SweepOptions, TrainOptions, SelftrainOptions])
def test_options_of_a_queue_need_the_queue(verb: Any) -> None:
    with pytest.raises(UsageError, match="--slurm is partition=gpu; expected --cluster slurm beside it"):
        verb(slurm=("partition=gpu",))
    assert verb(slurm=("partition=gpu",), cluster="slurm").far


def test_predict_options_are_checked() -> None:
    with pytest.raises(UsageError, match="--overlap"):
        PredictConfig(overlap=1.0)
    with pytest.raises(UsageError, match="--passes"):
        PredictConfig(passes=0)
    with pytest.raises(UsageError, match="--passes is 4; expected --test_time equivariance beside it"):
        PredictConfig(passes=4)
    assert PredictConfig(passes=4, test_time="equivariance").passes == 4


def test_max_features_are_no_fewer_than_features() -> None:
    with pytest.raises(UsageError, match=r"--network\.max_features is 8; expected features or more"):
        UNetConfig(features=16, max_features=8)
    with pytest.raises(UsageError, match=r"--optimizer\.clip_norm"):
        OptimizerConfig(clip_norm=0)


def test_dots_and_bare_names_become_nested_options() -> None:
    assert nested({"method": "equireg", "method.teacher": "self", "network.features": 4, "seed": 1}) == {
        "method": {"name": "equireg", "teacher": "self"},
        "network": {"features": 4},
        "seed": 1,
    }
    # Whatever the order, what a dot names joins the rest.
    assert nested({"method.teacher": "self", "method": "equireg"}) == {"method": {"name": "equireg", "teacher": "self"}}


def test_another_method_laid_over_has_none_of_the_options_of_the_first() -> None:
    base = {"method": {"name": "equireg", "teacher": "self"}, "network": {"name": "unet", "features": 4}, "seed": 1}
    assert laid_over(base, {"method": {"name": "supervised"}, "network": {"features": 8}}) == {
        "method": {"name": "supervised"},
        "network": {"name": "unet", "features": 8},
        "seed": 1,
    }
    assert base["method"] == {"name": "equireg", "teacher": "self"}


@pytest.mark.parametrize("written", [1000, 1000.0, "1e3", "1E+3", "1000.0", "1000."])
def test_a_whole_number_may_be_written_as_a_float(written: Any) -> None:
    """YAML reads 1e3 as text."""
    config = train_config(max_steps=written, batch_size=written, **{"network.max_features": written, "sup_cut": 1e-1})
    assert config == train_config(max_steps=1000, batch_size=1000, **{"network.max_features": 1000, "sup_cut": 0.1})
    assert [type(value) for value in (config.max_steps, config.batch_size, vars(config.network)["features"])] == [
        int
    ] * 3
    parser = OptionParser(add_help=False)
    add_options(parser, TrainOptions, {})
    for words in ([f"--max_steps={written}"], ["--max_steps", str(written)]):
        assert parser.read(words, defaults=False).max_steps == 1000
    assert with_config(TrainConfig, None, {"max_steps": written})["max_steps"] == 1000


@pytest.mark.parametrize("written", [1000.5, "1e-3", 2.0**53, "1e400", float("nan"), True, "1e3 ", "e3"])
def test_other_floats_are_no_whole_numbers(written: Any) -> None:
    with pytest.raises(UsageError, match=r"--max_steps is .*; expected a whole number"):
        train_config(max_steps=written)


def test_floats_and_texts_that_look_like_whole_numbers_stay_what_they_are() -> None:
    config = train_config(sup_cut=1.0, logger="1e3")
    assert (type(config.sup_cut), config.logger) == (float, "1e3")
    assert with_config(TrainConfig, None, {"sup_cut": 1.0, "logger": "1e3"}) == {"sup_cut": 1.0, "logger": "1e3"}


@pytest.mark.parametrize("config", [PrepareConfig, PredictConfig, TrainOptions, SelftrainOptions, ResEncConfig])
def test_the_example_of_an_option_is_of_its_kind(config: type) -> None:
    """An error names it: what is advised is read."""
    parser = OptionParser(add_help=False)
    add_options(parser, config, {})
    for option in options_in(config):
        example = example_of(option.type)
        if example and not option.name.startswith(("method.", "network.")):
            parser.read([f"--{option.name}={example}"], defaults=False)
    assert example_of(tuple[tuple[int, ...], ...] | None) == "[[1,1],[1,1]]"
    assert words_of(tuple[tuple[int, ...], ...]) == "a list of lists of whole numbers"


def test_a_precision_may_be_written_as_a_number() -> None:
    assert train_config(precision=32).precision == "32"
    assert from_plain(PredictConfig, {"precision": 16}).precision == "16"


def test_to_plain_holds_only_what_yaml_holds() -> None:
    assert to_plain({"a": (1, 2), "b": Path("x"), "c": OptimizerConfig()})["a"] == [1, 2]
    assert to_plain(Path("x")) == "x"
    assert to_plain(OptimizerConfig())["lr"] == OptimizerConfig().lr


def test_numbers_and_arrays_of_numpy_are_taken_as_plain_ones() -> None:
    values = {"seed": np.int64(3), "patch_size": np.array([32, 48]), "class_prior": np.bool_(False)}
    learning = {"optimizer": {"lr": np.float64(0.25)}, "method": np.array(["supervised"])[0]}
    plain = train_config(seed=3, patch_size=[32, 48], class_prior=False, method="supervised", **{"optimizer.lr": 0.25})
    assert train_config(**values, **learning) == plain
    made = options_from(TrainConfig, dataclasses.replace(plain, seed=np.int64(3)), {})  # pyright: ignore[reportArgumentType]
    assert made == plain
    assert type(made.seed) is int


@pytest.mark.parametrize("given", ["one", Path("one"), ("one",)])
def test_one_text_is_a_list_of_one(given: Any) -> None:
    assert from_plain(SuggestConfig, {"run": given}).run == ("one",)
    assert options_from(SuggestConfig, SuggestConfig(run=given), {}).run == ("one",)
    assert from_plain(SuggestConfig, {"run": "[one,two]"}).run == ("one", "two")


@pytest.mark.parametrize(
    ("content", "finding"),
    [("a: [1", "is not valid YAML"), ("- a\n- b\n", "holds a list; expected options")],
)
def test_a_broken_yaml_file_is_named(tmp_path: Path, content: str, finding: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(content)
    with pytest.raises(EquiregError) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert finding in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_yaml_file_is_named_and_an_empty_one_holds_nothing(tmp_path: Path) -> None:
    with pytest.raises(EquiregError, match=f"{tmp_path / 'no.yaml'}: no such file"):
        read_yaml(tmp_path / "no.yaml")
    (tmp_path / "empty.yaml").write_text("")
    assert read_yaml(tmp_path / "empty.yaml") == {}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], False),
        (["--probabilities"], True),
        (["--probabilities", "--passes", "2"], True),
        (["--probabilities", "true"], True),
        (["--probabilities", "false"], False),
        (["--probabilities=false"], False),
    ],
)
def test_a_switch_needs_no_value(arguments: list[str], expected: bool) -> None:
    parser = OptionParser()
    add_options(parser, PredictConfig, {})
    assert parser.read(arguments).probabilities is expected


def test_none_and_null_are_the_same_where_an_option_can_be_none() -> None:
    prepare = from_plain(PrepareConfig, {"spacing": None, "flips": None, "normalise": None})
    assert (prepare.spacing, prepare.flips, prepare.normalise) == ("none", "none", "none")
    train = train_config(**{"optimizer.clip_norm": "none", "sup_cut": "None", "patch_size": "none", "logger": None})
    assert (train.optimizer.clip_norm, train.sup_cut, train.patch_size, train.logger) == (None, None, None, "none")
    for values in ({"batch_size": "none"}, {"device": None}, {"seed": None}):
        with pytest.raises(UsageError, match="expected"):
            train_config(**values)


def test_none_and_null_are_the_same_on_the_command_line() -> None:
    parser = OptionParser()
    add_options(parser, TrainConfig, {})
    words = ["--sup_cut", "none", "--optimizer.clip_norm=none", "--logger", "null", "--tsa=null", "--unsup_cut=null"]
    given = parser.read(words, defaults=False)
    assert (given["sup_cut"], given["optimizer.clip_norm"], given["unsup_cut"]) == (None, None, None)
    assert (given["logger"], given["tsa"]) == ("none", "none")
    with pytest.raises(UsageError, match="--device is none; expected one of auto, cpu, cuda"):
        parser.read(["--device", "none"])


def test_selftrain_says_that_its_minutes_are_of_each_training() -> None:
    assert "of each training" in docs_of(SelftrainOptions)["max_minutes"]
    assert "`max_minutes` each" in docs_of(TrainOptions)["folds"]

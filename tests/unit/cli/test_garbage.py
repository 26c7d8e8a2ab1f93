"""Command lines and files of garbage: always one line, exit 2, and the file's name where the value came from it."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from equireg import folders
from equireg.cli.verbs import VERBS

Command = Callable[..., Any]

NAMES = (
    *("method", "method.name", "method.teacher", "method.name.x", "method.", ".", "", "network", "network.features"),
    *("optimizer", "optimizer.lr", "views", "views.strong", "views.strong.rotation_deg", "max_steps", "max-steps"),
    *("patch_size", "precision", "sup_cut", "out", "resume", "config.x", "seed", "device", "help.x", "pictures"),
)
VALUES = (
    *("", "3", "-1", "nan", "inf", "1e400", "null", "none", "true", "[]", "[1", "{}", "{a: 1}", "[[1]]", "equireg"),
    *("3.5", "9" * 400, "a" * 3000, "\x1b[31m", "\u202e", "a\nb", "=", "--", "!!int x", "&a *a", "*a", "%", "\udc80"),
)
TREES: tuple[Any, ...] = (None, 3, -1.5, True, "x", "", [], [1, "a"], {}, {"a": 1}, {"name": 3}, {"name": None}, [[]])


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / "p").mkdir()
    folders.sign(home / "p", "prepare", {})
    monkeypatch.chdir(home)
    for verb in ("pipeline.train.train", "preparation.prepare.prepare", "prediction.predict.predict"):
        monkeypatch.setattr(f"equireg.{verb}", lambda **_: None)


def test_garbage_on_the_command_line_is_one_line(equireg: Command, nothing_runs: None) -> None:
    rng = random.Random(0)
    codes = set()
    for _ in range(50):
        verb = rng.choice(("train", "prepare", "predict"))
        words = ["--out", "o", "p", *(["q"] if verb == "predict" else [])]
        for _ in range(rng.randint(1, 4)):
            name, value = rng.choice(NAMES), rng.choice(VALUES)
            words += rng.choice(([f"--{name}={value}"], [f"--{name}", value], [value], [f"--{name}"], [f"-{name}"]))
        outcome = equireg(verb, *words)
        codes.add(outcome.code)
        if outcome.code:
            assert outcome.error.isprintable(), words
            assert outcome.code == 2 or "no such f" in outcome.error or "prepare" in outcome.error, (
                words,
                outcome,
            )
    assert {0, 2} <= codes


def test_garbage_in_a_file_names_the_file(equireg: Command, nothing_runs: None, tmp_path: Path) -> None:
    rng = random.Random(1)
    path = tmp_path / "garbage.yaml"
    codes = []
    for _ in range(40):
        names = rng.sample(NAMES, rng.randint(1, 3))
        path.write_text(yaml.safe_dump({name: rng.choice((*TREES, *VALUES[:20])) for name in names}))
        outcome = equireg("train", "p", "--out", "o", "--method", "equireg", "-c", path)
        codes.append(outcome.code)
        if outcome.code:
            assert outcome.code == 2, path.read_text()
            assert str(path) in outcome.error, (path.read_text(), outcome.error)
    assert codes.count(2) > 13


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("method: 3\n", ["--method is 3; expected a name, or options"]),
        ("method: {name: equirg}\n", ["--method is equirg", "Did you mean equireg?"]),
        ("max_steps: many\n", ["--max_steps is many; expected a whole number, such as 8."]),
        ("max_steps: [1e3]\n", ["--max_steps is ['1e3']; expected a whole number, such as 8."]),
        ("max_steps: 1.5\n", ["--max_steps is 1.5; expected a whole number, such as 8."]),
        ("max_minutes: soon\n", ["--max_minutes is soon; expected a number, such as 0.5."]),
        ("patch_size: [64, 64.5]\n", ["--patch_size is [64, 64.5]; expected a list of whole numbers, such as [8,8]."]),
        ("method: equireg\nmethod.teacher: me\n", ["--method.teacher is me; expected one of self, ema"]),
        ("method.teacher: ema\nmethod: [1]\n", ["--method is [1]"]),
        ("views: 3\nviews.strong.scale: 2\n", ["--views is 3 and --views.strong.scale is given too"]),
        ("views.strong.scale: 2\nviews: 3\n", ["--views is 3, and options of --views are given too"]),
        ("max_steps: 0\n", ["--max_steps is 0; expected a count from 1"]),
        ("optimizer.lr: .inf\n", ["--optimizer.lr is inf"]),
        ("batchsize: 3\n", ["unknown option 'batchsize'; did you mean 'batch_size'?"]),
        ("network: {name: segresnet, max_features: 9}\n", ["unknown option 'network.max_features'", "--network unet"]),
    ],
)
def test_a_value_from_a_file_is_reported_with_the_file(
    equireg: Command, nothing_runs: None, tmp_path: Path, content: str, words: list[str]
) -> None:
    path = tmp_path / "options.yaml"
    path.write_text(content)
    outcome = equireg("train", "p", "--out", "o", "--config", path)
    assert outcome.code == 2
    assert outcome.error.startswith(f"error: {path}: ")
    assert [word for word in words if word not in outcome.error] == []


def test_a_value_from_the_command_line_is_reported_without_a_file(
    equireg: Command, nothing_runs: None, tmp_path: Path
) -> None:
    path = tmp_path / "options.yaml"
    path.write_text("max_steps: 7\n")
    outcome = equireg("train", "p", "--out", "o", "--max-steps", 0, "-c", path)
    assert (outcome.code, str(path) in outcome.error) == (2, False)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("--max_steps=1.5", "--max_steps is 1.5; expected a whole number, such as 8."),
        ("--max_steps=1e400", "--max_steps is 1e400; expected a whole number, such as 8."),
        ("--workers=true", "--workers is true; expected a whole number, such as 8."),
        ("--sup_cut=half", "--sup_cut is half; expected a number, such as 0.5."),
        ("--patch_size=64,64.5", "--patch_size is [64, 64.5]; expected a list of whole numbers, such as [8,8]."),
        (
            "--network.strides=2,2",
            "--network.strides is [2, 2]; expected a list of lists of whole numbers, such as [[1,1],[1,1]].",
        ),
        ("--views.strong=3", "--views.strong is 3; expected options as `name: value`."),
    ],
)
def test_an_optional_value_that_does_not_fit_is_one_plain_line(
    equireg: Command, nothing_runs: None, given: str, words: str
) -> None:
    outcome = equireg("train", "p", "--out", "o", given)
    assert (outcome.code, outcome.error) == (2, f"error: {words}")


@pytest.mark.parametrize("verb", list(VERBS))
def test_debug_shows_the_traceback_of_any_verb(equireg: Command, verb: str) -> None:
    outcome = equireg(verb, "--no_such_option", "--debug")
    assert outcome.code == 2
    assert "Traceback" in outcome.err
    assert outcome.err.splitlines()[-1].startswith("error: ")

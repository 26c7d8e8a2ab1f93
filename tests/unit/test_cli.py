"""The command line: exit codes, one-line errors, lightness, and how options reach the verbs."""

import logging
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import equireg as package
from equireg import folders, registry
from equireg.cli import VERBS

Command = Callable[..., Any]

HEAVY = ("torch", "monai", "lightning", "numpy", "pandas", "matplotlib", "nibabel", "jsonargparse")


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """Replace training by a note of its arguments; the prepared folder is `p`."""
    folders.sign(_made(tmp_path / "home" / "p"), "prepare", {})
    monkeypatch.chdir(tmp_path / "home")
    seen: dict[str, Any] = {}

    def fake(prepared: str, out: str, began: float, **options: Any) -> None:
        seen.update(prepared=prepared, out=out, began=began, options=options)

    monkeypatch.setattr("equireg.pipeline.train.train", fake)
    return seen


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def imported_by(code: str) -> str:
    script = f"import sys\n{code}\nprint(','.join(name for name in {HEAVY} if name in sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stderr.strip()


def test_help_and_import_stay_light() -> None:
    assert imported_by("from equireg.cli import main\nassert main(['--help']) == 0") == ""
    assert imported_by("import equireg\ndir(equireg)") == ""
    for words in ("'train', '--help'", "'train', '--method', 'bcp', '--help-all'", "'sweep', '--help'"):
        heavy = imported_by(f"from equireg.cli import main\nassert main([{words}]) == 0").split(",")
        assert {"torch", "monai", "lightning", "pandas"}.isdisjoint(heavy), words
    assert "numpy" in imported_by("import numpy")  # the check itself can fail


def test_the_public_names_are_pinned() -> None:
    verbs = {
        "adopt",
        "demo",
        "doctor",
        "ensemble",
        "evaluate",
        "export",
        "pack",
        "plan",
        "predict",
        "prepare",
        "report",
        "selftrain",
        "serve",
        "suggest",
        "sweep",
        "train",
        "view",
    }
    configs = {"SweepOptions", *(f"{verb.capitalize()}Config" for verb in verbs - {"selftrain", "sweep"})}
    expected = {"EquiregError", "__version__", "load", "open", "register", *verbs, *configs}
    assert set(package.__all__) == expected
    assert set(dir(package)) == expected
    assert set(VERBS) - {"completion", "schema"} == verbs
    for name in expected - {"__version__"}:
        assert callable(getattr(package, name))
    with pytest.raises(AttributeError, match="nothing"):
        getattr(package, "nothing")  # noqa: B009 - a plain attribute is what pyright refuses


def test_help_lists_every_verb(equireg: Command) -> None:
    for arguments in ((), ("--help",), ("-h",)):
        outcome = equireg(*arguments)
        assert outcome.code == 0
        assert [verb for verb in VERBS if re.search(rf"^  {verb} ", outcome.out, re.MULTILINE)] == list(VERBS)


@pytest.mark.parametrize(
    ("verb", "options"),
    [
        ("demo", ["--out", "--max_steps", "--labelled"]),
        ("prepare", ["raw", "--out", "--layout", "--spacing", "--val_fraction", "--split", "--jobs", "--config"]),
        ("train", ["--sup_cut", "--sup_cases", "--unsup_ratio", "--resume", "--network.features", "--method"]),
        ("predict", ["--split", "--probabilities", "--test_time"]),
        ("evaluate", ["--tolerance_mm", "--scans"]),
        ("report", ["sources", "--out"]),
        ("sweep", ["--dry_run", "--jobs"]),
    ],
)
def test_each_verb_explains_its_options(equireg: Command, verb: str, options: list[str]) -> None:
    outcome = equireg(verb, "--help-all")
    assert outcome.code == 0
    assert [option for option in options if option not in outcome.out.lower()] == []


def test_a_methods_own_options_show_in_help(equireg: Command) -> None:
    assert "--method.teacher" in equireg("train", "--method", "equireg", "--help-all").out
    assert "--method.teacher" not in equireg("train", "--help-all").out
    assert "--network.checkpointing" in equireg("train", "--network=tiramisu", "--help-all").out


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("method", ("train", "--help")),
        ("network", ("train", "--help-all")),
        ("logger", ("train", "--help-all")),
        ("layout", ("prepare", "--help")),
    ],
)
def test_help_lists_every_name_of_a_table(
    equireg: Command, monkeypatch: pytest.MonkeyPatch, kind: str, words: tuple[str, ...]
) -> None:
    monkeypatch.setitem(registry._registered[kind], "of_others", "never:imported")
    named = re.split(r"\n  -", equireg(*words).out.split(f"--{kind} NAME")[1])[0].split("(")[-1]
    assert set(registry.table(kind)) <= set(re.findall(r"[\w-]+", named.split(")")[0]))
    assert "of_others" in named


def test_help_says_whether_out_is_a_file(equireg: Command) -> None:
    for verb, kind in (("pack", "FILE"), ("view", "FILE"), ("train", "FOLDER")):
        assert equireg(verb, "--help").out.count(f"--out {kind}") == 2


def test_version(equireg: Command) -> None:
    assert equireg("--version").out == f"equireg {package.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("trian",), ["unknown verb 'trian'", "did you mean 'train'?"]),
        (("train", "p"), ["lacks --out;", "`equireg train --help`"]),
        (("train",), ["lacks PREPARED and --out;"]),
        (("train", "p", "q", "--out", "r"), ["one argument too many: 'q'"]),
        (("train", "p", "--out"), ["--out is given without a value"]),
        (("train", "p", "--out", "r", "--batchsize", "3"), ["unknown option 'batchsize'", "'batch_size'"]),
        (("train", "p", "--out", "r", "--batch_size", "two"), ["--batch_size", "whole number", "two"]),
        (("train", "p", "--out", "r", "--method", "equirg"), ["--method is equirg", "Did you mean equireg?"]),
        (("train", "p", "--out", "r", "--method", "supervised", "--method.teacher", "ema"), ["--method equireg"]),
        (("train", "p", "--out", "r", "--device", "gpu"), ["--device", "cuda"]),
        (("prepare", "p", "--out", "r", "--normalise", "z"), ["--normalise", "zscore"]),
        (("predict", "r", "s", "--out", "q", "--split", "tset"), ["--split", "test"]),
        (("evaluate", "q", "r", "--out", "e", "--tolerance_mm", "x"), ["tolerance_mm", "x"]),
        (("report", "--out", "w"), ["lacks SOURCES;"]),
        (("demo", "--out", "d", "--case", "3"), ["unknown option 'case'", "'cases'"]),
        (("prepare", "p", "--out", "r", "--spatial_dims", "3"), ["it is an option of `equireg train`."]),
        (("train", "p", "--out", "r", "--rounds", "3"), ["it is an option of `equireg selftrain`."]),
        (("predict", "r", "--scans", "s", "--out", "q"), ["'scans'; give it without its name"]),
    ],
)
def test_a_wrong_command_line_exits_with_2(equireg: Command, arguments: tuple[str, ...], words: list[str]) -> None:
    outcome = equireg(*arguments)
    assert outcome.code == 2
    assert [word for word in words if word not in outcome.error] == []
    assert outcome.out == ""


STOPPED = "interrupted; what was finished is kept. Give the same command again to go on."


def test_a_stopped_training_says_what_is_kept_and_how_it_goes_on(
    equireg: Command, captured: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def stopped(prepared: str, out: str, **options: Any) -> None:
        raise KeyboardInterrupt(
            "r has no checkpoint yet, so it would start again" if (Path(out) / "config.yaml").exists() else ""
        )

    monkeypatch.setattr("equireg.pipeline.train.train", stopped)
    assert equireg("train", "p", "--out", "r").error == f"error: {STOPPED}"
    (tmp_path / "home" / "r").mkdir()  # also an empty folder holds no run
    assert equireg("train", "p", "--out", "r").error == f"error: {STOPPED}"
    (tmp_path / "home" / "r" / "config.yaml").touch()
    assert equireg("train", "p", "--out", "r").error == (
        "error: interrupted; what was finished is kept: r has no checkpoint yet, so it would start again. Give "
        "the same command with --resume again to go on."
    )


def test_a_command_that_is_stopped_before_its_verb_begins_keeps_nothing(
    equireg: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("equireg.cli._dispatch", stopped)
    error = equireg("train", "p", "--out", "r").error
    assert error == "error: interrupted; nothing was begun. Give the same command again."


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (package.EquiregError("a:\n  b"), 1, "error: a: b"),
        (
            KeyboardInterrupt(),
            130,
            "error: interrupted; what was finished is kept. Give the same command again to go on.",
        ),
        (ZeroDivisionError("no"), 1, "error: ZeroDivisionError: no (unexpected; --debug shows where)"),
        (
            OSError(24, "Too many open files", "/a.npy"),
            1,
            "error: /a.npy: this process has too many files open. Raise the limit (`ulimit -n 4096`) or lower --jobs.",
        ),
    ],
)
def test_whatever_fails_is_one_line(
    equireg: Command, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, line: str
) -> None:
    def fail(shell: str) -> None:
        raise error

    monkeypatch.setattr("equireg.cli.completion.completion", fail)
    outcome = equireg("completion", "bash")
    assert (outcome.code, outcome.err) == (code, line + "\n")
    debugged = equireg("completion", "bash", "--debug")
    assert debugged.code == code
    assert "Traceback" in debugged.err
    assert debugged.err.endswith(line + "\n")


def test_the_command_line_wins_over_the_file(equireg: Command, captured: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "options.yaml"
    file.write_text("method: equireg\nmethod.teacher: self\nmax_steps: 7\nseed: 5\n")
    outcome = equireg("train", "p", "--out", "r", "--max_steps", 9, "--config", file)
    assert outcome.code == 0, outcome.err
    options = captured["options"]
    assert (options["max_steps"], options["seed"]) == (9, 5)
    assert options["method"]["name"] == "equireg"
    assert options["method"]["teacher"] == "self"


def test_a_method_on_the_command_line_wins(equireg: Command, captured: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "options.yaml"
    file.write_text("method: supervised\n")
    for given in (["--method", "equireg"], ["--method=equireg"], ["--method.name", "equireg"]):
        outcome = equireg("train", "p", "--out", "r", f"--config={file}", *given, "--method.cutmix", 0.25)
        assert outcome.code == 0, outcome.err
        assert captured["options"]["method"]["name"] == "equireg"
        assert captured["options"]["method"]["cutmix"] == 0.25


def test_resume_hands_over_only_what_was_given(equireg: Command, captured: dict[str, Any]) -> None:
    assert equireg("train", "p", "--out", "r", "--resume", "--max_steps", 9, "--network.features=4").code == 0
    assert captured["options"] == {"resume": True, "max_steps": 9, "network": {"features": 4}}
    assert captured["began"] <= time.monotonic(), "a budget of time counts from the start of the command"


def test_resume_takes_options_of_the_runs_own_method(
    equireg: Command, captured: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("method: {name: equireg}\nnetwork: {name: tiramisu}\n")
    words = ("train", "p", "--out", tmp_path, "--resume", "--method.teacher", "ema", "--network.checkpointing")
    outcome = equireg(*words)
    assert outcome.code == 0, outcome.err
    assert captured["options"] == {
        "resume": True,
        "method": {"teacher": "ema"},
        "network": {"checkpointing": True},
    }
    assert "method.alpha" in equireg(*words, "--method.alpha", 0.3).error


def test_letters_hyphens_and_lists(equireg: Command, captured: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("seed: 5\n")
    outcome = equireg("train", "p", "-o", "r", "-c", file, "--max-steps=9", "--patch-size", "16,32", "--method=bcp")
    assert outcome.code == 0, outcome.err
    assert captured["out"] == "r"
    assert captured["options"] == {"seed": 5, "max_steps": 9, "patch_size": [16, 32], "method": {"name": "bcp"}}


@pytest.mark.parametrize("verb", [name for name, verb in VERBS.items() if verb.common])
def test_the_short_help_is_short_and_names_what_there_is(equireg: Command, verb: str) -> None:
    short, long = equireg(verb, "--help").out, equireg(verb, "--help-all").out
    assert len(re.findall(r"^  +(?:-\w, )?--", short, re.MULTILINE)) <= 10 + 6
    assert [option for option in VERBS[verb].common if option.removesuffix(".name") not in short] == []
    assert len(short) <= len(long)


def test_output_that_cannot_be_written_is_told(
    equireg: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(path: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("equireg.exporting.pack.pack", lambda run, out, **options: out)
    monkeypatch.setattr("equireg.cli.showing.show_path", fail)
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # put back at the end
    outcome = equireg("pack", tmp_path, "--out", "model.zip")
    sys.stdout.close()
    line = "error: standard output cannot be written (No space left on device); the result lies in model.zip."
    assert (outcome.code, outcome.error) == (1, line)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_the_package_is_the_command_and_minds_what_it_can_write_to() -> None:
    def run(words: str) -> subprocess.CompletedProcess[str]:
        command = ["sh", "-c", f"exec '{sys.executable}' -m equireg {words}"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert run("--version").stdout == f"equireg {package.__version__}\n"
    full = run("--version > /dev/full")
    assert (full.returncode, full.stderr.count("\n")) == (1, 1)
    assert full.stderr.startswith("error: standard output cannot be written (")
    closed = run("nonsense 2>&-")
    assert (closed.returncode, closed.stdout) == (2, "")


def test_names_of_others_cannot_steer_the_terminal(equireg: Command) -> None:
    outcome = equireg("predict", "\x1b[2J\u202erun", "s", "--out", "q")
    assert "\\x1b[2J\\u202erun" in outcome.error
    log = logging.getLogger("equireg")
    equireg("--version")
    record = log.makeRecord("equireg", logging.WARNING, "", 0, "case %s", ("a\nerror: b\x1b",), None)
    formatter = log.handlers[0].formatter
    assert formatter is not None
    assert formatter.format(record) == "warning: case a\n  error: b\\x1b"


def test_a_wrong_folder_is_refused_before_anything_heavy_is_imported(tmp_path: Path) -> None:
    code = f"from equireg.cli import main\nassert main(['train', {str(tmp_path)!r}, '--out', 'r']) == 1"
    assert not {"torch", "monai", "lightning"} & set(imported_by(code).split(","))

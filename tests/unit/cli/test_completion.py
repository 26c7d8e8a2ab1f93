"""Completion, asked of the shells themselves where they are installed."""

import shutil
import subprocess
from pathlib import Path

import pytest

from equireg.cli.completion import completion
from equireg.cli.verbs import VERBS, Verb

CASES = [
    ("equireg tra", ["train"]),
    ("equireg train --max_s", ["--max_steps"]),
    ("equireg train --method.teache", ["--method.teacher"]),
    ("equireg train --network.check", ["--network.checkpointing"]),
    ("equireg train --method pse", ["pseudo_label"]),
    ("equireg predict run scans --split te", ["test"]),
    ("equireg train --network fc-densenet1", ["fc-densenet103"]),
    ("equireg prepare raw --layout tot", ["totalsegmentator"]),
    ("equireg completion z", ["zsh"]),
    ("equireg train p", []),
]


def asked(shell: str, *arguments: str) -> list[str]:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([shell, *arguments], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [line.split("\t")[0] for line in done.stdout.splitlines() if line]


@pytest.fixture
def script(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / request.param
    path.write_text(completion(request.param))
    return path


@pytest.mark.parametrize("script", ["bash"], indirect=True)
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        *CASES,
        ("equireg train --method = pse", ["pseudo_label"]),
        ("equireg train --method=pse", ["--method=pseudo_label"]),
    ],
)
def test_bash_completes(script: Path, line: str, expected: list[str]) -> None:
    words = line.split(" ")
    asking = f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _equireg"
    code = f"source {script}; {asking}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    assert asked("bash", "--norc", "-c", code) == expected


@pytest.mark.parametrize("script", ["bash", "zsh"], indirect=True)
def test_a_script_is_of_its_shells_grammar(script: Path) -> None:
    assert asked(script.name, "-n", str(script)) == []


@pytest.mark.parametrize("script", ["fish"], indirect=True)
@pytest.mark.parametrize(("line", "expected"), [case for case in CASES if case[1]])
def test_fish_completes(script: Path, line: str, expected: list[str]) -> None:
    assert asked("fish", "--no-config", "-c", f"source {script}; complete -C '{line}'") == expected


def _has_out(verb: Verb) -> bool:
    options = verb.options()
    return verb.out is not None or (options is not None and hasattr(options, "out"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_verb_and_its_out_are_there(shell: str) -> None:
    text = completion(shell)
    assert [verb for verb in VERBS if verb not in text] == []
    assert text.count("--out" if shell != "fish" else "-l out") == sum(_has_out(verb) for verb in VERBS.values())

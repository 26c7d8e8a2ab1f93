from pathlib import Path

import pytest

from equireg.cli.reading import read
from equireg.cli.verbs import VERBS
from equireg.errors import UsageError
from prepared_sets import record, write_set


@pytest.mark.parametrize(
    "content",
    [
        "method: {name: no_such_method}\n",
        "method: {name: no_such_method}\nnetwork: {}\n",  # whose network is then looked for
    ],
)
def test_an_unknown_name_in_a_file_names_the_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "options.yaml"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"options\.yaml: --method is no_such_method"):
        read("train", VERBS["train"], ["prepared", "--out", "out", "--config", str(path)])


@pytest.mark.parametrize("content", [f"{'x' * 5000}: 3\n", f"max_steps: {'x' * 5000}\n", f"views: {{{'[' * 40}: 3}}\n"])
def test_a_file_of_garbage_is_not_shown_whole(tmp_path: Path, content: str) -> None:
    path = tmp_path / "options.yaml"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"options\.yaml") as caught:
        read("train", VERBS["train"], ["prepared", "--out", "out", "--config", str(path)])
    assert len(str(caught.value)) < 1000 + len(str(path))


@pytest.mark.parametrize("key", ["'[0, 0]'", "''"])
def test_a_key_that_is_no_name_names_the_file(tmp_path: Path, key: str) -> None:
    prepared = write_set(tmp_path / "set", [record("a"), record("b", "val")])
    path = tmp_path / "plan.yaml"
    path.write_text(f"method: {{teacher: ema}}\n{key}: 3\n")
    with pytest.raises(UsageError, match=r"plan\.yaml: "):
        read("train", VERBS["train"], [str(prepared), "--out", "out", "--config", str(path)])


@pytest.mark.parametrize("words", [["--out=~/out"], ["--out", "~/out"], ["-o~/out"]])
def test_a_tilde_that_the_shell_leaves_is_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "options.yaml").write_text("init: ~/run\nmax_steps: 3\n")
    found = read("train", VERBS["train"], ["./~/set", *words, "--config=~/options.yaml", "--logger=~csv"])
    assert (found["prepared"], found["out"]) == ("./~/set", f"{tmp_path}/out")
    assert (found["init"], found["logger"], found["max_steps"]) == (f"{tmp_path}/run", "~csv", 3)

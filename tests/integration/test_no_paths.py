"""What verbs write holds neither an absolute path nor the user's name, unless paths are to be recorded."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

from equireg import folders
from equireg.folders.prepared.writer import write_array
from equireg.phantom import PhantomConfig, write_dataset
from planted_names import found_in

Command = Callable[..., Any]
USER = "zaphodbeeblebrox"
HERE = ("--device", "cpu", "--precision", "32")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the home of a user whose name nobody else has, with a raw folder in it and a damaged scan among them."""
    home = tmp_path / "homes" / USER
    home.mkdir(parents=True)
    monkeypatch.setenv("MPLCONFIGDIR", matplotlib.get_configdir())  # its fonts are not looked for again
    monkeypatch.setenv("HOME", str(home))
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, USER)
    config = PhantomConfig(cases=6, shape=(32, 32, 16), spacing_mm=(6.0, 6.0, 8.0), masked=5)
    raw = write_dataset(home / "data" / "raw", config)
    scan = next(iter(sorted(raw.rglob("*_0003_1_t1.nii.gz"))))
    scan.write_bytes(scan.read_bytes()[:-40])
    return home


def line(equireg: Command, raw: Path, work: Path, tiny: tuple[str, ...]) -> None:
    """Go from the raw folder to the page and the viewer."""

    def run(*words: Any) -> None:
        outcome = equireg(*words)
        assert outcome.code == 0, outcome.err

    (work / "split.json").parent.mkdir(parents=True, exist_ok=True)
    names = [f"Phantom_000{number}_1" for number in (1, 2, 4, 5, 6)]
    (work / "split.json").write_text(json.dumps({"train": names[:3], "val": names[3:4], "test": names[4:]}))
    prepared, trained, predicted = work / "prepared", work / "run", work / "predictions"
    run("prepare", raw, "--out", prepared, "--jobs", 1, "--split", work / "split.json")
    run("train", prepared, "--out", trained, *tiny, "--logger", "tensorboard,csv", "--pictures_every", 2)
    run("predict", trained, prepared, "--out", predicted, "--split", "val", "--test_time", "none", *HERE)
    run("evaluate", predicted, prepared, "--out", work / "evaluation")
    run("report", trained, work / "evaluation", prepared, "--out", work / "report")
    run("view", predicted, "--case", "Phantom_0005_1", "--out", work / "view.html")


def test_nothing_that_travels_holds_a_path_or_the_user(
    equireg: Command, home: Path, tmp_path: Path, tiny: tuple[str, ...]
) -> None:
    work = home / "work"
    line(equireg, home / "data" / "raw", work, tiny)
    (work / "split.json").unlink()
    assert found_in(work, (USER, str(tmp_path))) == []
    refused = json.loads((work / "prepared" / "manifest.json").read_text())["refused"]
    assert refused[0]["reason"].startswith("raw/")
    # The way from one folder to the other is kept, so that pictures and viewer find the scans.
    assert folders.source_of(work / "prepared", folders.read_content(work / "prepared")) == home / "data" / "raw"
    assert '"windows": {"scan"' in (work / "view.html").read_text()


def test_paths_are_recorded_where_they_are_asked_for(equireg: Command, home: Path, tmp_path: Path) -> None:
    raw, prepared = home / "data" / "raw", tmp_path / "elsewhere" / "prepared"
    assert equireg("prepare", raw, "--out", prepared, "--jobs", 1, "--record_paths", "true").code == 0
    assert found_in(prepared, (USER,)) == [f"made_by.json: {USER}"]
    assert folders.source_of(prepared, folders.read_content(prepared)) == raw


def test_the_search_sees_what_is_packed(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", words=np.array([USER]).astype("S"))
    (tmp_path / "b.gz").write_bytes(gzip.compress(USER.encode() * 9))
    (tmp_path / USER).touch()
    write_array(tmp_path / "c.b2nd", np.frombuffer(USER.encode() * 9, np.uint8).reshape(1, 1, 1, -1).copy())
    assert [place.split(":")[0] for place in found_in(tmp_path, (USER,))] == ["a.npz", "b.gz", "c.b2nd", USER]

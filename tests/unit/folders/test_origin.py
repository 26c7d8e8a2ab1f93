"""Where a folder came from: found again where it may be told, and no name of a person where it may not."""

import os
from pathlib import Path

import pytest

from equireg import folders
from equireg.folders import origin

USER = "zaphodbeeblebrox"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "homes" / USER
    (home / "data" / "raw").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, USER)
    return home


def signed(folder: Path, source: Path | str | None, **config: object) -> dict[str, object]:
    folder.mkdir(parents=True, exist_ok=True)
    folders.sign(folder, "predict", config, source=source)
    return folders.read_content(folder)


def test_a_source_in_the_same_home_is_found_again_also_after_both_moved(home: Path, tmp_path: Path) -> None:
    out, raw = home / "work" / "out", home / "data" / "raw"
    signature = signed(out, raw)
    assert (signature["source"], signature["source_path"]) == ("raw", "../../data/raw")
    assert folders.source_of(out, signature) == raw
    home.rename(tmp_path / "moved")
    assert folders.source_of(tmp_path / "moved/work/out", signature) == tmp_path / "moved/data/raw"


def test_a_source_that_is_gone_is_none(home: Path) -> None:
    signature = signed(home / "out", home / "data" / "raw")
    (home / "data" / "raw").rmdir()
    assert folders.source_of(home / "out", signature) is None
    assert folders.source_of(home / "out", signed(home / "out", None)) is None


@pytest.mark.parametrize("out", ["out", "homes/out", "homes/other/out"])
def test_the_way_into_a_home_is_not_told(home: Path, tmp_path: Path, out: str) -> None:
    signature = signed(tmp_path / out, home / "data" / "raw")
    assert (signature["source"], signature["source_path"]) == ("raw", None)
    assert folders.source_of(tmp_path / out, signature) is None


def test_paths_are_kept_where_they_are_asked_for(home: Path, tmp_path: Path) -> None:
    raw = home / "data" / "raw"
    signature = signed(tmp_path / "out", raw, record_paths=True, split=str(raw / "split.json"))
    assert signature["source_path"] == str(raw)
    assert signature["config"] == {"record_paths": True, "split": str(raw / "split.json")}
    assert folders.source_of(tmp_path / "out", signature) == raw


def test_signatures_of_earlier_versions_lead_to_their_source(home: Path) -> None:
    raw = home / "data" / "raw"
    assert folders.source_of(home, {"source": str(raw)}) == raw
    assert folders.source_of(home, {"source": "raw"}) is None


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="links")
def test_a_link_to_the_folder_leads_there_too(home: Path, tmp_path: Path) -> None:
    signature = signed(home / "work" / "out", home / "data" / "raw")
    (tmp_path / "link").symlink_to(home / "work" / "out")
    assert folders.source_of(tmp_path / "link", signature) == home / "data" / "raw"


def test_a_folder_with_the_users_name_is_data(home: Path) -> None:
    assert origin.name_of(home) == "data"
    assert origin.name_of(home / "data" / "raw") == "raw"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("/data/site/split.json", "split.json"),
        ("~/split.json", "split.json"),
        ("C:\\scans\\split.json", "split.json"),
        ("../other/split.json", "split.json"),
        (f"shared/{USER}/split.json", "split.json"),
        ("/data/raw/", "raw"),
        ("splits/split.json", "splits/split.json"),
        (r"(?P<patient>\d+)_", r"(?P<patient>\d+)_"),
        ("ce+dice", "ce+dice"),
        ({"a": ["/x/y", 3]}, {"a": ["y", 3]}),
    ],
)
def test_options_keep_names_alone(value: object, shown: object) -> None:
    assert origin.names_only(value) == shown


def test_sentences_name_files_from_their_root(home: Path) -> None:
    raw = home / "data" / "raw"
    assert origin.in_text(f"{raw}/images/a.nii: is cut short", [raw]) == "raw/images/a.nii: is cut short"
    assert origin.in_text(f"copy {home}/x/b.nii again") == "copy b.nii again"
    assert origin.in_text("see /mnt/share/other/c.nii, or (/tmp/d.nii)") == "see c.nii, or (d.nii)"
    assert origin.in_text("2.21 steps/s; val/dice 3 / 4") == "2.21 steps/s; val/dice 3 / 4"


def test_a_folder_inside_its_source_leads_there(home: Path) -> None:
    raw = home / "data" / "raw"
    signature = signed(raw / "out", raw)
    assert signature["source_path"] == ".."
    assert folders.source_of(raw / "out", signature) == raw

"""Folders are made completely or not at all, and each says which verb made it."""

import errno
import json
import os
from pathlib import Path

import pytest

from equireg import disk, folders
from equireg.errors import EquiregError


def test_existing_folder_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(EquiregError, match=rf"{tmp_path}/scans: no such folder; expected scans\."):
        disk.existing_folder(tmp_path / "scans", "scans")


def test_existing_folder_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "scans").write_text("")
    with pytest.raises(EquiregError, match="is a file"):
        disk.existing_folder(tmp_path / "scans", "scans")


def test_refuse_existing_keeps_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    for path in (tmp_path, tmp_path / "note.txt"):
        with pytest.raises(EquiregError, match=rf"{path}: the output folder exists already\. Move it\."):
            disk.refuse_existing(path, "Move it.")
    assert (tmp_path / "note.txt").read_text() == "mine"


def test_an_empty_folder_counts_as_nothing(tmp_path: Path) -> None:
    assert disk.refuse_existing(tmp_path) == tmp_path
    assert disk.refuse_existing(tmp_path / "new") == tmp_path / "new"


def test_staged_folder_appears_when_the_block_ends(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with disk.staged_folder(out) as staging:
        (staging / "a").write_text("1")
        assert not out.exists()
    assert (out / "a").read_text() == "1"
    assert list(out.parent.iterdir()) == [out]


def test_staged_folder_fills_what_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "there" / "empty").mkdir(parents=True)
    for name in ("empty", "missing"):
        (tmp_path / name).symlink_to(tmp_path / "there" / name)
        with disk.staged_folder(tmp_path / name) as staging:
            (staging / "a").write_text("1")
        assert (tmp_path / "there" / name / "a").read_text() == "1"
        assert (tmp_path / name).is_symlink()
    assert len(list((tmp_path / "there").iterdir())) == 2


def test_staged_folder_leaves_nothing_after_a_failure(tmp_path: Path) -> None:
    def fail() -> None:
        with disk.staged_folder(tmp_path / "out") as staging:
            (staging / "a").write_text("1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_write_atomic_keeps_the_old_content_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.json"
    disk.write_atomic(path, "old")

    def half(self: Path, content: bytes) -> None:
        with self.open("wb") as file:
            file.write(content[:1])
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(disk.DiskError, match="the disk is full"):
        disk.write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "content",
    [
        b'{"a": ',
        b"\xff\xfe\x00",
        b"[" * 200_000,
        b'{"a": ' * 200_000,
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b"9" * 10_000,
        b'{"a": 1, "b": {"c": 1, "c": 2}}',
    ],
    ids=["cut", "not UTF-8", "nested lists", "nested objects", "NaN", "infinite", "too large", "too long", "twice"],
)
def test_read_json_names_a_broken_file_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(EquiregError, match=rf"^{path}: is not valid JSON \(.*\)\. Run prepare again\.$") as caught:
        disk.read_json(path, "Run prepare again.")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_key_that_stands_twice_with_the_same_value_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "file.json").write_text('{"a": [1], "b": 2, "a": [1]}')
    assert disk.read_json(tmp_path / "file.json") == {"a": [1], "b": 2}


def test_read_json_says_that_a_file_is_missing_or_closed_to_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.json"
    with pytest.raises(EquiregError, match=f"{path}: no such file"):
        disk.read_json(path)

    def closed(self: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", closed)
    with pytest.raises(EquiregError, match="reading is not permitted"):
        disk.read_json(path)


def test_write_json_refuses_what_read_json_would(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        disk.write_json(tmp_path / "file.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_staged_folder_is_for_one_process(tmp_path: Path) -> None:
    with disk.staged_folder(tmp_path / "out"):
        assert (tmp_path / ".out.lock").read_text().splitlines()[0] == str(os.getpid())


def test_a_signature_says_verb_config_seed_versions_and_source(tmp_path: Path) -> None:
    folders.sign(tmp_path, "train", {"a": 1}, seed=3, source="from", dataset="d")
    signature = folders.read_signature(tmp_path, "train")
    assert signature["verb"] == "train"
    assert signature["config"] == {"a": 1}
    assert signature["seed"] == 3
    assert signature["source"] == "from"
    assert signature["dataset"] == "d"
    assert {"equireg", "python", "torch", "numpy"} <= set(signature["versions"])
    assert "git_commit" in signature
    assert folders.made_by(tmp_path) == "train"


def test_read_signature_refuses_another_verb(tmp_path: Path) -> None:
    folders.sign(tmp_path, "prepare", {})
    with pytest.raises(EquiregError, match="was made by `equireg prepare`; expected the output of `equireg train`"):
        folders.read_signature(tmp_path, "train")


def test_read_signature_refuses_an_unsigned_folder(tmp_path: Path) -> None:
    assert folders.made_by(tmp_path) is None
    with pytest.raises(EquiregError, match=r"has no made_by\.json"):
        folders.read_signature(tmp_path, "train")


def test_read_signature_refuses_another_format(tmp_path: Path) -> None:
    folders.sign(tmp_path, "train", {})
    path = tmp_path / folders.SIGNATURE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 99}))
    with pytest.raises(EquiregError, match=r"has format version 99; this equireg .* reads version 1"):
        folders.read_signature(tmp_path, "train")

"""Raw files that change under an adopted mask."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from equireg.layouts import RawCase
from equireg.preparation.raw_states import (
    are_of,
    changed_scans,
    changes_since,
    channel_states,
    prepared_scans,
    raw_scans,
    tell_changed,
)


def write(path: Path, seed: int, size: int) -> Path:
    path.write_bytes(np.random.default_rng(seed).bytes(size))
    return path


def test_a_change_under_an_adopted_mask_is_told_until_another_is_adopted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scans = {name: write(tmp_path / f"{name}.nii.gz", 0, 400_000) for name in "ab"}
    masks: dict[str, Path | None] = {"a": None, "b": write(tmp_path / "mask.nii.gz", 0, 30)}

    def told(**adopted: str) -> list[str]:
        caplog.clear()
        tell_changed(tmp_path, [RawCase(name, (scans[name],), masks[name], name, False) for name in "ab"], adopted)
        return [line.split(": ")[1].split(". ")[0] for line in caplog.messages]

    assert told() == []
    write(scans["b"], 1, 400_000)
    assert told() == []  # no adopted mask lies over it
    assert told(a="1", b="1") == []
    scans["a"].touch()
    assert told(a="1", b="1") == []
    masks["a"] = write(tmp_path / "new.nii.gz", 1, 30)
    write(scans["b"], 2, 400_000)
    assert told(a="1", b="1") == told(a="1", b="1") == ["a (mask), b (scan)"]
    assert told(a="1", b="2") == ["a (mask)"]
    assert told(b="2") == []
    (tmp_path / "raw.json").write_text("{")
    assert told(a="1", b="2") == []
    scans["a"].unlink()
    assert told(a="1", b="2") == []


def test_an_adopted_mask_counts_for_the_scan_that_was_prepared_before_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    case = RawCase("a", (write(tmp_path / "a.nii.gz", 0, 30),), None, "a", False)

    def told(*cases: RawCase, mask: str) -> str:
        caplog.clear()
        tell_changed(tmp_path, cases, {"a": mask})
        return caplog.text

    assert told(case, mask="1") == ""
    write(case.images[0], 1, 30)
    assert "a (scan)" in told(case, mask="2")  # the second mask came before this scan was prepared
    assert "a (scan)" in told(case, mask="2")
    assert told(case, mask="3") == ""
    assert "no scan of their name" in told(mask="3")
    write(case.images[0], 2, 30)
    assert "a (scan)" in told(case, mask="3")
    assert "no scan of their name" in told(mask="4")
    assert told(case, mask="4") == ""


def test_an_adopted_mask_without_its_scan_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scans = {name: write(tmp_path / f"{name}.nii.gz", seed, 30) for seed, name in enumerate("abc")}
    cases = {name: RawCase(name, (path,), None, name, False) for name, path in scans.items()}
    adopted = {"a": "1", "b": "1"}
    tell_changed(tmp_path, [cases["a"], cases["b"]], adopted)
    assert caplog.text == ""
    moved = RawCase("new", (scans["a"],), None, "new", False)
    for _ in range(2):
        caplog.clear()
        tell_changed(tmp_path, [moved, cases["c"]], adopted)
        assert "count for no case: a (its scan is new now), b. Give" in caplog.text
    caplog.clear()
    tell_changed(tmp_path, cases.values(), adopted)
    assert caplog.text == ""


def test_a_folder_is_of_the_raw_folder_that_has_most_of_its_scans(tmp_path: Path) -> None:
    scans = {name: write(tmp_path / f"{name}.nii.gz", seed, 30) for seed, name in enumerate("abcd")}
    cases = [RawCase(name, (path,), None, name, False) for name, path in scans.items()]
    assert not are_of(tmp_path, cases)
    tell_changed(tmp_path, cases[:3], {})
    assert are_of(tmp_path, cases)
    write(scans["a"], 9, 30)
    assert are_of(tmp_path, cases)
    scans["b"].unlink()
    assert not are_of(tmp_path, cases)


def test_the_channels_of_a_scan_may_come_in_another_order(tmp_path: Path) -> None:
    scans = tuple(write(tmp_path / f"a_{channel}.nii.gz", channel, 30) for channel in range(3))
    case = RawCase("a", scans, None, "a", False)
    tell_changed(tmp_path, [case], {})
    turned = replace(case, images=scans[::-1])
    assert raw_scans([turned]) == prepared_scans(tmp_path)
    assert channel_states(turned) != channel_states(case)
    assert changes_since(tmp_path, [turned]) == []


def test_a_scan_that_was_replaced_is_known_until_it_is_prepared_again(tmp_path: Path) -> None:
    scans = {name: write(tmp_path / f"{name}.nii.gz", 0, 400_000) for name in "ab"}
    cases = [RawCase(name, (path,), None, name, False) for name, path in scans.items()]
    assert changed_scans(tmp_path, cases) == []  # nothing was kept
    tell_changed(tmp_path, cases, {})
    tell_changed(tmp_path, cases, {"a": "1"})
    scans["b"].touch()
    assert changed_scans(tmp_path, cases) == []
    write(scans["a"], 1, 400_000)
    assert changed_scans(tmp_path, cases) == ["a"]
    tell_changed(tmp_path, cases, {"a": "1"})  # the adopted mask is of the scan before, the arrays are not
    assert changed_scans(tmp_path, cases) == []
    scans["a"].unlink()
    assert changed_scans(tmp_path, cases) == []


def test_channels_may_come_in_another_order(tmp_path: Path) -> None:
    files = [write(tmp_path / f"a_{name}.nii.gz", seed, 300) for seed, name in enumerate(("t1", "t2"))]
    tell_changed(tmp_path, [RawCase("a", tuple(files), None, "a", False)], {})
    assert changed_scans(tmp_path, [RawCase("a", tuple(files[::-1]), None, "a", False)]) == []
    assert changed_scans(tmp_path, [RawCase("a", (files[0],), None, "a", False)]) == ["a"]


def test_digests_of_earlier_versions_say_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    case = RawCase("a", (write(tmp_path / "a.nii.gz", 0, 30),), None, "a", False)
    states = {"a": {"scan": "0" * 32, "mask": None, "adopted": "1"}}
    for content in (states, {"scheme": 1, "cases": {"a": {**states["a"], "under": None}}}):
        (tmp_path / "raw.json").write_text(json.dumps(content))
        assert changed_scans(tmp_path, [case]) == changes_since(tmp_path, [case]) == []
        tell_changed(tmp_path, [case], {"a": "1"})
        assert caplog.text == ""
        assert list(prepared_scans(tmp_path)) == ["a"]


def test_a_scan_that_is_packed_otherwise_is_not_taken_for_another(tmp_path: Path) -> None:
    content = b"scan" * 100_000

    def case(name: str, content: bytes) -> RawCase:
        path = tmp_path / name
        path.write_bytes(content)
        return RawCase("a", (path,), None, "a", False)

    tell_changed(tmp_path, [case("a.nii.gz", gzip.compress(content, 1))], {})
    for name, packed in (("b.nii.gz", gzip.compress(content, 9)), ("a.nii", content), ("a.nrrd", b"another")):
        assert changed_scans(tmp_path, [case(name, packed)]) == []
    assert changed_scans(tmp_path, [case("c.nii.gz", gzip.compress(content[:-1] + b"x", 1))]) == ["a"]
    parts = gzip.compress(content) + gzip.compress(b"")
    tell_changed(tmp_path, [case("a.nii.gz", parts)], {})
    assert changed_scans(tmp_path, [case("a.nii.gz", gzip.compress(content[1:]) + gzip.compress(b""))]) == ["a"]


def test_one_mask_takes_the_place_of_all_masks_of_a_case(tmp_path: Path) -> None:
    case = RawCase("a", (Path("a.png"),), Path("m0.png"), "a", False, parts=((1, Path("m2.png")),), segments=((1, 1),))
    for several in (case, replace(case, parts=(), segments=(), more=(Path("m1.png"),))):
        mask = several.with_mask(tmp_path / "adopted.nii.gz").mask
        assert mask is not None
        assert mask.files == (tmp_path / "adopted.nii.gz",)

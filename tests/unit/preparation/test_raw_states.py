"""Raw files that change under an adopted mask."""

from pathlib import Path

import numpy as np
import pytest

from equireg.layouts import RawCase
from equireg.preparation.raw_states import changed_scans, tell_changed


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

"""`prepare` over a folder of its own: who was known stays in the split, and who moves is told."""

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from equireg.annotation.adopt import adopt
from equireg.config import PrepareConfig
from equireg.folders.prepared import CaseRecord, Manifest
from equireg.layouts import RawCase
from equireg.preparation.known_splits import KnownSplits
from equireg.preparation.prepare import prepare
from prepared_sets import record

HALVES = {"val_fraction": 0.25, "test_fraction": 0.25, "jobs": 1}


def write(raw: Path, names: str, *, masked: bool = True) -> Path:
    """Write cases with names of one letter."""
    for folder in ("images", "labels"):
        (raw / folder).mkdir(parents=True, exist_ok=True)
    for name in names:
        rng = np.random.default_rng(ord(name))
        scan, mask = rng.normal(10, 2, (6, 5, 4)).astype(np.float32), rng.integers(0, 2, (6, 5, 4)).astype(np.uint8)
        nib.save(nib.Nifti1Image(scan, np.eye(4)), raw / "images" / f"{name}.nii.gz")
        if masked:
            nib.save(nib.Nifti1Image(mask, np.eye(4)), raw / "labels" / f"{name}.nii.gz")
    return raw


def splits_of(made: Manifest) -> dict[str, str]:
    return {case.name: case.split for case in made.cases}


@pytest.fixture
def first(tmp_path: Path) -> dict[str, str]:
    """Eight cases with a mask and one without, prepared into ``out``."""
    write(write(tmp_path / "raw", "abcdefgh"), "u", masked=False)
    return splits_of(prepare(tmp_path / "raw", tmp_path / "out", **HALVES))


def again(tmp_path: Path, **options: Any) -> dict[str, str]:
    return splits_of(prepare(tmp_path / "raw", tmp_path / "out", **{**HALVES, **options}))


def of(splits: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    return {name: splits[name] for name in names}


@pytest.mark.parametrize("kept", [True, False], ids=["", "a folder of an earlier version"])
def test_new_patients_move_nobody(
    tmp_path: Path, first: dict[str, str], kept: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if not kept:
        (tmp_path / "out" / "splits.json").unlink()
    write(tmp_path / "raw", "ijku")
    with caplog.at_level(logging.INFO, "equireg"):
        now = again(tmp_path)
    fresh = splits_of(prepare(tmp_path / "raw", tmp_path / "fresh", **HALVES))
    assert of(now, first) | {"u": ""} == first | {"u": ""}
    assert of(fresh, first) != first, "drawn anew some would have moved, so that the test would show it"
    assert sorted(now.values()) == sorted(fresh.values()), "the fractions are met all the same"
    assert "4 new patients with a mask: " in caplog.text
    assert "changed the split" not in caplog.text
    assert again(tmp_path) == now


def test_who_is_gone_for_a_while_comes_back_to_the_same_split(tmp_path: Path, first: dict[str, str]) -> None:
    trained = next(name for name, split in first.items() if split == "train" and name != "u")
    tested = next(name for name, split in first.items() if split == "test")
    away = [f"images/{trained}.nii.gz", f"labels/{trained}.nii.gz", f"labels/{tested}.nii.gz"]
    for number, name in enumerate(away):
        (tmp_path / "raw" / name).rename(tmp_path / f"{number}.nii.gz")
    assert again(tmp_path)[tested] == "test", "a test scan without its mask is not trained on"
    for number, name in enumerate(away):
        (tmp_path / f"{number}.nii.gz").rename(tmp_path / "raw" / name)
    assert again(tmp_path) == first


def test_a_mask_that_was_adopted_trains_also_once_it_lies_in_the_raw_folder(
    tmp_path: Path, first: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "masks").mkdir()
    mask = tmp_path / "masks" / "u.nii.gz"
    shutil.copy(tmp_path / "raw" / "labels" / "a.nii.gz", mask)
    adopt(tmp_path / "out", mask)
    shutil.copy(mask, tmp_path / "raw" / "labels")
    assert again(tmp_path, test_fraction=0.25) == first
    assert "raw folder changed" not in caplog.text, "it is the mask that counts"
    shutil.copy(tmp_path / "raw" / "labels" / "b.nii.gz", tmp_path / "raw" / "labels" / "u.nii.gz")
    again(tmp_path)
    assert "adopted: u (mask). The adopted masks count. Take these cases out" in caplog.text


def test_a_stopped_prepare_forgets_nothing(tmp_path: Path, first: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "out" / "splits.json").unlink()
    write(tmp_path / "raw", "ijk")
    with monkeypatch.context() as patched:
        patched.setattr("equireg.preparation.running.prepare_all", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            again(tmp_path)
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert of(again(tmp_path), first) == first


def test_other_options_draw_anew_and_name_what_was_learnt_from(
    tmp_path: Path, first: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    now = again(tmp_path, split_seed=7)
    assert now == splits_of(prepare(tmp_path / "raw", tmp_path / "fresh", **HALVES, split_seed=7))
    held = sorted(name for name, split in now.items() if split != "train" and first[name] == "train")
    moved = sum(now[name] != first[name] for name in first)
    assert held
    assert f"{moved} cases with a mask changed the split" in caplog.text
    assert f"{len(held)} trained until now and are held out from now on: {', '.join(held)}." in caplog.text
    caplog.clear()
    (tmp_path / "split.json").write_text(json.dumps({"test": sorted(now.keys() - set(held))}))
    assert again(tmp_path, split=str(tmp_path / "split.json"))[held[0]] == "train"
    assert "changed the split" in caplog.text


def test_scans_that_turn_out_to_be_of_one_patient_are_drawn_together(tmp_path: Path, first: dict[str, str]) -> None:
    one, other = (next(name for name, split in first.items() if split == wanted) for wanted in ("train", "test"))
    rows = [f"{name},{other if name == one else name}" for name in first]
    (tmp_path / "patients.csv").write_text("\n".join(["case,patient", *rows]))
    now = again(tmp_path, patients=str(tmp_path / "patients.csv"))
    assert now[one] == now[other]
    rest = first.keys() - {one, other}
    assert {name: now[name] for name in rest} == {name: first[name] for name in rest}


@pytest.mark.parametrize("content", ["{", "[]", '{"options": {}, "cases": {"a": {"patient": "a", "split": "none"}}}'])
def test_a_damaged_record_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "splits.json").write_text(content)
    assert KnownSplits.read(tmp_path) == KnownSplits({}, {})


def test_a_split_that_lost_all_its_cases_is_told(
    tmp_path: Path, first: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    for name in (name for name, split in first.items() if split == "val"):
        for folder in ("images", "labels"):
            (tmp_path / "raw" / folder / f"{name}.nii.gz").unlink()
    assert "val" not in again(tmp_path).values()
    assert "no case is left in val: " in caplog.text
    caplog.clear()
    again(tmp_path)
    assert "no case is left in val: " in caplog.text, "also the next time"
    caplog.clear()
    write(tmp_path / "raw", "ijk")
    assert "val" in again(tmp_path).values()
    assert "no case is left" not in caplog.text


def test_the_recipe_of_the_thesis_draws_all_anew() -> None:
    raw = RawCase("a", (Path("a.nii.gz"),), Path("a_seg.nii.gz"), "a", False)
    for recipe, kept in (("default", {"a": "train"}), ("thesis", {})):
        config = PrepareConfig(recipe=recipe)  # pyright: ignore[reportArgumentType]
        known = KnownSplits({}, {}).now(config, [record("a", "train", patient="a")])
        assert known.of_patients(config, [raw]) == kept


def test_names_that_are_hidden_from_now_on_are_forgotten() -> None:
    def after(keep_names: bool, *cases: CaseRecord) -> set[str]:
        return {*known.now(PrepareConfig(keep_names=keep_names), cases).cases}

    known = KnownSplits({}, {}).now(PrepareConfig(keep_names=True), [record("12345_1", "val")])
    assert after(True, record("b")) == {"12345_1", "b"}
    assert after(False, record("b")) == {"b"}

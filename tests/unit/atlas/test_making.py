"""The atlas of a run: made once, kept, and not used where masks do not fit."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from atlas_made_up import FLAT, anatomy, scattered, write_scans
from equireg.atlas import carrying, making
from equireg.atlas.fusing import mean_dice
from equireg.atlas.making import with_atlas
from equireg.disk import DiskError
from equireg.folders import atlas
from equireg.folders.prepared import PreparedSet
from equireg.processes.ranks import Rank
from prepared_sets import whole

NAMES = ("a", "b", "c", "d")


@pytest.fixture(scope="module")
def aligned(tmp_path_factory) -> PreparedSet:
    scans = {name: anatomy(FLAT, shift=0.06 * place, bend=0.03 * place, seed=place) for place, name in enumerate(NAMES)}
    return write_scans(tmp_path_factory.mktemp("atlas") / "aligned", scans)


@pytest.fixture(scope="module")
def tumours(tmp_path_factory) -> PreparedSet:
    scans = {name: scattered(FLAT, place) for place, name in enumerate(NAMES)}
    return write_scans(tmp_path_factory.mktemp("atlas") / "tumours", scans)


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    """A folder in which the masks of ``a`` stay from test to test."""
    return tmp_path_factory.mktemp("atlas") / "kept"


@pytest.mark.parametrize("count", [1, 2])
def test_masks_come_over_and_are_kept(aligned, kept, caplog, monkeypatch, count):
    with caplog.at_level(logging.INFO, "equireg"):
        made = with_atlas(aligned, NAMES[:count], NAMES, 0.5, kept, Rank())
    assert sorted(made.atlas_files) == list(NAMES[count:])  # those with a mask of their own need none
    for name in NAMES[count:]:
        assert mean_dice(whole(made.atlas(name)), whole(aligned.label(name))) > 0.8
    assert f"{4 - count} of {4 - count} scans" in caplog.text
    assert ("and back" if count == 1 else "between 2 labelled") in caplog.text
    assert not aligned.atlas_files
    monkeypatch.setattr(carrying, "fuse", None)  # nothing is registered again
    again = with_atlas(aligned, NAMES[:count], NAMES, 0.5, kept, Rank())
    assert again.atlas_files == made.atlas_files


def test_scattered_anatomy_has_no_atlas(tumours, tmp_path, caplog):
    for count, words in ((1, "and back"), (2, "between 2 labelled")):
        caplog.clear()
        assert not with_atlas(tumours, NAMES[:count], NAMES, 0.5, tmp_path, Rank()).atlas_files
        assert "atlas: not used" in caplog.text
        assert words in caplog.text


def test_scans_that_are_too_unlike_are_left_out(aligned, kept, caplog, monkeypatch):
    known = {name: carrying.carry(aligned, name, ("a",), kept).likeness for name in NAMES[1:]}
    worst = min(known, key=known.__getitem__)
    monkeypatch.setattr(making, "LEAST_LIKENESS", known[worst] + 1e-6)
    with caplog.at_level(logging.INFO, "equireg"):
        made = with_atlas(aligned, ("a",), NAMES, 0.0, kept, Rank())
    assert sorted(made.atlas_files) == sorted(set(known) - {worst})
    assert "2 of 3 scans" in caplog.text
    monkeypatch.setattr(making, "LEAST_LIKENESS", 1.1)
    assert not with_atlas(aligned, ("a",), NAMES, 0.0, kept, Rank()).atlas_files
    assert "3 of 3 scans are too unlike" in caplog.text


def test_a_damaged_mask_is_made_again(aligned, kept, tmp_path):
    first = carrying.carry(aligned, "b", ("a",), kept)
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    file = atlas.mask_file(tmp_path, carrying.key_of(aligned, "b", ("a",)))
    content = file.read_bytes()
    file.write_bytes(content[:-7])
    assert carrying.carry(aligned, "b", ("a",), tmp_path) == first
    assert file.read_bytes() == content
    file.with_suffix(".json").write_text("{")
    assert carrying.carry(aligned, "b", ("a",), tmp_path) == first


def test_the_key_follows_scans_and_masks(aligned, tumours):
    keys = {carrying.key_of(aligned, *names) for names in (("b", ("a",)), ("c", ("a",)), ("b", ("a", "d")))}
    assert len(keys | {carrying.key_of(tumours, "b", ("a",))}) == 4
    assert carrying.key_of(aligned, "b", ("a",)) == carrying.key_of(PreparedSet(aligned.root), "b", ("a",))


def test_scans_of_one_patient_do_not_judge_each_other(tmp_path, caplog):
    data = write_scans(tmp_path / "set", {name: anatomy(FLAT, seed=place) for place, name in enumerate(NAMES[:3])})
    cases = [replace(case, patient="same" if case.name != "c" else "other") for case in data.manifest.cases]
    data.manifest = replace(data.manifest, cases=tuple(cases))
    with caplog.at_level(logging.INFO, "equireg"):
        with_atlas(data, ("a", "b"), NAMES[:3], 0.5, tmp_path / "kept", Rank())
    assert "masks carried to 1 scans and back" in caplog.text


def test_a_bad_scan_is_left_out_and_a_full_disk_is_told(aligned, kept, tmp_path, caplog, monkeypatch):
    def fails(data, target, labelled, folder):
        if target == "b":
            raise DiskError("no room") if folder.name == "full" else making.EquiregError("it is damaged")
        return real(data, target, labelled, folder)

    real = carrying.carry
    monkeypatch.setattr(making, "carry", fails)
    made = with_atlas(aligned, ("a",), NAMES, 0.0, kept, Rank(1, 2))
    assert sorted(made.atlas_files) == ["c", "d"]
    assert "b gets no mask: it is damaged" in caplog.text
    with pytest.raises(DiskError, match="no room"):
        with_atlas(aligned, ("a",), NAMES, 0.0, tmp_path / "full", Rank())


def test_without_other_scans_there_is_nothing_to_do(aligned, tmp_path):
    assert with_atlas(aligned, NAMES, NAMES, 0.5, tmp_path / "none", Rank()) is aligned
    assert not (tmp_path / "none").exists()
    assert np.array_equal(whole(aligned.label("a")), anatomy(FLAT)[1])

"""How far the masks of different patients overlap, in the frames of their scans."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from equireg.folders.prepared import CaseRecord, PreparedSet
from equireg.planning import places
from equireg.planning.places import place_overlap
from prepared_sets import record, write_set

SHAPE = (16, 32, 32)


def labelled(name: str, label: np.ndarray, **changes) -> CaseRecord:
    counts = tuple(int(n) for n in np.bincount(label.ravel(), minlength=3))
    return record(name, shape=label.shape, class_voxels=counts, **changes)


def written(root: Path, labels: dict[str, np.ndarray], patients: Sequence[str] | None = None) -> PreparedSet:
    cases = [
        labelled(name, label, patient=patient)
        for (name, label), patient in zip(labels.items(), patients or labels, strict=True)
    ]
    return PreparedSet(write_set(root / "P", cases, labels))


def cube(at: Sequence[int], side: int = 8, shape: Sequence[int] = SHAPE, value: int = 1) -> np.ndarray:
    label = np.zeros(shape, dtype=np.uint8)
    label[tuple(slice(start, start + side) for start in at)] = value
    return label


def test_the_same_place_is_an_overlap_of_one(tmp_path):
    data = written(tmp_path, {name: cube((4, 8, 8)) for name in "abc"})
    assert place_overlap(data, list("abc")) == pytest.approx(1)


def test_other_places_are_one_of_zero(tmp_path):
    data = written(tmp_path, {"a": cube((0, 0, 0)), "b": cube((8, 16, 0)), "c": cube((0, 0, 16))})
    assert place_overlap(data, list("abc")) == 0


def test_half_of_it_is_a_half(tmp_path):
    data = written(tmp_path, {"a": cube((4, 8, 8)), "b": cube((4, 8, 8)), "c": cube((4, 8, 12))})
    assert place_overlap(data, list("abc")) == pytest.approx((1 + 0.5 + 0.5) / 3)


def test_frames_are_compared_and_not_voxels(tmp_path):
    twice = cube((8, 16, 16), 16, (32, 64, 64))
    data = written(tmp_path, {"a": cube((4, 8, 8)), "b": twice, "c": cube((4, 8, 8))})
    assert place_overlap(data, list("abc")) == pytest.approx(1, abs=0.15)  # a thousand of its voxels are known


def test_classes_count_as_one(tmp_path):
    data = written(tmp_path, {"a": cube((4, 8, 8)), "b": cube((4, 8, 8), value=2), "c": cube((4, 8, 8))})
    assert place_overlap(data, list("abc")) == pytest.approx(1)


def test_scans_of_one_patient_are_not_compared(tmp_path):
    labels = {"a1": cube((0, 0, 0)), "a2": cube((0, 0, 0)), "b": cube((8, 16, 0)), "c": cube((0, 0, 16))}
    data = written(tmp_path, labels, "aabc")
    assert place_overlap(data, list(labels)) == 0
    assert place_overlap(data, ["a1", "a2", "b"]) is None


def test_too_few_patients_and_empty_masks_tell_nothing(tmp_path):
    labels = {"a": cube((0, 0, 0)), "b": cube((0, 0, 0)), "c": np.zeros(SHAPE, dtype=np.uint8)}
    data = written(tmp_path, labels)
    assert place_overlap(data, list("abc")) is None


def test_only_the_cases_of_the_run_are_looked_at(tmp_path):
    labels = {**{name: cube((4, 8, 8)) for name in "abc"}, "d": cube((0, 0, 0))}
    data = written(tmp_path, labels)
    assert place_overlap(data, list("abc")) == pytest.approx(1)
    assert place_overlap(data, list("abcd")) == pytest.approx(0.5, abs=0.1)


def test_of_many_patients_some_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "_MOST_PATIENTS", 3)
    labels = {f"p{index}": cube((4, 8, 8)) for index in range(9)}
    data = written(tmp_path, labels)
    read: list[str] = []
    foreground = data.foreground
    monkeypatch.setattr(data, "foreground", lambda name: read.append(name) or foreground(name))
    assert place_overlap(data, list(labels)) == pytest.approx(1)
    assert read == ["p0", "p3", "p6"]


def test_records_are_enough_where_no_mask_is_read(tmp_path, monkeypatch):
    data = written(tmp_path, {name: cube((4, 8, 8)) for name in "abc"})
    monkeypatch.setattr(PreparedSet, "label", None)
    assert place_overlap(data, list("abc")) == pytest.approx(1)
    assert replace(data.by_name["a"]).class_voxels[1] == 512

"""The prepared folder: arrays that are read in part, a manifest there and back, and folders that are refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equireg import disk, folders
from equireg.errors import EquiregError
from equireg.folders.prepared import MANIFEST, Manifest, PreparedSet, write_array
from equireg.preparation import equivariance_seeds
from prepared_sets import LABELS, image_of, label_of, manifest, record, whole, write_set


def test_the_manifest_there_and_back(tmp_path: Path) -> None:
    made = manifest([record("a"), record("b", "test", labelled=False, held_out=True)], spacing_mm=(1.0, 1.0, 2.0))
    disk.write_json(tmp_path / MANIFEST, made.as_dict())
    again = Manifest.from_dict(json.loads((tmp_path / MANIFEST).read_text()))
    assert again == made
    assert again.labels == LABELS
    assert again.cases[0].working_grid().shape == (4, 10, 12)


def test_a_part_of_an_array_is_read_alone(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(2, 40, 96, 96)).astype(np.float16)
    write_array(tmp_path / "a.b2nd", array)
    opened: Any = PreparedSet(write_set(tmp_path / "set", [record("a")]))._open("a", "../../../a.b2nd")
    np.testing.assert_array_equal(whole(opened), array)
    np.testing.assert_array_equal(opened[:, 7:9, 3:5, 60:], array[:, 7:9, 3:5, 60:])
    assert opened.chunks[1] < 40, "a slice must not need the whole array"


def test_a_set_gives_images_masks_and_places(tmp_path: Path) -> None:
    case = record("a")
    data = PreparedSet(write_set(tmp_path / "set", [case]))
    np.testing.assert_array_equal(whole(data.image("a")), image_of(case, 0))
    np.testing.assert_array_equal(whole(data.label("a")), label_of(case))
    assert data.foreground("a")[2].tolist() == [[3, 8, 10]]
    assert data.by_name["a"] == case


def test_each_slice_has_an_equivariance_seed(tmp_path: Path) -> None:
    seeds = PreparedSet(write_set(tmp_path / "set", [record("a")])).equivariance_seeds("a")
    assert seeds.tolist() == equivariance_seeds.draw("a", range(4)).tolist()


def test_a_folder_from_before_the_seeds_asks_to_be_prepared_again(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", [record("a")])
    path = root / "cases" / "a" / "equivariance.npy"
    path.write_bytes(b"no array")
    with pytest.raises(EquiregError, match=rf"{path}: is missing or damaged"):
        PreparedSet(root).equivariance_seeds("a")
    path.unlink()
    with pytest.raises(EquiregError, match=r"Run the same `equireg prepare` again"):
        PreparedSet(root).equivariance_seeds("a")


def test_an_unsigned_folder_is_refused(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", [record("a")])
    (root / folders.SIGNATURE).unlink()
    with pytest.raises(EquiregError, match=rf"{root}: has no made_by\.json"):
        PreparedSet(root)


@pytest.mark.parametrize("name", [MANIFEST, folders.SIGNATURE])
def test_another_format_version_is_refused(tmp_path: Path, name: str) -> None:
    root = write_set(tmp_path / "set", [record("a")])
    content = json.loads((root / name).read_text())
    (root / name).write_text(json.dumps(content | {"format_version": 0}))
    with pytest.raises(EquiregError, match="has format version 0") as caught:
        PreparedSet(root)
    assert str(root) in str(caught.value)


@pytest.mark.parametrize("change", [{"labels": None}, {"cases": [{"name": "a"}]}, {"channels": None}])
def test_a_damaged_manifest_is_named(tmp_path: Path, change: dict[str, Any]) -> None:
    root = write_set(tmp_path / "set", [record("a")])
    content = json.loads((root / MANIFEST).read_text())
    (root / MANIFEST).write_text(json.dumps(content | change))
    with pytest.raises(EquiregError, match=rf"{root / MANIFEST}: is damaged"):
        PreparedSet(root)


def test_a_missing_or_broken_array_is_named(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", [record("a")])
    path = root / "cases" / "a" / "image.b2nd"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(EquiregError, match=rf"{path}: .*Run `equireg prepare` again"):
        PreparedSet(root).image("a")
    path.unlink()
    with pytest.raises(EquiregError, match=rf"{path}: .*Run `equireg prepare` again"):
        PreparedSet(root).image("a")

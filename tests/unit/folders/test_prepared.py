"""The prepared folder: arrays that are read in part, a manifest there and back, and folders that are refused."""

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
import pytest

from equireg import disk, folders
from equireg.errors import EquiregError
from equireg.folders.digests import digest_of
from equireg.folders.prepared import MANIFEST, Manifest, PreparedSet, case_folder, finish, new_case, renew, write_array
from equireg.imaging.grid import WorkingGrid
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry
from equireg.preparation import equivariance_seeds
from prepared_sets import LABELS, image_of, label_of, manifest, record, whole, write_set


def test_the_manifest_there_and_back(tmp_path: Path) -> None:
    made = manifest([record("a"), record("b", "test", labelled=False, held_out=True)], spacing_mm=(1.0, 1.0, 2.0))
    disk.write_json(tmp_path / MANIFEST, made.as_dict())
    again = Manifest.from_dict(json.loads((tmp_path / MANIFEST).read_text()))
    assert again == made
    assert again.labels == LABELS
    assert again.cases[0].working_grid().shape == (4, 10, 12)


def test_the_least_foreground_is_that_of_all_labels_together() -> None:
    cases = [record("a", class_voxels=(9, 0, 3)), record("b", class_voxels=(9, 4, 0)), record("c", labelled=False)]
    made = manifest(cases)
    assert made.volumes_mm3("abc") == {"core": (0.0, 8.0), "rim": (0.0, 6.0)}
    assert made.least_foreground_mm3("abc") == 6.0
    assert made.least_foreground_mm3("c") is None


def test_what_masks_ignore_may_belong_to_any_region() -> None:
    labels = LabelTable((0, 1, 2), ("background", "core", "rim"), ignore=3)
    whole, sparse = (470, 6, 4), (50, 3, 0)
    cases = [record("a", class_voxels=whole), record("b", class_voxels=sparse), record("c", class_voxels=(0, 0, 0))]
    made = manifest(cases, labels=labels)
    assert made.volumes_mm3("ac") == {"core": (12.0, 12.0), "rim": (8.0, 8.0)}
    assert made.least_foreground_mm3("ac") == 20.0
    assert made.volumes_mm3("ab") == {"core": (6.0, 12.0), "rim": (0.0, 8.0)}
    assert made.volumes_mm3("bc") == {"core": (6.0, 860.0), "rim": (0.0, 854.0)}
    assert made.least_foreground_mm3("abc") == 6.0
    assert (made.volumes_mm3("c"), made.least_foreground_mm3("c")) == (None, None)


def test_volumes_of_sheared_scans_are_those_of_their_voxels() -> None:
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    affine[1, 2] = 2.0 * np.tan(np.pi / 3)  # the slices' spacing is 4 mm along the table, 2 mm across
    grid = WorkingGrid.plan(Geometry.from_array((12, 10, 4), affine), (1.0, 1.0, 8.0), "z")
    one = record("a", class_voxels=(9, 1, 3), shape=grid.shape, spacing_mm=grid.spacing_mm, grid=grid.as_dict())
    assert one.voxel_mm3 == pytest.approx(4.0)
    assert manifest([one]).least_foreground_mm3("a") == pytest.approx(16.0)


def test_a_part_of_an_array_is_read_alone(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(2, 40, 96, 96)).astype(np.float16)
    write_array(tmp_path / "a.b2nd", array)
    opened: Any = blosc2.open(str(tmp_path / "a.b2nd"), mode="r")
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


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": None}, "labels is None"),
        ({"labels": {"labels": {"a": 1.5}, "regions": {}, "ignore": None}}, "labels.labels.a is 1.5"),
        ({"cases": [{"name": "a"}]}, "lacks"),
        ({"channels": None}, "channels is None; expected a list"),
        ({"channels": []}, "channels is empty"),
        ({"axes": "zzx"}, "axes is 'zzx'"),
        ({"flips": "w"}, "flips is 'w'"),
        ({"spacing_mm": [1, 0, 1]}, "spacing_mm"),
        ({"normalisation": {"name": "ct", "low": [0]}}, "normalisation.low is not one a channel"),
        ({"normalisation": {"name": "mixed", "schemes": ["ct"]}}, "normalisation.schemes does not fit"),
        ({"fingerprint": {"large_shape": [1, 2]}}, "fingerprint.large_shape is"),
        ({"colour": 1}, "unknown keys"),
    ],
)
def test_a_damaged_manifest_is_named(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    root = write_set(tmp_path / "set", [record("a")])
    content = json.loads((root / MANIFEST).read_text())
    (root / MANIFEST).write_text(json.dumps(content | change))
    with pytest.raises(EquiregError, match=rf"{root / MANIFEST}: this prepared folder is damaged") as caught:
        PreparedSet(root)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../a"},
        {"name": "/tmp/a"},
        {"name": ""},
        {"shape": [4, 10, 0]},
        {"shape": [4, 10, True]},
        {"shape": [4, 10, 1e3]},
        {"spacing_mm": [2.0, -1.0, 1.0]},
        {"background": [0]},
        {"class_voxels": [1]},
        {"class_voxels": [1, -1, 1]},
        {"class_slices": [1, 1]},
        {"labelled_box": [4, 4]},
        {"split": "dev"},
        {"digests": {"image.b2nd": 3}},
    ],
)
def test_a_damaged_record_is_named(tmp_path: Path, change: dict[str, Any]) -> None:
    root = write_set(tmp_path / "set", [record("a")])
    content = json.loads((root / MANIFEST).read_text())
    content["cases"][0] |= change
    (root / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(EquiregError, match=rf"{root / MANIFEST}: this prepared folder is damaged"):
        PreparedSet(root)


def test_mutations_of_the_manifest_are_read_or_refused_in_words(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", [record("a"), record("b", "val")])
    good = (root / MANIFEST).read_bytes()
    rng = np.random.default_rng(0)
    odd = (b"null", b"-1", b"1e999", b"NaN", b'""', b"[]", b"{}", b"true", b"9" * 400, b"[" * 5000, b"\xff", b"")
    refused = 0
    for _ in range(400):
        content = bytearray(good)
        for place in sorted(rng.integers(len(content), size=int(rng.integers(1, 4))), reverse=True):
            length = int(rng.integers(1, 12))
            content[place : place + length] = odd[rng.integers(len(odd))]
        (root / MANIFEST).write_bytes(content)
        try:
            data = PreparedSet(root)
            for case in data.manifest.cases:
                case.working_grid()
        except EquiregError:
            refused += 1
    assert refused > 300


def test_a_missing_or_broken_array_is_named(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", [record("a")])
    path = root / "cases" / "a" / "image.b2nd"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(EquiregError, match=rf"{path}: .*Run the same `equireg prepare` again"):
        PreparedSet(root).image("a")
    path.unlink()
    with pytest.raises(EquiregError, match=rf"{path}: .*Run the same `equireg prepare` again"):
        PreparedSet(root).image("a")


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    """A set with the digests that `prepare` writes."""
    root = write_set(tmp_path / "set", [record("a"), record("b")])
    data = PreparedSet(root).manifest
    cases = [
        replace(case, digests={path.name: digest_of(path) for path in (root / "cases" / case.name).iterdir()})
        for case in data.cases
    ]
    finish(root, replace(data, cases=tuple(cases)), {}, seed=0, source=tmp_path)
    return root


@pytest.mark.parametrize("name", ["image.b2nd", "label.b2nd", "foreground.npz", "equivariance.npy"])
def test_a_flipped_bit_is_found_once_asked_for(signed: Path, name: str) -> None:
    path = signed / "cases" / "a" / name
    content = bytearray(path.read_bytes())
    content[-5] ^= 4
    path.write_bytes(content)
    data = PreparedSet(signed)
    data.verify(["b"])
    reads = {
        "image.b2nd": data.image,
        "label.b2nd": data.label,
        "foreground.npz": data.foreground,
        "equivariance.npy": data.equivariance_seeds,
    }
    for read in (data.verify, lambda: reads[name]("a")):
        with pytest.raises(EquiregError, match=rf"{path}: .*not what was written"):
            read()
    assert PreparedSet(signed, verify=False).by_name["a"] == data.by_name["a"]


def test_a_file_is_read_for_its_digest_once(signed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = PreparedSet(signed)
    data.verify()
    monkeypatch.setattr("equireg.folders.prepared.reader.digest_of", lambda path: pytest.fail("read again"))
    data.image("a")
    data.foreground("b")
    pickle.loads(pickle.dumps(data)).label("b")


def test_a_folder_that_is_made_again_while_it_is_read_is_told_from_a_damaged_one(signed: Path) -> None:
    data = PreparedSet(signed)
    data.verify()
    path = signed / "cases" / "a" / "label.b2nd"
    same = path.read_bytes()
    path.unlink()
    path.write_bytes(same)
    data.label("a")
    write_array(path, 1 - whole(data.label("b")))
    with pytest.raises(EquiregError, match=rf"{path}: this prepared folder is damaged"):
        data.label("a")
    (signed / folders.SIGNATURE).rename(signed / "kept.json")  # as long as `prepare` works on the folder
    with pytest.raises(EquiregError, match=rf"{signed}: was made again, or took in masks, since it was opened"):
        data.label("a")
    finish(signed, replace(data.manifest, dataset="another"), {}, seed=0, source=None)
    with pytest.raises(EquiregError, match="was made again"):
        data.label("a")
    signed.rename(signed.parent / "elsewhere")
    with pytest.raises(EquiregError, match=rf"{signed}: is no longer there"):
        data.label("b")


def test_a_number_that_changed_in_the_manifest_is_found(signed: Path) -> None:
    path = signed / MANIFEST
    path.write_text(path.read_text().replace('"t1"', '"t2"', 1))
    with pytest.raises(EquiregError, match=rf"{path}: .*not what was written"):
        PreparedSet(signed)
    PreparedSet(signed, verify=False)


def test_the_digest_follows_what_training_reads(signed: Path) -> None:
    first = PreparedSet(signed)
    made, cases = first.manifest, first.manifest.cases
    assert PreparedSet(signed).digest == first.digest

    def digest(changed: Manifest) -> str:
        finish(signed, changed, {}, seed=0, source=signed)
        return PreparedSet(signed).digest

    assert digest(replace(made, dataset="another", refused=({"case": "c"},))) == first.digest
    box = replace(cases[0], class_slices=(4, 1, 1), labelled_box=(4, 8, 10))
    assert digest(replace(made, cases=(box, *cases[1:]))) == first.digest
    others = {
        digest(replace(made, flips="")),
        digest(replace(made, normalisation={"name": "none"})),
        digest(replace(made, cases=(cases[0], replace(cases[1], split="val")))),
        digest(replace(made, cases=(cases[0], replace(cases[1], digests={})))),
    }
    assert len(others | {first.digest}) == 5


def test_references_and_examples(signed: Path) -> None:
    data = PreparedSet(signed)
    assert (data.reference("a"), data.references(), data.examples()) == (None, {}, [])
    (signed / "cases" / "b" / "reference.nii.gz").touch()
    assert data.reference("b") == data.references()["b"] == signed / "cases" / "b" / "reference.nii.gz"


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "/a", "a/b", "a\\b", ".hidden", "a\n", "x" * 240])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(EquiregError, match="is not fit for a folder"):
        case_folder(tmp_path, name)


def test_an_earlier_case_stays_until_the_new_one_is_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "case.json").write_text("earlier")

    def fail(self: Path, target: Path) -> Path:
        raise OSError(5, "the disk went away")

    def make() -> None:
        with new_case(folder) as writer:
            (writer.folder / "case.json").write_text("new")

    rename = Path.rename
    monkeypatch.setattr(
        Path, "rename", lambda self, to: (fail if ".before." not in f"{self}{to}" else rename)(self, to)
    )
    with pytest.raises(EquiregError):
        make()
    assert (folder / "case.json").read_text() == "earlier"
    monkeypatch.undo()
    make()
    assert (folder / "case.json").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_manifest_that_is_renewed_is_whole_wherever_the_process_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    root = write_set(tmp_path / "set", [record("a"), record("b")])
    before = PreparedSet(root).manifest
    finish(root, before, {}, seed=0, source=None)
    changed = replace(before, dataset="renewed")
    steps: list[Any] = []
    whole = os.replace

    def replaced(source: Any, target: Any) -> None:
        if Path(target).name in ("made_by.json", MANIFEST):
            steps.append(target)
            if len(steps) == stop:
                raise KeyboardInterrupt
        whole(source, target)

    monkeypatch.setattr(os, "replace", replaced)
    with pytest.raises(KeyboardInterrupt):
        renew(root, changed)
    monkeypatch.undo()
    assert PreparedSet(root).manifest.dataset == (before.dataset if stop < 3 else "renewed")
    renew(root, changed)
    assert PreparedSet(root).manifest == changed

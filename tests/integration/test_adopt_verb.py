"""`equireg adopt`: masks that come later, checked, kept and trained on."""

import errno
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from equireg.annotation.adopt import adopt
from equireg.annotation.suggest import suggest
from equireg.disk import DiskError
from equireg.errors import EquiregError
from equireg.folders.prepared import PreparedSet
from equireg.folders.prepared.adopted import read_history
from equireg.imaging.volume import read_label
from equireg.preparation.prepare import prepare
from turned_files import store_along


@pytest.fixture
def own(phantom_raw: Path, phantom_prepared: Path, tmp_path: Path) -> Path:
    """Return a copy of the prepared phantoms that a test may change."""
    return Path(shutil.copytree(phantom_prepared, tmp_path / "prepared"))


def write_mask(data: PreparedSet, case: str, folder: Path, values: np.ndarray | None = None, name: str = "") -> Path:
    """Write a mask of a case: two boxes of the labels 1 and 2."""
    grid = data.by_name[case].working_grid().native
    if values is None:
        values = np.zeros(grid.shape, np.uint8)
        values[8:14, 8:14, 4:8] = 2
        values[10:12, 10:12, 5:7] = 1
    folder.mkdir(exist_ok=True)
    path = folder / f"{name or case}.nii.gz"
    nib.save(nib.Nifti1Image(values, grid.affine_array), path)
    return path


def unlabelled(data: PreparedSet) -> list[str]:
    return [case.name for case in data.manifest.cases if case.split == "train" and not case.labelled]


def test_a_new_mask_is_trained_on_and_nothing_else_changes(own: Path, tmp_path: Path):
    before = PreparedSet(own)
    case, *others = unlabelled(before)
    kept = {path: path.read_bytes() for path in (own / "cases").rglob("*") if path.is_file() and case not in str(path)}
    image = (own / "cases" / case / "image.b2nd").read_bytes()

    taken = adopt(own, write_mask(before, case, tmp_path / "masks", name=f"{case}_seg"), by="R. One")

    after = PreparedSet(own)
    after.verify()
    assert after.by_name[case].labelled
    assert after.by_name[case].split == "train"
    assert np.asarray(after.label(case)[:]).max() == 2
    assert after.by_name[case].class_voxels[1:3] == (8, 6 * 6 * 4 - 8)
    assert [after.by_name[name] for name in others] == [before.by_name[name] for name in others]
    assert {path: path.read_bytes() for path in kept} == kept
    assert (own / "cases" / case / "image.b2nd").read_bytes() == image
    assert after.digest != before.digest
    assert taken[case].by == "R. One"
    assert taken[case].corrects is None


@pytest.mark.parametrize("full", ["label.b2nd", "adopted.json"])
def test_a_full_disk_leaves_the_same_command_to_be_given_again(
    own: Path, tmp_path: Path, full: str, monkeypatch: pytest.MonkeyPatch
):
    case = unlabelled(PreparedSet(own))[0]
    mask = write_mask(PreparedSet(own), case, tmp_path / "masks")

    write = Path.write_bytes

    def refused(self: Path, content: bytes) -> int:
        if full in self.name:
            raise OSError(errno.ENOSPC, "No space left on device", str(self))
        return write(self, content)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", refused)
        with pytest.raises(DiskError, match="the disk is full") as caught:
            adopt(own, mask)
    assert "give the same command again" in str(caught.value)
    assert "--out" not in str(caught.value)
    adopt(own, mask)
    assert PreparedSet(own).by_name[case].labelled


def test_masks_along_other_axes_are_turned_and_told_once(own: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    data = PreparedSet(own)
    cases = unlabelled(data)[:2]
    plain = {case: write_mask(data, case, tmp_path / "masks") for case in cases}
    expected = {case: np.asarray(nib.Nifti1Image.from_filename(path).dataobj) for case, path in plain.items()}
    for path in plain.values():
        store_along(path, "SLP")
    with caplog.at_level("INFO", "equireg"):
        adopt(own, tmp_path / "masks")
    for case in cases:
        grid = PreparedSet(own).by_name[case].working_grid().native
        found = read_label(own / "adopted" / f"{case}.nii.gz", grid)
        np.testing.assert_array_equal(found, expected[case])
    (line,) = (text for text in caplog.messages if "other axes" in text)
    assert "of 1 more files" in line


def test_a_mask_may_have_the_spacing_that_was_allowed_to_prepare(tmp_path: Path):
    raw, wide = tmp_path / "raw", np.diag([60.0, 60.0, 60.0, 1.0])
    raw.mkdir()
    for name in ("a", "b"):
        voxels = np.random.default_rng(0).integers(1, 99, (8, 8, 8)).astype(np.int16)
        nib.save(nib.Nifti1Image(voxels, wide), raw / f"{name}.nii.gz")
    prepare(raw, tmp_path / "prepared", max_spacing_mm=100.0, jobs=1)
    data = PreparedSet(tmp_path / "prepared")
    adopt(
        data.root, write_mask(data, "a", tmp_path / "masks", (np.indices((8, 8, 8)).sum(axis=0) < 9).astype(np.uint8))
    )
    assert PreparedSet(data.root).by_name["a"].labelled


def test_preparing_again_keeps_masks_and_splits(
    own: Path, phantom_raw: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    data = PreparedSet(own)
    cases = unlabelled(data)
    adopt(own, [write_mask(data, case, tmp_path / "masks") for case in cases])
    adopted = PreparedSet(own)
    again = prepare(phantom_raw, own, val_fraction=0.25, test_fraction=0.25)
    splits = {case.name: case.split for case in data.manifest.cases}
    assert {case.name: (case.split, case.labelled) for case in again.cases} == {
        case.name: (splits[case.name], case.labelled) for case in adopted.manifest.cases
    }
    assert "the raw folder changed" not in caplog.text
    for case in cases:
        assert (np.asarray(PreparedSet(own).label(case)[:]) == np.asarray(adopted.label(case)[:])).all()


def test_a_correction_is_compared_with_what_was_there(own: Path, tmp_path: Path):
    data = PreparedSet(own)
    [case, *_] = unlabelled(data)
    adopt(own, write_mask(data, case, tmp_path / "first"))
    values = read_label(tmp_path / "first" / f"{case}.nii.gz", data.by_name[case].working_grid().native)
    values[8:14, 8:14, 4] = 0
    drafts = tmp_path / "drafts"
    shutil.copytree(tmp_path / "first", drafts)
    adopt(own, write_mask(PreparedSet(own), case, tmp_path / "second", values))
    adopt(own, write_mask(PreparedSet(own), case, tmp_path / "third", values), drafts=str(drafts))
    first, second, third = read_history(own)[case]
    assert first.dice is None
    assert (second.corrects, second.changed_voxels) == ("mask", 36)
    assert second.dice is not None
    assert 0.8 < second.dice["whole"] < 1
    assert (third.corrects, third.changed_voxels) == ("draft", 36)


def test_drafts_that_nobody_changed_are_told(own: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """They count as true from then on, also where only the others were looked at."""
    data = PreparedSet(own)
    left, corrected = unlabelled(data)[:2]
    for case in (left, corrected):
        write_mask(data, case, tmp_path / "drafts")
    shutil.copytree(tmp_path / "drafts", tmp_path / "masks")
    values = read_label(tmp_path / "drafts" / f"{left}.nii.gz", data.by_name[left].working_grid().native)
    values[8:14, 8:14, 4] = 0
    write_mask(data, corrected, tmp_path / "masks", values)
    adopt(own, tmp_path / "masks", drafts=str(tmp_path / "drafts"))
    [warning] = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert warning.startswith(f"unchanged drafts of the model count as true now: {left} (1 in all)")


def test_a_mask_that_is_given_again_stands_once_in_the_history(own: Path, tmp_path: Path):
    data = PreparedSet(own)
    [case, *_] = unlabelled(data)
    for drafts in (None, str(tmp_path / "drafts"), str(tmp_path / "drafts")):
        mask = write_mask(data, case, tmp_path / "masks")
        shutil.copytree(mask.parent, tmp_path / "drafts", dirs_exist_ok=True)
        adopt(own, mask, drafts=drafts)
    assert [one.corrects for one in read_history(own)[case]] == [None, "draft"]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("unknown", "no case is named 'somebody'; expected the name of a case"),
        ("shape", "expected"),
        ("value", "has the label values [7]"),
        ("twice", "is a second mask of"),
        ("empty", "holds no mask"),
        ("absent", "no such file or folder"),
        ("test", "tests, and stays there"),
        ("val", "validates, and stays there"),
    ],
)
def test_masks_that_do_not_fit_change_nothing(equireg, own: Path, tmp_path: Path, what: str, words: str):
    data = PreparedSet(own)
    case, other = unlabelled(data)[:2]
    masks = tmp_path / "masks"
    write_mask(data, other, masks)  # one that fits
    shape = data.by_name[case].working_grid().native.shape
    if what == "unknown":
        write_mask(data, case, masks, name="somebody")
    elif what == "shape":
        write_mask(data, case, masks, np.zeros((4, 4, 4), np.uint8))
    elif what == "value":
        write_mask(data, case, masks, np.full(shape, 7, np.uint8))
    elif what == "twice":
        write_mask(data, other, masks, name=f"{other}_mask")
    elif what == "empty":
        masks = tmp_path / "nothing"
        masks.mkdir()
    elif what == "absent":
        masks = tmp_path / "gone"
    else:
        write_mask(data, next(one.name for one in data.manifest.cases if one.split == what), masks)
    before = {path: path.read_bytes() for path in own.rglob("*") if path.is_file()}
    told = equireg("adopt", own, masks)
    assert told.code == 1
    assert words in told.error
    assert {path: path.read_bytes() for path in own.rglob("*") if path.is_file()} == before


def test_the_first_masks_of_a_folder_without_any_give_it_its_labels(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    raw = tmp_path / "raw"
    raw.mkdir()
    rng = np.random.default_rng(0)
    for index in range(3):
        nib.save(
            nib.Nifti1Image(rng.normal(10, 1, (12, 12, 6)).astype(np.float32), np.eye(4)), raw / f"s{index}.nii.gz"
        )
    out = tmp_path / "prepared"
    prepare(raw, out)
    data = PreparedSet(out)
    values = np.zeros((12, 12, 6), np.uint8)
    values[3:6, 3:6, 2:4] = 3
    adopt(out, write_mask(data, "s1", tmp_path / "masks", values))
    labels = PreparedSet(out).manifest.labels
    assert labels.values == (0, 3)
    assert PreparedSet(out).by_name["s1"].class_voxels[1] == 18
    assert prepare(raw, out).labels.values == (0, 3)
    nib.save(nib.Nifti1Image(rng.normal(10, 1, (12, 12, 6)).astype(np.float32), np.eye(4)), raw / "s1.nii.gz")
    prepare(raw, out)
    assert "the raw folder changed since masks were adopted: s1 (scan)" in caplog.text
    content = json.loads((out / "adopted" / "adopted.json").read_text())
    del content["s1"]  # as docs/annotation.md says
    (out / "adopted" / "adopted.json").write_text(json.dumps(content))
    assert not any(case.labelled for case in prepare(raw, out).cases)


def test_a_label_that_earlier_masks_lack_is_added_where_none_is_declared(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in "abc":
        scan = np.random.default_rng(ord(name)).normal(10, 1, (12, 12, 6)).astype(np.float32)
        nib.save(nib.Nifti1Image(scan, np.eye(4)), raw / f"{name}.nii.gz")
    prepare(raw, tmp_path / "prepared", jobs=1)
    data = PreparedSet(tmp_path / "prepared")
    values = np.zeros((12, 12, 6), np.uint8)
    values[3:6, 3:6, 2:4] = 2
    adopt(data.root, write_mask(data, "a", tmp_path / "masks", values))
    values[3:6, 3:6, 2] = 1
    adopt(data.root, write_mask(data, "b", tmp_path / "both", values))
    assert "masks bring labels that no earlier one had: label 1" in caplog.text
    after = PreparedSet(data.root)
    after.verify()
    assert after.manifest.labels.values == (0, 2, 1)  # no class index of an earlier case changes
    assert [after.by_name[case].class_voxels[1:] for case in "ab"] == [(18, 0), (9, 9)]
    noise = np.random.default_rng(0).integers(1, 200, (12, 12, 6)).astype(np.uint8)
    with pytest.raises(EquiregError, match="as in a scan"):
        adopt(data.root, write_mask(data, "c", tmp_path / "noise", noise))
    assert prepare(raw, data.root, jobs=1).labels.values == (0, 1, 2)


def test_a_scan_that_the_layout_alone_holds_out_is_suggested_and_trains_once_it_has_a_mask(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    raw, rng = tmp_path / "raw", np.random.default_rng(0)
    for name, folder in (("a", "train"), ("b", "train"), ("c", "test"), ("d", "test")):
        (raw / folder / "images").mkdir(parents=True, exist_ok=True)
        (raw / folder / "labels").mkdir(exist_ok=True)
        scan = rng.normal(10, 1, (12, 12, 6)).astype(np.float32)
        nib.save(nib.Nifti1Image(scan, np.eye(4)), raw / folder / "images" / f"{name}.nii.gz")
    mask = np.zeros((12, 12, 6), np.uint8)
    mask[3:6, 3:6, 2:4] = 1
    for path in (raw / "train" / "labels" / "a.nii.gz", raw / "train" / "labels" / "b.nii.gz"):
        nib.save(nib.Nifti1Image(mask, np.eye(4)), path)
    (tmp_path / "splits.json").write_text('{"train": ["a"], "val": ["b"], "test": ["c", "d"]}')
    listed = prepare(raw, tmp_path / "listed", split=str(tmp_path / "splits.json"), jobs=1).cases
    assert [case.split for case in listed] == ["train", "val", "test", "test"]
    with pytest.raises(EquiregError, match="the patient c tests, and stays there"):
        adopt(tmp_path / "listed", write_mask(PreparedSet(tmp_path / "listed"), "c", tmp_path / "masks", mask))
    with pytest.raises(EquiregError, match="expected some without"):
        suggest(tmp_path / "listed", tmp_path / "none", count=1, unlabelled_from="test")
    assert "--unlabelled_from test adds no scan" in caplog.text

    out = tmp_path / "prepared"
    prepare(raw, out, jobs=1)
    assert {one.case for one in suggest(out, tmp_path / "next", count=2, unlabelled_from="test")} == {"c", "d"}
    adopt(out, write_mask(PreparedSet(out), "c", tmp_path / "masks", mask))
    assert "held out as test without a mask so far, these train from now on: c" in caplog.text
    for again in (PreparedSet(out).manifest, prepare(raw, out, jobs=1)):
        assert {case.name: (case.split, case.labelled) for case in again.cases if case.held_out} == {
            "c": ("train", True),
            "d": ("test", False),
        }


def test_a_damaged_record_is_named(equireg, own: Path, tmp_path: Path):
    data = PreparedSet(own)
    adopt(own, write_mask(data, unlabelled(data)[0], tmp_path / "masks"))
    (own / "adopted" / "adopted.json").write_text('{"a": 1}')
    assert "adopted.json: is damaged" in equireg("adopt", own, tmp_path / "masks").error


def test_a_mask_of_a_scan_that_was_replaced_is_refused(own: Path, phantom_raw: Path, tmp_path: Path):
    data = PreparedSet(own)
    case, other = unlabelled(data)[:2]
    beside = tmp_path / phantom_raw.parent.name  # to where the signature leads from here
    raw = Path(shutil.copytree(phantom_raw, beside / phantom_raw.name))
    own = Path(shutil.move(own, tmp_path / "moved" / "prepared"))
    (scan,) = raw.rglob(f"{case}_flair.nii.gz")
    image = nib.Nifti1Image.from_filename(scan)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[::-1].copy(), image.affine), scan)
    masks = [write_mask(data, name, tmp_path / "masks") for name in (case, other)]
    with pytest.raises(EquiregError, match=rf"were prepared: {case}\. Run"):
        adopt(own, masks)
    assert not (own / "adopted").exists()
    assert adopt(own, masks[1:]).keys() == {other}


def test_a_withdrawn_mask_is_gone_when_the_folder_is_prepared_again(own: Path, phantom_raw: Path, tmp_path: Path):
    before = PreparedSet(own)
    masked = next(case.name for case in before.manifest.cases if case.split == "train" and case.labelled)
    cases = [unlabelled(before)[0], masked]
    for case in cases:
        adopt(own, write_mask(before, case, tmp_path / "masks"))
    (own / "adopted" / "adopted.json").write_text("{}")
    prepare(phantom_raw, own, val_fraction=0.25, test_fraction=0.25)
    after = PreparedSet(own)
    after.verify()
    assert [after.by_name[case] for case in cases] == [before.by_name[case] for case in cases]

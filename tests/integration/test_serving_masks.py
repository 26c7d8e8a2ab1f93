"""Masks that clients send to `equireg serve`: which label each segment becomes, and how the folder's labels grow."""

import gzip
import io
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from equireg.annotation.adopt import adopt
from equireg.config import ServeConfig
from equireg.errors import EquiregError
from equireg.folders.prepared import PreparedSet
from equireg.folders.prepared.adopted import adopted_file
from equireg.preparation.prepare import prepare
from equireg.serving import watching
from equireg.serving.desk import Desk
from equireg.serving.errors import RequestError
from equireg.serving.uploads import Sent

SHAPE = (12, 10, 6)


def write_scans(folder: Path, names: str, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        scan = nib.Nifti1Image(rng.normal(10, 1, SHAPE).astype(np.float32), np.eye(4))
        nib.save(scan, folder / f"{name}.nii.gz")
    return folder


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Return a desk without a model, over a folder without any mask."""
    prepare(write_scans(tmp_path / "raw", "abcd"), tmp_path / "prepared", jobs=1)
    made = Desk(tmp_path / "loop", ServeConfig(prepared=str(tmp_path / "prepared"), device="cpu"))
    yield made
    made.close()


def drawn(*numbers: int) -> np.ndarray:
    """A mask [X, Y, Z] of one box a number."""
    values = np.zeros(SHAPE, np.uint8)
    for place, number in enumerate(numbers):
        values[2 + 3 * place : 4 + 3 * place, 3:6, 2:4] = number
    return values


def sent(values: np.ndarray, header: dict[int, str] | None = None, folder: Path | None = None) -> Sent:
    """A mask as a client sends it: NIfTI, or with the names of its segments as Slicer's own format."""
    if header is None or folder is None:
        return Sent("tmp.nii.gz", io.BytesIO(_bytes(values)))
    image = sitk.GetImageFromArray(values.T.copy())
    image.SetDirection((-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))  # RAS as NIfTI's identity is, in LPS
    for place, (number, name) in enumerate(header.items()):
        image.SetMetaData(f"Segment{place}_Name", name)
        image.SetMetaData(f"Segment{place}_LabelValue", str(number))
    path = folder / "tmp.seg.nrrd"
    sitk.WriteImage(image, str(path))
    return Sent(path.name, io.BytesIO(path.read_bytes()))


def _bytes(values: np.ndarray) -> bytes:
    return gzip.compress(nib.Nifti1Image(values, np.eye(4)).to_bytes())


def listed(*names: str) -> dict[str, Any]:
    return {"label_info": [{"name": name, "idx": place} for place, name in enumerate(names, 1)]}


def kept(desk: Desk, case: str) -> np.ndarray:
    return np.asarray(nib.Nifti1Image.from_filename(adopted_file(desk.data.root, case)).dataobj)


def labels(desk: Desk) -> dict[str, int]:
    table = PreparedSet(desk.data.root).manifest.labels
    return dict(zip(table.names[1:], table.values[1:], strict=True))


def test_the_names_of_the_first_mask_stay_and_later_ones_are_read_by_them(desk: Desk, tmp_path: Path):
    desk.take("a", sent(drawn(1)), listed("tumour", "vessel"))
    assert labels(desk) == {"tumour": 1, "vessel": 2}
    desk.take("b", sent(drawn(2, 1)), listed("vessel", "Tumour"))
    assert (kept(desk, "b") == drawn(1, 2)).all()
    prepare(tmp_path / "raw", tmp_path / "prepared", jobs=1)
    assert labels(desk) == {"tumour": 1, "vessel": 2}


def test_a_vessel_that_nobody_has_drawn_so_far_is_still_a_label_after_preparing_again(desk: Desk, tmp_path: Path):
    desk.take("a", sent(drawn(2)), listed("vessel", "tumour"))
    prepare(tmp_path / "raw", tmp_path / "prepared", jobs=1)
    assert labels(desk) == {"vessel": 1, "tumour": 2}
    desk.take("b", sent(drawn(1)), listed("vessel"))
    assert PreparedSet(desk.data.root).by_name["b"].class_voxels[1:] == (12, 0)


def test_a_segment_that_the_first_mask_lacks_becomes_a_label(desk: Desk, caplog: pytest.LogCaptureFixture):
    desk.take("a", sent(drawn(1)), listed("liver"))
    desk.take("b", sent(drawn(2, 1)), listed("tumour", "liver"))
    assert labels(desk) == {"liver": 1, "tumour": 2}
    assert (kept(desk, "b") == drawn(1, 2)).all()
    assert PreparedSet(desk.data.root).by_name["a"].class_voxels[1:] == (12, 0)
    assert "masks bring labels that no earlier one had: tumour" in caplog.text
    with pytest.raises(EquiregError, match="shows the segment 'Segment_1'; expected some of liver, tumour"):
        desk.take("c", sent(drawn(1)), listed("Segment_1"))


def test_the_names_in_the_file_win_over_the_order_of_the_list(desk: Desk, tmp_path: Path):
    desk.take("a", sent(drawn(1, 2)), listed("liver", "tumour"))
    named = sent(drawn(1, 2), {2: "tumour", 1: "liver"}, tmp_path)
    desk.take("b", named, listed("tumour", "liver"))
    assert (kept(desk, "b") == drawn(1, 2)).all()
    desk.take("c", sent(drawn(7), {7: "Tumour"}, tmp_path), {})
    assert (kept(desk, "c") == drawn(2)).all()


def test_labels_that_have_no_names_are_found_by_what_stands_for_one(tmp_path: Path):
    raw = tmp_path / "raw"
    write_scans(raw / "images", "abc")
    (raw / "labels").mkdir()
    nib.save(nib.Nifti1Image(drawn(1, 3), np.eye(4)), raw / "labels" / "a.nii.gz")
    prepare(raw, tmp_path / "prepared", jobs=1)
    made = Desk(tmp_path / "loop", ServeConfig(prepared=str(tmp_path / "prepared"), device="cpu"))
    assert labels(made) == {"label 1": 1, "label 3": 3}
    made.take("b", sent(drawn(1, 2), {1: "label 1", 2: "label 3"}, tmp_path), {})
    assert (kept(made, "b") == drawn(1, 3)).all()
    made.close()


def test_a_folder_that_others_change_is_seen_as_it_is_now(desk: Desk, tmp_path: Path):
    assert desk.image_file("a") == tmp_path / "raw" / "a.nii.gz"
    elsewhere = tmp_path / "b.nii.gz"
    nib.save(nib.Nifti1Image(drawn(1), np.eye(4)), elsewhere)
    adopt(desk.data.root, elsewhere)
    assert [desk.next_case("in_order") for _ in range(3)] == ["a", "c", "d"]
    for name in "acd":
        desk.take(name, sent(drawn(1)), {})
    assert desk.next_case("in_order") is None
    write_scans(tmp_path / "raw", "e", seed=1)
    prepare(tmp_path / "raw", tmp_path / "prepared", jobs=1)
    assert desk.next_case("in_order") == "e"
    assert desk.image_file("e") == tmp_path / "raw" / "e.nii.gz"
    assert desk.take("e", sent(drawn(1)), {}).corrects is None


def test_masks_come_in_and_others_are_answered_while_the_model_is_asked_what_it_doubts(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    given: list[str | None] = []

    def others() -> None:
        given.append(desk.next_case("in_order"))
        for name in "abcd":
            desk.take(name, sent(drawn(1)), {})

    def doubts(names: Sequence[str]) -> dict[str, float]:
        beside = threading.Thread(target=others, daemon=True)
        beside.start()
        beside.join(60)
        assert not beside.is_alive(), "waits"
        return dict.fromkeys(names, 0.5)

    monkeypatch.setattr(desk, "model", lambda: SimpleNamespace(run=tmp_path / "run"))
    monkeypatch.setattr(desk, "_doubts", doubts)
    assert desk.next_case("doubt") is None  # all have a mask by now
    assert given == ["a"]


def test_a_draft_is_what_an_annotator_was_shown_and_once(phantom_run: Path, phantom_prepared: Path, tmp_path: Path):
    shutil.copytree(phantom_prepared, tmp_path / "prepared")
    config = ServeConfig(prepared=str(tmp_path / "prepared"), test_time="none", device="cpu", precision="32")
    desk = Desk(phantom_run, config)
    case = desk.next_case("doubt")  # all are predicted, and none is shown
    assert case is not None
    grid = desk.record(case).working_grid().native
    mask = gzip.compress(nib.Nifti1Image(np.zeros(grid.shape, np.uint8), grid.affine_array).to_bytes())
    told = []
    for shown in (False, True, False):
        if shown:
            drawn_, folder = desk.draw(desk.name, desk.case(case))
            with folder:
                desk.keep_draft(drawn_)
        told.append(desk.take(case, Sent("m.nii.gz", io.BytesIO(mask)), {}).corrects)
    assert told == [None, "draft", "mask"]
    desk.close()


def test_a_scan_that_was_replaced_is_neither_shown_nor_annotated_until_it_is_prepared_again(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = desk.image_file("a")
    write_scans(tmp_path / "raw", "a", seed=1)
    for ask in (lambda: desk.image_file("a"), lambda: desk.take("a", sent(drawn(1)), {})):
        with pytest.raises(RequestError, match=r"prepared: a\. Run `equireg prepare` again") as told:
            ask()
        assert told.value.status == 409
    with monkeypatch.context() as patched:  # a long file of digests is not read at each request
        patched.setattr(watching, "prepared_scans", lambda *_: pytest.fail("read again"))
        assert desk.image_file("b") == before.with_name("b.nii.gz")
    prepare(tmp_path / "raw", tmp_path / "prepared", jobs=1)
    assert desk.image_file("a") == before
    desk.take("a", sent(drawn(1)), {})


def test_a_scan_of_the_folder_is_shown_before_one_that_was_sent_under_its_name(desk: Desk, tmp_path: Path) -> None:
    scan = (tmp_path / "raw" / "a.nii.gz").read_bytes()
    assert desk.add_image("e", Sent("e.nii.gz", io.BytesIO(scan))) == "e"
    assert desk.image_file("e").read_bytes() == scan
    write_scans(tmp_path / "raw", "e", seed=1)
    prepare(tmp_path / "raw", tmp_path / "prepared", jobs=1)
    assert desk.image_file("e") == tmp_path / "raw" / "e.nii.gz"

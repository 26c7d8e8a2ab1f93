"""`view`: what each volume holds, where it lies in space, within which size, and that the page stands alone."""

import base64
import gzip
import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine
from PIL import Image

import equireg
from equireg import disk, folders
from equireg.drawing.scans import REGION_COLOURS
from equireg.errors import EquiregError, UsageError
from equireg.imaging import volume
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry
from equireg.layouts import discover
from equireg.preparation.raw_states import raw_scans
from equireg.viewing.case_volumes import CaseReader
from equireg.viewing.packing import colour_indices, pack
from equireg.viewing.view import view
from layout_folders import of_two_layouts
from reporting_made_up import LABELS, SECRET
from viewing_made_up import GEOMETRY, mask, predictions, prepared


def content_of(page: Path) -> list[dict[str, Any]]:
    """Read what the page's script draws from, a case each."""
    found = re.search(r'<script type="application/json" id="content">(.*)</script>', page.read_text(encoding="utf-8"))
    assert found
    return json.loads(found[1])


def image_of(content: str) -> nib.Nifti1Image:
    return nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(content)))


def file_of(page: Path, name: str) -> nib.Nifti1Image:
    """Read a volume of the page."""
    found = re.search(f'<script type="text/plain" id="{name}">([^<]*)</script>', page.read_text(encoding="utf-8"))
    assert found, name
    return image_of(found[1])


def in_world(image: nib.Nifti1Image, chosen: np.ndarray) -> set[tuple[float, ...]]:
    """Return the places in mm of the chosen voxels."""
    places = apply_affine(image.affine, np.argwhere(chosen))
    return {tuple(place) for place in places.round(3).tolist()}


def of_native(chosen: np.ndarray) -> set[tuple[float, ...]]:
    return in_world(nib.Nifti1Image(np.zeros(1), GEOMETRY.affine_array), chosen)


def test_masks_and_scan_lie_where_the_files_say(tmp_path: Path) -> None:
    page = view(predictions(tmp_path / "q", prepared(tmp_path / "p")), tmp_path / "new" / "v.html")
    truth, scan = (file_of(page, f"0-{kind}") for kind in ("reference", "scan"))
    # FLAIR is chosen, and its tumour lies where the reference says.
    assert content_of(page)[0]["channel"] == "FLAIR"
    assert in_world(scan, scan.get_fdata() > 2) == of_native(mask() > 0)
    for place, value in ((1, 2), (3, 4)):  # whole, enhancing
        assert in_world(truth, np.asarray(truth.dataobj) == place) == of_native(mask() == value)
    moved = np.roll(mask(), 1, axis=1)
    assert in_world(file_of(page, "0-prediction"), file_of(page, "0-prediction").get_fdata() > 0) == of_native(
        moved > 0
    )
    assert content_of(page)[0]["palettes"]["reference"][2] == ["enhancing", REGION_COLOURS[2]]


def test_an_oblique_scan_keeps_its_place(tmp_path: Path) -> None:
    q = predictions(tmp_path / "q", tmp_path / "gone")
    turn = np.array([[0.8, -0.6, 0, 5], [0.6, 0.8, 0, -3], [0, 0, -2.5, 7], [0, 0, 0, 1]])
    volume.write_label(q / "case.nii.gz", mask(), Geometry.from_array(mask().shape, turn))
    image = image_of(pack(CaseReader(q).read("case"), 10**6).files["prediction"])
    own = nib.Nifti1Image(np.zeros(1), turn)
    assert in_world(image, np.asarray(image.dataobj) > 0) == in_world(own, mask() > 0)


def test_what_is_there_is_shown_side_by_side(tmp_path: Path) -> None:
    q = predictions(tmp_path / "q", prepared(tmp_path / "p"), equivariance=True, qualities={"case": 0.4})
    page = view(q, tmp_path / "v.html", case="case")
    [case] = content_of(page)
    assert [one["title"] for one in case["views"]] == ["Prediction and truth", "Doubt", "Equivariance"]
    assert [panel[1:] for panel in case["views"][2]["panels"]] == [
        ["transformed_scan", "predicted_transform"],
        ["transformed_scan", "transformed_prediction"],
        ["transformed_scan", "difference"],
    ]
    moved = np.roll(mask(), 2, axis=0)
    differ = file_of(page, "0-difference")
    assert in_world(differ, np.asarray(differ.dataobj) > 0) == of_native(moved != np.roll(moved, 1, axis=1))
    doubt = file_of(page, "0-disagreement")
    assert set(np.unique(np.asarray(doubt.dataobj))) == {0, 3}  # half of the views: of five steps the third
    assert in_world(doubt, np.asarray(doubt.dataobj) > 0) == of_native(np.roll(mask(), 1, axis=1) != mask())


def test_a_case_says_its_volumes_and_its_dice(tmp_path: Path) -> None:
    page = view(predictions(tmp_path / "q", prepared(tmp_path / "p")), tmp_path / "v.html")
    whole = content_of(page)[0]["scores"][0]
    voxels = int((mask() > 0).sum())
    assert whole["region"] == "whole"
    assert whole["volume_ml"] == whole["reference_ml"] == pytest.approx(voxels * 6 / 1000)
    common = int(((mask() > 0) & (np.roll(mask(), 1, axis=1) > 0)).sum())
    assert whole["dice"] == pytest.approx(common / voxels)
    alone = view(predictions(tmp_path / "r", SECRET), tmp_path / "w.html")
    assert {score["dice"] for score in content_of(alone)[0]["scores"]} == {None}


def test_the_volume_of_a_sheared_mask_is_that_of_its_voxels(tmp_path: Path) -> None:
    q = predictions(tmp_path / "q", tmp_path / "gone")
    tilt = np.array([[1.0, 0, 0, 0], [0, 2, 3, 0], [0, 0, 3, 0], [0, 0, 0, 1]])
    volume.write_label(q / "case.nii.gz", mask(), Geometry.from_array(mask().shape, tilt))
    whole = CaseReader(q).read("case").scores[0]
    assert whole.volume_ml == pytest.approx(int((mask() > 0).sum()) * 6 / 1000)


def test_cases_are_sorted_by_doubt(tmp_path: Path) -> None:
    qualities = {"a": 0.9, "b": 0.3, "c": 0.6}
    q = predictions(tmp_path / "q", prepared(tmp_path / "p", tuple(qualities)), qualities=qualities)
    page = view(q, tmp_path / "v.html")
    assert [one["case"] for one in content_of(page)] == ["b", "c", "a"]
    assert content_of(page)[0]["why"] == "views disagree on whole (0.40)"
    assert [score["agreement"] for score in content_of(page)[0]["scores"]] == [0.4, None, None]
    assert [one["look"] for one in content_of(page)] == [True, False, False]
    assert content_of(page)[1]["estimate"].startswith("Dice probably 0.60 (0.50 to 0.65")
    assert re.findall(r'<button type="button">(\w+)<small>', page.read_text()) == ["b", "c", "a"]
    assert [one["case"] for one in content_of(view(q, tmp_path / "w.html", most=1))] == ["b"]
    assert [one["case"] for one in content_of(view(q, tmp_path / "x.html", case="a, c"))] == ["a", "c"]
    q = predictions(tmp_path / "r", prepared(tmp_path / "s", ("Müller",)), qualities={"Müller": 0.9})
    assert [one["case"] for one in content_of(view(q, tmp_path / "z.html", case="Mu\u0308ller"))] == ["Müller"]
    with pytest.raises(UsageError, match="most"):
        view(q, tmp_path / "y.html", most=0)


@pytest.mark.parametrize("name", ["c3,d", "end "])
def test_a_case_with_a_comma_or_a_blank_in_its_name_is_named_alone(tmp_path: Path, name: str) -> None:
    q = predictions(tmp_path / "q", prepared(tmp_path / "p", ("a", name)), qualities={"a": 0.3, name: 0.9})
    assert [one["case"] for one in content_of(view(q, tmp_path / "v.html", case=name))] == [name]


def test_the_channel_is_chosen_by_name(tmp_path: Path) -> None:
    q = predictions(tmp_path / "q", prepared(tmp_path / "p"))
    found = CaseReader(q, "t1").read("case")
    assert found.channel == "T1"
    assert found.volumes["scan"].max() == 1.0
    with pytest.raises(UsageError, match=r"--channel T2: expected one of T1, FLAIR"):
        CaseReader(q, "T2").read("case")


def test_a_scan_that_is_gone_is_left_out(tmp_path: Path) -> None:
    page = view(predictions(tmp_path / "q", SECRET, equivariance=True), tmp_path / "v.html", case="case")
    [case] = content_of(page)
    assert [one["title"] for one in case["views"]] == ["Prediction", "Equivariance"]
    assert list(case["windows"]) == ["transformed_scan"]
    assert not file_of(page, "0-scan").get_fdata().any()


def test_a_scan_that_lies_elsewhere_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    q = predictions(tmp_path / "q", prepared(tmp_path / "p"))
    moved = Geometry.from_array(GEOMETRY.shape, np.diag([-2.0, 1.0, 3.3, 1.0]))
    volume.write_label(q / "case.nii.gz", mask(), moved)
    assert "scan" not in CaseReader(q).read("case").volumes
    assert "lies elsewhere" in caplog.text


def test_a_scan_that_was_replaced_since_is_left_out_unless_it_is_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    image = np.arange(np.prod(GEOMETRY.shape), dtype=np.float32).reshape(1, *GEOMETRY.shape)
    volume.write_channels(raw / "case.nii.gz", image, GEOMETRY)
    q = predictions(tmp_path / "q", raw)
    folders.sign(q, "predict", {}, source=raw, cases=["case"], run={}, scans=raw_scans(discover(raw).cases))
    assert "scan" in CaseReader(q).read("case").volumes
    assert "than was predicted" not in caplog.text
    volume.write_channels(raw / "case.nii.gz", 2 * image, GEOMETRY)
    assert "scan" not in CaseReader(q).read("case").volumes
    assert "case is shown without its scan: another one lies there than was predicted" in caplog.text
    assert "scan" in CaseReader(q, scans=raw).read("case").volumes
    assert "case is shown with another scan than was predicted" in caplog.text


def test_numbered_channels_are_called_as_the_model_does(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    image = np.arange(3 * np.prod(GEOMETRY.shape), dtype=np.float32).reshape(3, *GEOMETRY.shape)
    volume.write_channels(raw / "case.nii.gz", image, GEOMETRY)
    q = predictions(tmp_path / "q", raw)
    assert CaseReader(q).read("case").channel == "channel_2"
    folders.sign(q, "predict", {}, source=raw, cases=["case"], run={}, channels=["T1", "FLAIR", "T2"])
    found = CaseReader(q).read("case")
    assert found.channel == "FLAIR"
    np.testing.assert_array_equal(found.volumes["scan"], np.transpose(image[1], (2, 1, 0))[:, :, ::-1])


def test_a_raw_folder_gives_scan_and_mask(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for name in ("images", "labels"):
        (raw / name).mkdir(parents=True)
    image = (3.0 * (mask() > 0) + np.arange(10)[None, :, None]).astype(np.float32)
    volume.write_channels(raw / "images" / "case.nii.gz", image[None], GEOMETRY)
    volume.write_label(raw / "labels" / "case.nii.gz", mask(), GEOMETRY)
    found = CaseReader(predictions(tmp_path / "q", raw)).read("case")
    # The file's x runs to the left, the canonical one to the right.
    np.testing.assert_array_equal(found.volumes["reference"], np.transpose(mask(), (2, 1, 0))[:, :, ::-1])
    np.testing.assert_allclose(found.volumes["scan"], np.transpose(image, (2, 1, 0))[:, :, ::-1])


def test_a_mask_a_class_is_shown_as_one(tmp_path: Path) -> None:
    for case in ("case", "other"):
        home = tmp_path / "raw" / case
        (home / "segmentations").mkdir(parents=True)
        volume.write_channels(home / "ct.nii.gz", np.random.default_rng(0).random((1, *GEOMETRY.shape)), GEOMETRY)
        for name, value in (("liver", 2), ("spleen", 4)):
            volume.write_label(home / "segmentations" / f"{name}.nii.gz", (mask() == value).astype(np.uint8), GEOMETRY)
    found = CaseReader(predictions(tmp_path / "q", tmp_path / "raw")).read("case")
    merged = np.select([mask() == 2, mask() == 4], [1, 2])
    np.testing.assert_array_equal(found.volumes["reference"], np.transpose(merged, (2, 1, 0))[:, :, ::-1])


@pytest.mark.parametrize(("flat", "name"), [(0, "x"), (1, "y"), (2, "z")])
def test_a_picture_has_one_plane(tmp_path: Path, flat: int, name: str) -> None:
    # The widest spacing lies along another axis, so that only the shape tells.
    shape, spacing_mm = [8, 8, 8], [1.0, 1.0, 1.0, 1.0]
    shape[flat], spacing_mm[(flat + 1) % 3] = 1, 3.0
    q = predictions(tmp_path / "q", tmp_path / "gone")
    volume.write_label(q / "case.nii.gz", np.ones(shape, np.uint8), Geometry.from_array(shape, np.diag(spacing_mm)))
    found = CaseReader(q).read("case")
    assert found.volumes["prediction"].shape == (1, 8, 8)
    assert pack(found, 10**6).flat == name


def test_empty_margins_are_cut_away_from_all_volumes_alike(tmp_path: Path) -> None:
    page = view(predictions(tmp_path / "q", prepared(tmp_path / "p")), tmp_path / "v.html", case="case")
    shapes = {file_of(page, f"0-{kind}").shape for kind in ("scan", "prediction", "reference")}
    assert len(shapes) == 1
    assert max(shapes.pop()) <= 11


def test_large_cases_are_made_coarser_until_they_fit(tmp_path: Path) -> None:
    q = predictions(tmp_path / "q", tmp_path / "gone")
    shape = (40, 30, 20)
    volume.write_label(q / "case.nii.gz", np.ones(shape, np.uint8), Geometry.from_array(shape, np.diag([1, 1, 3, 1.0])))
    found = CaseReader(q).read("case")
    found.volumes["scan"] = np.random.default_rng(0).random((20, 30, 40)).astype(np.float32)  # pyright: ignore[reportIndexIssue]
    whole = pack(found, 10**6)
    assert whole.reduced == ""
    bound = len(whole.files["scan"]) // 4
    small = pack(found, bound)
    assert sum(map(len, small.files.values())) <= bound
    assert "only some voxels are kept" in small.reduced
    image = image_of(small.files["scan"])
    # Thick slices are kept, and every voxel stays where it was.
    assert image.shape[2] == 20
    step = np.rint(np.abs(np.diag(np.asarray(image.affine)))[:2]).astype(int)
    assert step.min() > 1
    np.testing.assert_allclose(
        image.get_fdata(), found.volumes["scan"].transpose(2, 1, 0)[:: step[0], :: step[1]], atol=0.003
    )


def test_the_folder_of_the_scans_is_looked_through_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    qualities = {"a": 0.9, "b": 0.3}
    q = predictions(tmp_path / "q", prepared(tmp_path / "p", tuple(qualities)), qualities=qualities)
    asked: list[Path] = []
    monkeypatch.setattr(folders, "made_by", lambda folder: asked.append(folder) or "prepare")
    assert len(content_of(view(q, tmp_path / "v.html"))) == 2
    assert asked == [tmp_path / "p"]


def test_scans_are_found_by_the_layout_they_were_prepared_with(tmp_path: Path) -> None:
    raw, source, q = of_two_layouts(tmp_path / "raw"), tmp_path / "p", tmp_path / "q"
    source.mkdir()
    folders.sign(source, "prepare", {"layout": "plain"})
    shutil.copytree(raw / "labels", q)
    disk.write_json(q / "labels.json", LabelTable((0, 1), ("background", "x")).as_dict())
    folders.sign(q, "predict", {}, source=source, cases=["a", "b"], run={})
    assert "scan" in CaseReader(q, scans=raw).read("a").volumes


def test_the_page_stands_alone_and_names_the_case_only(tmp_path: Path) -> None:
    source = prepared(tmp_path / "p")
    html = view(predictions(tmp_path / "q", source), tmp_path / "v.html", case="case").read_text(encoding="utf-8")
    own = re.sub(r"<script>.*?</script>", "", html, count=1, flags=re.DOTALL)  # NiiVue's comments name addresses
    assert "default-src 'none'" in own
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:)""", own)
    assert "http://" not in own
    assert "https://" not in own
    for secret in (str(tmp_path), "secret-run", "made_by"):
        assert secret not in html


def test_the_page_is_made_once(tmp_path: Path) -> None:
    q = predictions(tmp_path / "q", SECRET)
    page = view(q, tmp_path / "v.html", case="case")
    with pytest.raises(EquiregError, match="exists already"):
        view(q, page, case="case")


def test_options_may_be_a_config(tmp_path: Path) -> None:
    q = predictions(tmp_path / "q", SECRET)
    page = view(q, tmp_path / "v.html", equireg.ViewConfig(case="case"))
    assert page.read_text() == view(q, tmp_path / "w.html", case="case").read_text()


def test_an_unknown_case_and_another_folder_are_refused(tmp_path: Path) -> None:
    q = predictions(tmp_path / "q", SECRET)
    with pytest.raises(EquiregError, match=r"other.nii.gz: no such prediction; expected one of the cases case"):
        view(q, tmp_path / "v.html", case="other")
    with pytest.raises(EquiregError):
        view(q, tmp_path / "v.html", case="../q/case")
    with pytest.raises(EquiregError, match="was made by `equireg prepare`"):
        view(prepared(tmp_path / "p"), tmp_path / "v.html", case="case")
    assert not (tmp_path / "v.html").exists()


def test_what_the_mask_ignores_is_not_compared(tmp_path: Path) -> None:
    source = prepared(tmp_path / "p")
    q, reference = predictions(tmp_path / "q", source), source / "cases" / "case" / "reference.nii.gz"
    disk.write_json(q / "labels.json", replace(LABELS, ignore=9).as_dict())
    partly = mask()
    partly[:, 8:] = 9  # the prediction, a voxel off, reaches into it
    for values in (partly, np.full_like(partly, 9)):
        volume.write_label(reference, values, GEOMETRY)
        whole = CaseReader(q).read("case").scores[0]
        known = (np.roll(mask(), 1, axis=1) > 0) & ((values != 9) | (values == 9).all())
        assert whole.volume_ml == pytest.approx(known.sum() * 6 / 1000)
        truth = (values > 0) & (values != 9)
        expected = 2 * (known & truth).sum() / (known.sum() + truth.sum()), truth.sum() * 6 / 1000
        assert (whole.dice, whole.reference_ml) == (pytest.approx(expected) if truth.any() else (None, None))


def test_the_smallest_region_gives_the_colour() -> None:
    values = np.array([0, 1, 2, 4])
    assert colour_indices(LABELS, values).tolist() == [0, 2, 1, 3]
    plain = LabelTable((0, 3, 7), ("background", "a", "b"), ignore=255)
    assert colour_indices(plain, np.array([0, 3, 7, 255])).tolist() == [0, 1, 2, 0]
    far = LabelTable((0, -5, 2**40), ("background", "a", "b"))
    assert colour_indices(far, np.array([0, -5, 2**40])).tolist() == [0, 1, 2]


def test_two_scripts_run_and_no_other(tmp_path: Path) -> None:
    page = view(predictions(tmp_path / "q", prepared(tmp_path / "p")), tmp_path / "v.html", case="case").read_text()
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert len(scripts) == 2
    assert f"unsafe-inline'; script-src 'sha256-{digests[0]}' 'sha256-{digests[1]}'\"" in page  # inline style alone


def test_the_vendored_script_is_the_pinned_one() -> None:
    home = Path(equireg.__file__).parent / "viewing" / "vendored"
    [script] = home.glob("*.js")
    told = (home / "README.txt").read_text()
    assert hashlib.sha256(script.read_bytes()).hexdigest() in told
    assert script.name.removeprefix("niivue-").removesuffix(".umd.js") in told
    assert "Redistributions in binary form" in (home / "LICENSE.niivue").read_text()


def test_hostile_names_stay_names(tmp_path: Path) -> None:
    evil = "<script>alert(1)<"
    source = predictions(tmp_path / "q", SECRET, qualities={evil: 0.4})
    table = {"labels": {"background": 0, evil: 2, '"><b>': 4}, "regions": {}, "ignore": None}
    disk.write_json(source / "labels.json", table)
    page = view(source, tmp_path / "v.html").read_text()
    assert evil not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<b>" not in page


def test_a_set_of_pictures_is_shown_as_one_plane(tmp_path: Path) -> None:
    truth = np.zeros((8, 12), np.uint8)
    truth[2:5, 6:10] = 2
    grey = np.arange(96, dtype=np.uint8).reshape(8, 12)
    for folder, picture in (("raw/images", grey), ("raw/labels", truth), ("q", np.roll(truth, 1, axis=0))):
        (tmp_path / folder).mkdir(parents=True)
        Image.fromarray(picture).save(tmp_path / folder / "case.png")
    disk.write_json(tmp_path / "q" / "labels.json", LABELS.as_dict())
    folders.sign(tmp_path / "q", "predict", {}, source=tmp_path / "raw", cases=["case"], run={"name": "r"})
    page = view(tmp_path / "q", tmp_path / "v.html", page_mb=1)
    [case] = content_of(page)
    assert case["flat"] is not None
    assert [panel[2] for panel in case["views"][0]["panels"]] == ["prediction", "reference"]
    assert case["scores"][0]["dice"] == pytest.approx(2 / 3)
    scan, mine = (np.asarray(file_of(page, f"0-{kind}").dataobj) for kind in ("scan", "reference"))
    assert scan.shape == mine.shape
    # The mask lies over the pixels that it was drawn on.
    assert set(scan[mine > 0].round().tolist()) == set(grey[truth > 0].tolist())

"""`view`: what each panel holds, in which frame, within which size, and that the page stands alone."""

import base64
import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

import equireg
from equireg import disk, folders
from equireg.drawing.scans import REGION_COLOURS
from equireg.errors import EquiregError, UsageError
from equireg.folders import prepared as store
from equireg.folders.prepared import CaseRecord, Manifest
from equireg.imaging import volume
from equireg.imaging.grid import WorkingGrid
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry
from equireg.viewing.case_volumes import read_case
from equireg.viewing.sprites import Sheet, colour_sheet, scan_sheets
from equireg.viewing.view import colour_indices, view
from reporting_made_up import LABELS, SECRET

# x runs towards the patient's left here, so that the file's own axes are not the canonical ones.
GEOMETRY = Geometry.from_array((12, 10, 6), np.diag([-2.0, 1.0, 3.0, 1.0]))
CROP = ((1, 6), (0, 10), (2, 12))


def mask() -> np.ndarray:
    values = np.zeros(GEOMETRY.shape, np.uint8)
    values[2:5, 6:9, 2:4] = 2
    values[3, 7, 2:4] = 4
    return values


def prepared(folder: Path, case: str = "case") -> Path:
    """Write a prepared folder with one case: a scan of two channels, and its mask."""
    grid = WorkingGrid.plan(GEOMETRY, None, "z", CROP)
    directory = folder / "cases" / case
    directory.mkdir(parents=True)
    image = np.zeros((2, *GEOMETRY.shape), np.float32)
    image[:, 1:9, 2:9, 1:6] = 1.0
    image[1] += 2.0 * (mask() > 0)
    store.write_array(directory / "image.b2nd", grid.image_to_working(image).astype(np.float16))
    volume.write_label(directory / "reference.nii.gz", mask(), GEOMETRY)
    record = CaseRecord(
        case, case, "val", True, False, grid.shape, grid.spacing_mm, grid.as_dict(), (0.0, 0.0), (1, 1, 1, 1)
    )
    manifest = Manifest("d", ("T1", "FLAIR"), "mri", LABELS, "zyx", "x", None, {"name": "none"}, {}, (record,))
    disk.write_json(folder / "manifest.json", manifest.as_dict())
    folders.sign(folder, "prepare", {})
    return folder


def predictions(folder: Path, source: Path | str, *, equivariance: bool = False) -> Path:
    folder.mkdir(parents=True)
    volume.write_label(folder / "case.nii.gz", np.roll(mask(), 1, axis=1), GEOMETRY)
    disk.write_json(folder / "labels.json", LABELS.as_dict())
    if equivariance:
        (folder / "equivariance").mkdir()
        moved = np.roll(mask(), 2, axis=0)
        scan = np.stack([100 * (moved > 0) + 7, 200 * (moved > 0) + 7]).astype(np.uint8)
        volume.write_channels(folder / "equivariance" / "case_transformed_scan.nii.gz", scan, GEOMETRY)
        volume.write_label(folder / "equivariance" / "case_predicted_transform.nii.gz", moved, GEOMETRY)
        volume.write_label(
            folder / "equivariance" / "case_transformed_prediction.nii.gz", np.roll(moved, 1, axis=1), GEOMETRY
        )
    folders.sign(folder, "predict", {}, source=source, cases=["case"], run={"name": "secret-run"})
    return folder


def content_of(page: Path) -> dict[str, Any]:
    """Read what the page's script draws from."""
    found = re.search(r'<script type="application/json" id="content">(.*)</script>', page.read_text(encoding="utf-8"))
    assert found
    return json.loads(found[1])


def titles_of(page: Path) -> list[str]:
    return re.findall(r"<figcaption>([^<]*)</figcaption>", page.read_text(encoding="utf-8"))


def slices(sheet: dict[str, Any], depth: int, mode: str = "RGBA") -> np.ndarray:
    """Cut a sheet into its slices, as the page's script does."""
    picture = Image.open(io.BytesIO(base64.b64decode(sheet["png"].split(",")[1]))).convert(mode)
    pixels = np.asarray(picture)
    h, w, columns = sheet["height"], sheet["width"], sheet["columns"]
    return np.stack(
        [
            pixels[
                (place // columns) * h : (place // columns + 1) * h, (place % columns) * w : (place % columns + 1) * w
            ]
            for place in range(depth)
        ]
    )


def shown(values: np.ndarray) -> np.ndarray:
    """Turn native label values to slices as one looks at them: left of the patient on the right, front up."""
    # The file's x runs to the left already, its y to the front.
    return np.transpose(values, (2, 1, 0))[:, ::-1, :]


def test_the_frame_is_that_of_the_prepared_scan(tmp_path: Path) -> None:
    found = read_case(predictions(tmp_path / "q", prepared(tmp_path / "p")), "case")
    inside = shown(mask())[1:6, :, 0:10]
    assert found.reference is not None
    assert found.scan is not None
    np.testing.assert_array_equal(found.reference, inside)
    np.testing.assert_array_equal(found.prediction, shown(np.roll(mask(), 1, axis=1))[1:6, :, 0:10])
    # FLAIR is chosen, and its tumour lies where the reference says.
    assert found.channel == "FLAIR"
    np.testing.assert_array_equal(found.scan > 2, inside > 0)
    assert found.spacing_mm == (1.0, 2.0)


def test_each_panel_holds_its_mask_in_the_colours_of_the_regions(tmp_path: Path) -> None:
    source = prepared(tmp_path / "p")
    page = view(predictions(tmp_path / "q", source, equivariance=True), tmp_path / "new" / "v.html", case="case")
    assert titles_of(page) == [
        "Prediction",
        "Reference",
        "Prediction of the transformed scan, f(T x)",
        "Transformed prediction, T f(x)",
        "Where the two differ",
    ]
    content = content_of(page)
    assert content["slices"] == 5
    assert content["first"] == 1
    assert [panel["scan"] for panel in content["panels"]] == ["scan"] * 2 + ["transformed"] * 3
    cut = slices(content["panels"][1], 5)
    reference = shown(mask())[1:6, :, 0:10]
    for value, colour in ((2, REGION_COLOURS[0]), (4, REGION_COLOURS[2])):  # whole, enhancing
        drawn = (cut[..., :3] == np.rint(np.array(to_rgb(colour)) * 255)).all(axis=-1) & (cut[..., 3] == 255)
        assert drawn.sum() == (reference == value).sum() > 0
    assert ((cut[..., 3] > 0).sum(axis=(1, 2)) == (reference > 0).sum(axis=(1, 2))).all()
    differ = slices(content["panels"][4], 5)[..., 3] > 0
    moved = np.roll(mask(), 2, axis=0)
    assert differ.sum() == (shown(moved != np.roll(moved, 1, axis=1))[1:6, :, 0:10]).sum() > 0


def test_empty_margins_are_cut_away_from_all_panels_alike(tmp_path: Path) -> None:
    content = content_of(view(predictions(tmp_path / "q", prepared(tmp_path / "p")), tmp_path / "v.html", case="case"))
    cells = [*content["scans"].values(), *content["panels"]]
    assert {(cell["height"], cell["width"]) for cell in cells} == {(content["height"], content["width"])}
    assert content["height"] <= 10


def test_the_channel_is_chosen_by_name(tmp_path: Path) -> None:
    q = predictions(tmp_path / "q", prepared(tmp_path / "p"))
    found = read_case(q, "case", "t1")
    assert found.channel == "T1"
    assert found.scan is not None
    assert found.scan.max() == 1.0
    with pytest.raises(UsageError, match=r"--channel T2: expected one of T1, FLAIR"):
        read_case(q, "case", "T2")


def test_a_scan_that_is_gone_is_left_out(tmp_path: Path) -> None:
    page = view(predictions(tmp_path / "q", SECRET, equivariance=True), tmp_path / "v.html", case="case")
    assert "Reference" not in titles_of(page)
    content = content_of(page)
    assert list(content["scans"]) == ["transformed"]
    assert content["panels"][0]["scan"] is None
    assert content["slices"] == GEOMETRY.shape[2]


def test_a_scan_that_lies_elsewhere_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    q = predictions(tmp_path / "q", prepared(tmp_path / "p"))
    moved = Geometry.from_array(GEOMETRY.shape, np.diag([-2.0, 1.0, 3.3, 1.0]))
    volume.write_label(q / "case.nii.gz", mask(), moved)
    assert read_case(q, "case").scan is None
    assert "lies elsewhere" in caplog.text


def test_a_raw_folder_gives_scan_and_mask(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for name in ("images", "labels"):
        (raw / name).mkdir(parents=True)
    image = (3.0 * (mask() > 0) + np.arange(10)[None, :, None]).astype(np.float32)
    volume.write_channels(raw / "images" / "case.nii.gz", image[None], GEOMETRY)
    volume.write_label(raw / "labels" / "case.nii.gz", mask(), GEOMETRY)
    found = read_case(predictions(tmp_path / "q", raw), "case")
    assert found.scan is not None
    assert found.reference is not None
    np.testing.assert_array_equal(found.reference, shown(mask()))
    np.testing.assert_allclose(found.scan, shown(image))


def test_a_mask_a_class_is_shown_as_one(tmp_path: Path) -> None:
    for case in ("case", "other"):
        home = tmp_path / "raw" / case
        (home / "segmentations").mkdir(parents=True)
        volume.write_channels(home / "ct.nii.gz", np.random.default_rng(0).random((1, *GEOMETRY.shape)), GEOMETRY)
        for name, value in (("liver", 2), ("spleen", 4)):
            volume.write_label(home / "segmentations" / f"{name}.nii.gz", (mask() == value).astype(np.uint8), GEOMETRY)
    found = read_case(predictions(tmp_path / "q", tmp_path / "raw"), "case")
    np.testing.assert_array_equal(found.reference, shown(np.select([mask() == 2, mask() == 4], [1, 2])))


@pytest.mark.parametrize("flat", [0, 1, 2])
def test_a_picture_without_its_scan_is_cut_across_its_flat_axis(tmp_path: Path, flat: int) -> None:
    # The widest spacing lies along another axis, so that only the shape tells.
    shape, spacing_mm = [8, 8, 8], [1.0, 1.0, 1.0, 1.0]
    shape[flat], spacing_mm[(flat + 1) % 3] = 1, 3.0
    q = predictions(tmp_path / "q", tmp_path / "gone")
    volume.write_label(q / "case.nii.gz", np.ones(shape, np.uint8), Geometry.from_array(shape, np.diag(spacing_mm)))
    assert read_case(q, "case").prediction.shape == (1, 8, 8)


def test_the_page_stands_alone_and_names_the_case_only(tmp_path: Path) -> None:
    source = prepared(tmp_path / "p")
    html = view(predictions(tmp_path / "q", source), tmp_path / "v.html", case="case").read_text(encoding="utf-8")
    assert "default-src 'none'" in html
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:)""", html)
    assert "http://" not in html
    assert "https://" not in html
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
    with pytest.raises(EquiregError, match=r"other\.nii\.gz: no such prediction"):
        view(q, tmp_path / "x.html", equireg.ViewConfig(case="case"), case="other")
    with pytest.raises(UsageError, match="no case is named"):
        view(q, tmp_path / "x.html")


def test_an_unknown_case_and_another_folder_are_refused(tmp_path: Path) -> None:
    q = predictions(tmp_path / "q", SECRET)
    with pytest.raises(EquiregError, match=r"other.nii.gz: no such prediction; expected one of the cases case"):
        view(q, tmp_path / "v.html", case="other")
    with pytest.raises(EquiregError, match="was made by `equireg prepare`"):
        view(prepared(tmp_path / "p"), tmp_path / "v.html", case="case")
    assert not (tmp_path / "v.html").exists()


def test_the_smallest_region_gives_the_colour() -> None:
    values = np.array([0, 1, 2, 4])
    assert colour_indices(LABELS, values).tolist() == [0, 2, 1, 3]
    plain = LabelTable((0, 3, 7), ("background", "a", "b"), ignore=255)
    assert colour_indices(plain, np.array([0, 3, 7, 255])).tolist() == [0, 1, 2, 0]
    far = LabelTable((0, -5, 2**40), ("background", "a", "b"))
    assert colour_indices(far, np.array([0, -5, 2**40])).tolist() == [0, 1, 2]


def test_one_script_runs_and_no_other(tmp_path: Path) -> None:
    page = view(predictions(tmp_path / "q", prepared(tmp_path / "p")), tmp_path / "v.html", case="case").read_text()
    [script] = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'\"" in page
    assert "unsafe-inline'; script-src" in page  # of the style alone


def test_hostile_names_stay_names(tmp_path: Path) -> None:
    source = predictions(tmp_path / "q", SECRET)
    evil = "<script>alert(1)</script>"
    table = {"labels": {"background": 0, evil: 2, '"><b>': 4}, "regions": {}, "ignore": None}
    disk.write_json(source / "labels.json", table)
    page = view(source, tmp_path / "v.html", case="case").read_text()
    assert evil not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<b>" not in page
    with pytest.raises(EquiregError):
        view(source, tmp_path / "w.html", case="../q/case")


@pytest.mark.parametrize("shape", [(1, 5, 4), (7, 5, 4), (3, 2, 30), (30, 40, 3)])
def test_sheets_hold_every_slice_in_order(shape: tuple[int, int, int]) -> None:
    stack = np.random.default_rng(0).random(shape, np.float32)
    drawn = scan_sheets([stack])
    assert (drawn.shades, drawn.stride) == (256, 1)
    np.testing.assert_allclose(slices(vars(drawn.sheets[0]), shape[0], "L") / 255, stack, atol=0.5 / 255 + 1e-6)
    indices = (stack * 3).astype(np.uint8)
    coloured = slices(vars(colour_sheet(indices, {1: "#ff0000", 2: "#0000ff"})), shape[0])
    np.testing.assert_array_equal(coloured[..., 3] > 0, indices > 0)
    np.testing.assert_array_equal((coloured == (255, 0, 0, 255)).all(axis=-1), indices == 1)


def test_sheets_are_made_coarser_until_they_fit() -> None:
    scans = [np.random.default_rng(seed).random((8, 40, 40), np.float32) for seed in range(2)]
    full = sum(len(sheet.png) for sheet in scan_sheets(scans).sheets)
    bounded = scan_sheets(scans, most_bytes=full // 3)
    assert sum(len(sheet.png) for sheet in bounded.sheets) <= full // 3
    assert bounded.stride > 1
    assert isinstance(bounded.sheets[0], Sheet)
    assert bounded.sheets[0].height == -(-40 // bounded.stride)
    hopeless = scan_sheets(scans, most_bytes=0)
    assert hopeless.stride == 8

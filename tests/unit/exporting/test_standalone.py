"""The files that are copied into an exported model do to a scan what equireg does to it."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

import equireg.exporting
from equireg.imaging.geometry import Geometry
from equireg.imaging.labels import LabelTable
from equireg.imaging.pictures import CHANNELS
from equireg.imaging.volume import read_image
from equireg.layouts import discover_inputs
from equireg.postprocessing import PostProcessing
from equireg.postprocessing.steps import Step, applied
from equireg.preparation.case import CasePlan, working_scan
from equireg.preparation.normalise import normalise
from pictures_made_up import disc, photo, save, tiff

LABELS = LabelTable((0, 1, 4), ("background", "core", "rim"), {"whole": (1, 4), "core": (1,)})
CT = {"name": "ct", "low": [-50.0, 0.0], "high": [200.0, 90.0], "mean": [20.0, 40.0], "std": [30.0, 7.0]}
MIXED = {**CT, "name": "mixed", "schemes": ["ct", "zscore"]}
TURNS = ["RAS", "LPS", "SLA", "PIR"]


def standalone(name: str) -> Any:
    path = Path(next(iter(equireg.exporting.__path__)), "standalone", f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"standalone_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scan(turn: str, spacing: tuple[float, ...], kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return an image [2, X, Y, Z] and its affine, with axes as ``turn`` says."""
    rng = np.random.default_rng(3)
    image = rng.normal(60, 25, (2, 13, 9, 11)).astype(np.float32)
    if kind != "tissue":
        outside = np.zeros(image.shape[1:], dtype=bool)
        outside[:2], outside[:, :1], outside[:, :, -2:], outside[-1], outside[:, -1], outside[..., 0] = (True,) * 6
        image[:, outside] = -7
    if kind == "absurd":
        image[0, 5, 5, 5] = 1e7
    axes = np.eye(4)
    for axis, letter in enumerate(turn):
        to = "LRPAIS".index(letter) // 2
        axes[:3, axis] = 0
        axes[to, axis] = spacing[axis] * (1 if letter in "RAS" else -1)
    axes[:3, 3] = 4, -9, 2
    return image, axes


@pytest.mark.parametrize("kind", ["tissue", "skull-stripped", "absurd"])
@pytest.mark.parametrize("normalisation", [{"name": "zscore"}, CT, MIXED, {"name": "none"}])
def test_a_scan_becomes_what_equireg_makes_of_it(kind: str, normalisation: dict[str, Any]) -> None:
    working = standalone("working")
    for turn, wanted, slice_axis in zip(TURNS, (None, (1.0, 1.0, 2.2), (2.4, 1.0, 1.0), None), "zzxy", strict=True):
        image, affine = scan(turn, (1.0, 1.3, 0.8), kind)
        plan = CasePlan(wanted, slice_axis, normalisation, LABELS, 2)  # pyright: ignore[reportArgumentType]
        expected = working_scan(image, Geometry.from_array(image.shape[1:], affine), plan)
        facts = {
            "axes": expected.grid.axes,
            "spacing_mm": None if wanted is None else dict(zip("xyz", wanted, strict=True)),
            "normalisation": normalisation,
            "labels": [{"value": value} for value in LABELS.values],
            "post_process": [],
        }
        found, background, box, whole = working.prepare(image, affine, facts)
        np.testing.assert_allclose(found, expected.image, rtol=2e-4, atol=2e-4)
        np.testing.assert_allclose(background, expected.background, rtol=2e-4, atol=2e-4)
        assert tuple((part.start, part.stop) for part in box) == expected.grid.crop
        assert tuple(whole) == expected.grid.full_shape
        probs = np.random.default_rng(1).dirichlet([0.3] * 3, expected.grid.shape).astype(np.float32)
        probs = np.moveaxis(probs, -1, 0)
        values = working.restore(probs, affine, image.shape[1:], box, whole, facts)
        np.testing.assert_array_equal(values, LABELS.to_values(expected.grid.argmax_to_native(probs)))
        assert values.dtype == np.uint8


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp"])
@pytest.mark.parametrize(("colour", "channels"), [(True, CHANNELS), (False, CHANNELS), (False, ("image",))])
def test_a_picture_is_read_as_equireg_reads_it(
    tmp_path: Path, name: str, colour: bool, channels: tuple[str, ...]
) -> None:
    working, path = standalone("working"), save(tmp_path, name, photo(disc(), colour=colour))
    [case] = discover_inputs(path, channels)
    expected, geometry = case.read_image()
    image, affine, first = working.read([path], {"channels": channels, "axes": "zyx"})
    np.testing.assert_array_equal(image, expected)
    np.testing.assert_array_equal(affine, geometry.affine)
    labels = disc()
    working.write(tmp_path / "mask.png", labels.T[..., None], first)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "mask.png")), labels)


def test_a_picture_of_16_bits_whose_0_is_white_is_read_as_equireg_reads_it(tmp_path: Path) -> None:
    path = tiff(tmp_path / "a.tif", np.arange(12, dtype=np.uint16).reshape(3, 4), photometric=0)
    [case] = discover_inputs(path, ["image"])
    image, *_ = standalone("working").read([path], {"channels": ("image",), "axes": "zyx"})
    np.testing.assert_array_equal(image, case.read_image()[0])


def test_nifti_2_is_read_as_equireg_reads_it_and_its_mask_lies_there(tmp_path: Path) -> None:
    image, affine = scan("LPS", (1.0, 1.5, 2.0), "tissue")
    path = tmp_path / "a.nii.gz"
    nib.Nifti2Image(image[0], affine).to_filename(path)
    working = standalone("working")
    found, place, first = working.read([path], {"channels": ["image"], "axes": "zyx"})
    expected, geometry = read_image([path])
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(place, geometry.affine_array)
    working.write(tmp_path / "mask.nii.gz", (found[0] > 60).astype(np.uint8), first)
    mask, lies = read_image([tmp_path / "mask.nii.gz"])
    assert lies.affine == geometry.affine
    np.testing.assert_array_equal(mask[0], expected[0] > 60)


def test_a_picture_that_may_be_transparent_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, "a.png", np.zeros((4, 5, 4), np.uint8))
    with pytest.raises(SystemExit, match="save it without transparency"):
        standalone("working").read([path], {"channels": CHANNELS, "axes": "zyx"})


def test_a_file_of_two_axes_is_a_slice_and_its_mask_has_two_axes(tmp_path: Path) -> None:
    working, path = standalone("working"), tmp_path / "a.nii.gz"
    pixels = np.arange(20, dtype=np.float32).reshape(4, 5)
    nib.Nifti1Image(pixels, np.eye(4)).to_filename(path)
    image, _, first = working.read([path], {"channels": ["image"], "axes": "zyx"})
    np.testing.assert_array_equal(image, pixels[None, :, :, None])
    working.write(tmp_path / "mask.nii.gz", pixels.astype(np.uint8)[..., None], first)
    np.testing.assert_array_equal(nib.Nifti1Image.load(tmp_path / "mask.nii.gz").get_fdata(), pixels)


@pytest.mark.parametrize("turn", TURNS)
def test_a_further_file_is_turned_to_the_axes_of_the_first(tmp_path: Path, turn: str) -> None:
    image, affine = scan("RAS", (1.0, 1.3, 0.8), "tissue")
    first = nib.Nifti1Image(image[0], affine)
    to = nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt(turn))
    files = [tmp_path / "a_0000.nii.gz", tmp_path / "a_0001.nii.gz"]
    first.to_filename(files[0])
    nib.Nifti1Image(image[1], affine).as_reoriented(to.tolist()).to_filename(files[1])
    found, place, _ = standalone("working").read(files, {"channels": ["t1", "t2"], "axes": "zyx"})
    np.testing.assert_array_equal(found, read_image(files)[0])
    np.testing.assert_array_equal(found, image)
    np.testing.assert_allclose(place, affine)


@pytest.mark.parametrize(("off_mm", "shape"), [(0.3, (4, 5, 6)), (28.0, (4, 5, 6)), (0.0, (4, 5, 7))])
def test_a_further_file_that_lies_elsewhere_is_refused(tmp_path: Path, off_mm: float, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    files = [tmp_path / "a_0000.nii.gz", tmp_path / "a_0001.nii.gz"]
    affine = np.eye(4)
    nib.Nifti1Image(rng.random((4, 5, 6)).astype(np.float32), affine).to_filename(files[0])
    affine[1, 3] = off_mm
    nib.Nifti1Image(rng.random(shape).astype(np.float32), affine).to_filename(files[1])
    with pytest.raises(SystemExit, match=r"a_0001.nii.gz: has .* in the same place"):
        standalone("working").read(files, {"channels": ["t1", "t2"], "axes": "zyx"})


def test_capitals_in_an_ending_are_read_and_a_mask_has_no_window_of_the_scan(tmp_path: Path) -> None:
    working, path = standalone("working"), tmp_path / "SCAN.NII.GZ"
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    written = nib.Nifti1Image(values, np.eye(4))
    written.header["cal_min"], written.header["cal_max"] = 50, 150
    written.header.set_intent("estimate", (), "tissue")
    written.to_filename(path)
    image, _, first = working.read([path], {"channels": ["image"], "axes": "zyx"})
    np.testing.assert_array_equal(image[0], values)
    working.write(tmp_path / "MASK.NII.GZ", values.astype(np.uint8), first)
    mask = nib.Nifti1Image.load(tmp_path / "MASK.NII.GZ")
    np.testing.assert_array_equal(mask.get_fdata(), values)
    assert (mask.header["cal_min"], mask.header["cal_max"], mask.header.get_intent()[0]) == (0, 0, "none")


@pytest.mark.parametrize(
    ("voxels", "finding"),
    [([0, np.nan], "a.nii.gz: the channel t1 has voxels that are NaN or infinite"), ([7, 7], "t2 is empty, every")],
)
def test_what_is_no_scan_is_refused(tmp_path: Path, voxels: list[float], finding: str) -> None:
    for name, values in (("t2", voxels[:1] * 2), ("a", voxels)):
        image = np.array(values, np.float32).reshape(2, 1, 1)
        nib.Nifti1Image(image, np.eye(4)).to_filename(tmp_path / f"{name}.nii.gz")
    files = [tmp_path / "t2.nii.gz", tmp_path / "a.nii.gz"]
    with pytest.raises(SystemExit, match=finding):
        standalone("working").read(files, {"channels": ["t2", "t1"], "axes": "zyx"})


@pytest.mark.parametrize("inside", [0.0, 7.0])
def test_masks_and_empty_channels_are_normalised_as_equireg_does(
    inside: float, capsys: pytest.CaptureFixture[str]
) -> None:
    working = standalone("working")
    image = np.random.default_rng(0).normal(size=(2, 4, 4, 4)).astype(np.float32)
    image[1] = 0
    image[1, 1:3, 1:3, 1:3] = inside
    working.check(image, [Path("a.nii.gz")], {"channels": ["t1", "mask"]})
    assert ("a.nii.gz: the channel mask is empty" in capsys.readouterr().err) == (inside == 0)
    scaled, _, background = working.normalise(image[1], {"name": "zscore"}, 1)
    expected = normalise(image, [None, 0.0], {"name": "zscore"})
    np.testing.assert_array_equal(scaled, expected.image[1])
    assert background == expected.background[1]


@pytest.mark.parametrize("values", [(0, 1), (0, 300), (0, 40_000), (0, 80_000), (-1, 200), (-1, 40_000)])
def test_masks_hold_every_label_value(values: tuple[int, int]) -> None:
    working = standalone("working")
    facts = {"axes": "zyx", "labels": [{"value": value} for value in values], "post_process": []}
    probs = np.zeros((2, 2, 1, 1), np.float32)
    probs[0, 0] = probs[1, 1] = 1
    box = [slice(0, 2), slice(0, 1), slice(0, 1)]
    mask = working.restore(probs, np.eye(4), (1, 1, 2), box, [2, 1, 1], facts)
    assert mask.ravel().tolist() == list(values)


def test_small_components_are_removed_as_equireg_removes_them() -> None:
    keep = standalone("components").keep
    rng = np.random.default_rng(0)
    smooth = sum(np.roll(rng.random((14, 15, 16)), shift, axis) for axis in range(3) for shift in (-1, 0, 1))
    classes = np.digitize(smooth, np.quantile(smooth, [0.85, 0.93])).astype(np.uint8)
    classes[2, :, 2] = 1  # long and thin
    for step, rest in (((Step("whole")), 0), (Step("core", 12.0), 2), (Step("whole", 30.0), 0)):
        post = PostProcessing((step,))
        expected = applied(post, classes, LABELS, 1.5)
        whole = [1, 2] if step.region == "whole" else [1]
        found = keep(classes, [{"classes": whole, "rest": rest, "smallest_mm3": step.smallest_mm3}], 1.5)
        np.testing.assert_array_equal(found, expected)
        assert (expected != classes).any()


def test_small_components_are_those_of_the_sheared_voxels(monkeypatch: pytest.MonkeyPatch) -> None:
    components, working = standalone("components"), standalone("working")
    monkeypatch.setitem(sys.modules, "components", components)
    step = {"classes": [1], "rest": 0, "smallest_mm3": 3.0}
    facts = {"axes": "zyx", "labels": [{"value": 0}, {"value": 1}], "post_process": [step]}
    probs = np.zeros((2, 1, 1, 1), np.float32)
    probs[1] = 1
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    affine[1, 2] = 3.0  # one voxel: 2 mm3, and the product of its spacings 3.6 mm3
    mask = working.restore(probs, affine, (1, 1, 1), [slice(0, 1)] * 3, [1, 1, 1], facts)
    assert mask.ravel().tolist() == [0]


def test_a_negative_voxel_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    nib.Nifti1Image(np.zeros((4, 5, 6), np.uint8), np.eye(4)).to_filename(path)
    content = bytearray(path.read_bytes())
    content[80:84] = np.array(-1, "<f4").tobytes()
    path.write_bytes(bytes(content))
    with pytest.raises(SystemExit, match="negative voxel size"):
        standalone("working").read([path], {"channels": ["image"], "axes": "zyx"})


def test_headers_that_say_two_things_are_refused() -> None:
    place, facts = standalone("working").place, {"axes": "zyx"}
    plain = nib.Nifti1Image(np.zeros((4, 5, 6), np.uint8), np.diag([1.0, 2.0, 3.0, 1.0])).header
    np.testing.assert_allclose(place(plain, (4, 5, 6), facts), np.diag([1.0, 2.0, 3.0, 1.0]))
    nowhere = plain.copy()
    nowhere["qform_code"] = nowhere["sform_code"] = 0
    np.testing.assert_allclose(place(nowhere, (4, 5, 6), facts), np.diag([-1.0, -2.0, 3.0, 1.0]))
    turned = plain.copy()
    turned.set_qform(np.diag([-1.0, 2.0, 3.0, 1.0]), 1)
    metres = plain.copy()
    metres["xyzt_units"] = 1
    for header in (turned, metres):
        with pytest.raises(SystemExit, match="two things"):
            place(header, (4, 5, 6), facts)
    with pytest.raises(SystemExit, match="single slice"):
        place(plain, (1, 5, 6), facts)

"""Reading scans and masks in every format, each kind of bad file, and writing."""

import errno
import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from equireg.errors import EquiregError
from equireg.imaging import volume
from equireg.imaging.volume import Geometry, read_geometry, read_image, read_label, write_label, write_probabilities

RAS = np.diag([1.0, 2.0, 3.0, 1.0])
LPS = np.array([[-1.0, 0, 0, 90], [0, -2.0, 0, 120], [0, 0, 3.0, -50], [0, 0, 0, 1]])


def oblique() -> np.ndarray:
    a, b = np.deg2rad([25.0, -12.0])
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = about_z @ about_x @ np.diag([0.9, 1.1, 4.0])
    affine[:3, 3] = [-80.5, 33.25, 12.125]
    return affine


FRAMES = {"ras": RAS, "lps": LPS, "oblique": oblique()}


def voxels(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def save(path: Path, array: np.ndarray, affine: np.ndarray = RAS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def error_of(call: Callable[[], object], path: Path) -> str:
    """Return the message of the error, which must begin with the file."""
    with pytest.raises(EquiregError) as caught:
        call()
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("frame", FRAMES)
def test_nifti_keeps_its_own_axes(tmp_path, frame, ending):
    path = save(tmp_path / f"a{ending}", voxels(2, 3, 4), FRAMES[frame])
    image, geometry = read_image([path])
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, voxels(2, 3, 4)[None])
    np.testing.assert_allclose(geometry.affine_array, FRAMES[frame], atol=1e-5)
    assert geometry == read_geometry(path)[0]


@pytest.mark.parametrize("ending", [".mha", ".nrrd"])
@pytest.mark.parametrize("frame", FRAMES)
def test_itk_files_agree_with_nifti(tmp_path, frame, ending):
    nifti = save(tmp_path / "a.nii.gz", voxels(2, 3, 4), FRAMES[frame])
    sitk.WriteImage(sitk.ReadImage(str(nifti)), str(tmp_path / f"a{ending}"))
    expected, expected_geometry = read_image([nifti])
    found, geometry = read_image([tmp_path / f"a{ending}"])
    np.testing.assert_array_equal(found, expected)
    assert geometry.shape == expected_geometry.shape
    assert geometry.corner_distance_mm(expected_geometry) < 1e-4


def test_itk_affine_is_exact_for_plain_numbers(tmp_path):
    image = sitk.GetImageFromArray(voxels(4, 3, 2))  # numpy order z, y, x
    image.SetSpacing((0.5, 2.0, 3.0))
    image.SetOrigin((10.0, -20.0, 30.0))
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    geometry, channels = read_geometry(tmp_path / "a.mha")
    assert channels == 1
    assert geometry.shape == (2, 3, 4)
    expected = [[-0.5, 0, 0, -10], [0, -2, 0, 20], [0, 0, 3, 30], [0, 0, 0, 1]]  # LPS x and y change sign
    np.testing.assert_array_equal(geometry.affine_array, expected)


def test_fourth_axis_holds_channels(tmp_path):
    path = save(tmp_path / "a.nii.gz", voxels(2, 3, 4, 5))
    image, geometry = read_image([path])
    np.testing.assert_array_equal(image, np.moveaxis(voxels(2, 3, 4, 5), -1, 0))
    assert read_geometry(path) == (geometry, 5)
    picked, _ = read_image([path], picks=(3, 0))
    np.testing.assert_array_equal(picked, image[[3, 0]])


@pytest.mark.parametrize("ending", [".mha", ".nrrd"])
def test_vector_values_are_channels(tmp_path, ending):
    array = voxels(4, 3, 2, 5)  # z, y, x, component
    image = sitk.GetImageFromArray(array, isVector=True)
    sitk.WriteImage(image, str(tmp_path / f"a{ending}"))
    found, geometry = read_image([tmp_path / f"a{ending}"])
    assert geometry.shape == (2, 3, 4)
    np.testing.assert_array_equal(found, array.transpose(3, 2, 1, 0))
    assert read_geometry(tmp_path / f"a{ending}")[1] == 5


def test_fourth_axis_of_an_itk_file_holds_channels(tmp_path):
    array = voxels(5, 4, 3, 2)  # channel, z, y, x
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=False), str(tmp_path / "a.nrrd"))
    found, _ = read_image([tmp_path / "a.nrrd"])
    np.testing.assert_array_equal(found, array.transpose(0, 3, 2, 1))


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 1, 1), (4, 3, 1)])
def test_flat_images_are_one_slice(tmp_path, shape):
    path = save(tmp_path / "a.nii.gz", voxels(*shape))
    image, geometry = read_image([path])
    assert geometry.shape == (4, 3, 1)
    np.testing.assert_array_equal(image.ravel(), voxels(*shape).ravel())


def test_flat_itk_image_is_one_slice(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(voxels(3, 4)), str(tmp_path / "a.mha"))
    image, geometry = read_image([tmp_path / "a.mha"])
    assert geometry.shape == (4, 3, 1)
    np.testing.assert_array_equal(image[0, :, :, 0], voxels(3, 4).T)


def test_intensity_scale_is_applied(tmp_path):
    image = nib.Nifti1Image(voxels(2, 2, 2).astype(np.int16), RAS)
    image.header.set_slope_inter(2.0, -5.0)
    nib.save(image, tmp_path / "a.nii.gz")
    stored = nib.Nifti1Image.from_filename(tmp_path / "a.nii.gz").get_fdata()
    np.testing.assert_array_equal(read_image([tmp_path / "a.nii.gz"])[0][0], stored)


def test_files_are_channels_in_the_order_given(tmp_path):
    paths = [save(tmp_path / f"{name}.nii.gz", voxels(2, 3, 4) * factor) for name, factor in (("b", 2), ("a", 5))]
    image, _ = read_image(paths)
    np.testing.assert_array_equal(image, np.stack([voxels(2, 3, 4) * 2, voxels(2, 3, 4) * 5]))


def test_missing_file(tmp_path):
    path = tmp_path / "nowhere.nii.gz"
    assert "no such file" in error_of(lambda: read_image([path]), path)


@pytest.mark.parametrize("keep", [0, 20, 200, 3000])
def test_truncated_gzip(tmp_path, keep):
    noise = np.random.default_rng(0).normal(size=(16, 16, 16)).astype(np.float32)
    path = save(tmp_path / "a.nii.gz", noise)
    path.write_bytes(path.read_bytes()[:keep])
    assert "cut short" in error_of(lambda: read_image([path]), path)


@pytest.mark.parametrize("ending", [".nii", ".mha", ".nrrd"])
@pytest.mark.parametrize("keep", [0, 100, 0.5])
@pytest.mark.parametrize("compressed", [False, True])
def test_truncated_file(tmp_path, ending, keep, compressed):
    noise = np.random.default_rng(0).normal(size=(16, 16, 16)).astype(np.float32)
    path = tmp_path / f"a{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(noise), str(path), useCompression=compressed)
    content = path.read_bytes()
    path.write_bytes(content[: keep if isinstance(keep, int) else int(len(content) * keep)])
    assert "cut short" in error_of(lambda: read_image([path]), path)


@pytest.mark.parametrize("ending", volume.EXTENSIONS)
def test_text_is_not_an_image(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    path.write_text("this is a letter " * 100)
    assert "cannot be read as an image" in error_of(lambda: read_geometry(path), path)


def test_the_pointer_of_git_lfs_is_called_so(tmp_path):
    path = tmp_path / "a.nii.gz"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert "`git lfs pull`" in error_of(lambda: read_geometry(path), path)


def test_unknown_ending_and_folder(tmp_path):
    path = tmp_path / "a.gif"
    path.write_bytes(b"x")
    assert ".nii.gz" in error_of(lambda: read_geometry(path), path)
    assert "folder" in error_of(lambda: read_geometry(tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 2, 2), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")]), "plain numbers"),
        (voxels(2, 2, 2, 2, 3), "(2, 2, 2, 2, 3)"),
        (np.full((2, 3, 4), 7.0, dtype=np.float32), "every voxel is 7"),
        (np.where(voxels(2, 3, 4) == 0, 1e300, voxels(2, 3, 4).astype(np.float64)), "1 voxels"),
    ],
    ids=["colours", "five axes", "one value", "beyond float32"],
)
def test_an_array_that_is_no_scan(tmp_path, array, words):
    path = save(tmp_path / "a.nii.gz", array)
    assert words in error_of(lambda: read_image([path]), path)


def test_channels_of_another_shape(tmp_path):
    first = save(tmp_path / "t1.nii.gz", voxels(2, 3, 4))
    second = save(tmp_path / "t2.nii.gz", voxels(2, 3, 5))
    message = error_of(lambda: read_image([first, second]), second)
    assert "(2, 3, 5)" in message
    assert "(2, 3, 4)" in message
    assert "t1.nii.gz" in message


def test_channels_elsewhere(tmp_path):
    moved = RAS.copy()
    moved[0, 3] = 0.25
    first = save(tmp_path / "t1.nii.gz", voxels(2, 3, 4))
    second = save(tmp_path / "t2.nii.gz", voxels(2, 3, 4), moved)
    assert "0.25 mm" in error_of(lambda: read_image([first, second]), second)


def test_rounding_of_an_affine_is_forgiven(tmp_path):
    moved = RAS.copy()
    moved[0, 3] = 5e-4
    paths = [
        save(tmp_path / "t1.nii.gz", voxels(2, 3, 4)),
        save(tmp_path / "t2.nii.gz", voxels(2, 3, 4), moved),
    ]
    assert read_image(paths)[0].shape == (2, 2, 3, 4)


def test_a_small_angle_counts_by_the_distance_at_the_far_corner():
    turned = np.eye(4)
    turned[:2, :2] = [[1, -1e-4], [1e-4, 1]]
    short, long = ((4, 4, 4), (400, 400, 4))
    assert Geometry.from_array(short, np.eye(4)).corner_distance_mm(Geometry.from_array(short, turned)) < 1e-3
    assert Geometry.from_array(long, np.eye(4)).corner_distance_mm(Geometry.from_array(long, turned)) > 1e-2


def test_several_files_hold_one_channel_each(tmp_path):
    first = save(tmp_path / "t1.nii.gz", voxels(2, 3, 4))
    second = save(tmp_path / "t2.nii.gz", voxels(2, 3, 4, 2))
    assert "2 channels" in error_of(lambda: read_image([first, second]), second)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_not_finite(tmp_path, bad):
    array = voxels(2, 3, 4)
    array[0, 0, :3] = bad
    path = save(tmp_path / "a.nii.gz", array)
    assert "3 voxels that are NaN or infinite" in error_of(lambda: read_image([path]), path)
    assert "3 voxels" in error_of(lambda: read_label(path, read_geometry(path)[0]), path)


def test_a_constant_channel_beside_others_is_named_and_read(tmp_path, caplog):
    array = voxels(2, 3, 4, 2)
    array[..., 1] = 0
    path = save(tmp_path / "a.nii.gz", array)
    assert read_image([path], picks=(0,))[0].shape == (1, 2, 3, 4)
    assert caplog.messages == []
    assert not read_image([path])[0][1].any()
    assert f"{path}: channel 2 of 2 is empty, every voxel is 0. It is used beside" in caplog.text
    files = [save(tmp_path / f"{index}.nii.gz", array[..., index]) for index in range(2)]
    assert read_image(files)[0].shape == (2, 2, 3, 4)
    assert f"{files[1]}: is empty, every voxel is 0. It is used beside" in caplog.text
    assert "is empty, every voxel is 0; expected" in error_of(lambda: read_image([files[1], files[1]]), files[1])
    assert "channel 2 of 2 is empty" in error_of(lambda: read_image([path], picks=(1,)), path)


@pytest.mark.parametrize("row", [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [np.nan, 0.0, 0.0]])
def test_affine_that_spans_no_space(tmp_path, row):
    content = bytearray(nib.Nifti1Image(voxels(2, 3, 4), np.eye(4)).to_bytes())
    content[296:308] = np.array(row, dtype="<f4").tobytes()  # srow_y of the header, whatever nibabel mends on saving
    path = tmp_path / "a.nii"
    path.write_bytes(bytes(content))
    assert "affine" in error_of(lambda: read_geometry(path), path)


def test_label_values(tmp_path):
    path = save(tmp_path / "a.nii.gz", (voxels(2, 3, 4) % 5).astype(np.float32))
    label = read_label(path, read_geometry(path)[0])
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label, voxels(2, 3, 4) % 5)


def test_label_stored_with_a_scale_is_whole(tmp_path):
    image = nib.Nifti1Image((voxels(2, 3, 4) % 5).astype(np.float64), RAS)
    image.set_data_dtype(np.int16)  # nibabel picks a scale that uses the full range
    nib.save(image, tmp_path / "a.nii.gz")
    label = read_label(tmp_path / "a.nii.gz", read_geometry(tmp_path / "a.nii.gz")[0])
    np.testing.assert_array_equal(label, voxels(2, 3, 4) % 5)


@pytest.mark.parametrize("highest", [2, 3, 4, 7])
def test_labels_spread_over_a_byte_are_rounded(tmp_path, highest):
    ids = np.arange(24).reshape(2, 3, 4) % (highest + 1)
    image = nib.Nifti1Image(ids.astype(np.float64), RAS)
    image.set_data_dtype(np.uint8)  # as with the header of another mask: 1 of 2 becomes 127 or 128 x 2/255
    nib.save(image, tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read_label(tmp_path / "a.nii.gz", read_geometry(tmp_path / "a.nii.gz")[0]), ids)


@pytest.mark.parametrize("slope", [1 / 255, 0.02, 0.3])
def test_plain_ids_under_a_scale_stay_ids(tmp_path, slope):
    ids = (np.arange(24).reshape(2, 3, 4) % 5).astype(np.uint8)
    content = bytearray(nib.Nifti1Image(ids, RAS).to_bytes())
    content[112:116] = np.array([slope], dtype="<f4").tobytes()  # scl_slope
    (tmp_path / "a.nii").write_bytes(content)
    np.testing.assert_array_equal(read_label(tmp_path / "a.nii", read_geometry(tmp_path / "a.nii")[0]), ids)


def test_label_of_another_shape(tmp_path):
    scan = save(tmp_path / "scan.nii.gz", voxels(2, 3, 4))
    mask = save(tmp_path / "mask.nii.gz", np.zeros((2, 3, 3), dtype=np.uint8))
    message = error_of(lambda: read_label(mask, read_geometry(scan)[0]), mask)
    assert "(2, 3, 3)" in message
    assert "(2, 3, 4)" in message


def test_label_elsewhere(tmp_path):
    scan = save(tmp_path / "scan.nii.gz", voxels(2, 3, 4), LPS)
    mask = save(tmp_path / "mask.nii.gz", np.zeros((2, 3, 4), dtype=np.uint8), RAS)
    assert "another affine" in error_of(lambda: read_label(mask, read_geometry(scan)[0]), mask)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.where(voxels(2, 3, 4) == 17, np.float32(0.5), np.float32(0)), "0.5"),
        (np.where(voxels(2, 3, 4) == 17, np.float32(-1), np.float32(0)), "-1"),
        (np.zeros((2, 3, 4, 2), dtype=np.uint8), "2 channels"),
    ],
)
def test_an_array_that_is_no_mask(tmp_path, array, words):
    mask = save(tmp_path / "mask.nii.gz", array)
    assert words in error_of(lambda: read_label(mask, read_geometry(mask)[0]), mask)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize(("highest", "dtype"), [(4, "uint8"), (300, "uint16"), (70000, "uint32")])
def test_written_label_is_its_scan_s_twin(tmp_path, frame, highest, dtype):
    _, geometry = read_image([save(tmp_path / "scan.nii.gz", voxels(2, 3, 4), FRAMES[frame])])
    values = np.zeros((2, 3, 4), dtype=np.int64)
    values[1, 2, 3] = highest
    out = tmp_path / "mask.nii.gz"
    write_label(out, values, geometry)
    assert read_geometry(out)[0] == geometry  # sform exact, as both come from float32
    np.testing.assert_array_equal(read_label(out, geometry), values)
    header = nib.Nifti1Image.from_filename(out).header
    assert header.get_data_dtype() == dtype
    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 1)
    assert header.get_xyzt_units()[0] == "mm"
    np.testing.assert_allclose(header.get_zooms(), geometry.spacing_mm, rtol=1e-5)
    np.testing.assert_allclose(np.asarray(header.get_qform()), geometry.affine_array, atol=1e-3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mask.nii.gz", "scan.nii.gz"]


def test_masks_of_scans_longer_than_nifti_1_can_state(tmp_path):
    values = np.zeros((2**15, 2, 1), dtype=np.uint8)
    values[-1, 1] = 3
    nib.save(nib.Nifti2Image(values, RAS), tmp_path / "scan.nii.gz")
    geometry, _ = read_geometry(tmp_path / "scan.nii.gz")
    write_label(tmp_path / "mask.nii.gz", values, geometry)
    assert read_geometry(tmp_path / "mask.nii.gz")[0] == geometry
    np.testing.assert_array_equal(read_label(tmp_path / "mask.nii.gz", geometry), values)


def test_the_mask_of_a_flat_itk_image_has_two_axes(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(voxels(3, 4)), str(tmp_path / "a.mha"))
    geometry, _ = read_geometry(tmp_path / "a.mha")
    write_label(tmp_path / "mask.nii.gz", np.ones((4, 3, 1), dtype=np.uint8), geometry)
    assert nib.Nifti1Image.from_filename(tmp_path / "mask.nii.gz").shape == (4, 3)


def test_a_folder_that_is_called_like_the_home_is_written_into(tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    (tmp_path / "~").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    _, geometry = read_image([save(tmp_path / "scan.nii.gz", voxels(2, 3, 4))])
    write_label(Path("~/mask.nii.gz"), np.ones((2, 3, 4), np.uint8), geometry)
    assert [path.name for path in (tmp_path / "~").iterdir()] == ["mask.nii.gz"]


def test_the_mask_of_two_axes_has_two_axes(tmp_path):
    for name, shape in (("flat", (3, 4)), ("slice", (3, 4, 1))):
        image, geometry = read_image([save(tmp_path / f"{name}.nii.gz", voxels(*shape))])
        write_label(
            tmp_path / f"{name}_mask.nii.gz", (image[0] > 0).astype(np.uint8), Geometry.from_dict(geometry.as_dict())
        )
        assert nib.Nifti1Image.from_filename(tmp_path / f"{name}_mask.nii.gz").shape == shape
        assert read_label(tmp_path / f"{name}_mask.nii.gz", geometry).shape == (3, 4, 1)


def test_written_label_lies_where_itk_reads_it(tmp_path):
    geometry = Geometry.from_array((2, 3, 4), oblique())
    write_label(tmp_path / "mask.nii.gz", np.zeros((2, 3, 4), dtype=np.uint8), geometry)
    image = sitk.ReadImage(str(tmp_path / "mask.nii.gz"))
    expected = oblique() @ [1, 2, 3, 1]
    found = image.TransformIndexToPhysicalPoint((1, 2, 3))
    np.testing.assert_allclose(np.array(found) * [-1, -1, 1], expected[:3], atol=1e-3)


def test_written_probabilities_have_classes_last(tmp_path):
    geometry = Geometry.from_array((2, 3, 4), LPS)
    probs = np.random.default_rng(0).dirichlet([1, 1, 1], size=(2, 3, 4)).transpose(3, 0, 1, 2)
    write_probabilities(tmp_path / "p.nii.gz", probs, geometry)
    stored = nib.Nifti1Image.from_filename(tmp_path / "p.nii.gz")
    assert stored.shape == (2, 3, 4, 3)
    assert stored.get_data_dtype() == np.float32
    found, found_geometry = read_image([tmp_path / "p.nii.gz"])
    np.testing.assert_allclose(found, probs, rtol=1e-6)
    assert found_geometry == geometry


def test_writing_refuses_another_shape(tmp_path):
    with pytest.raises(ValueError, match="expected \\(2, 3, 4\\)"):
        write_label(tmp_path / "m.nii.gz", np.zeros((2, 3, 3)), Geometry.from_array((2, 3, 4), RAS))


def test_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    geometry = Geometry.from_array((2, 3, 4), RAS)
    out = tmp_path / "mask.nii.gz"
    write_label(out, np.ones((2, 3, 4), dtype=np.uint8), geometry)

    def fill_up(image, path):
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("nibabel.save", fill_up)
    with pytest.raises(EquiregError, match="the disk is full"):
        write_label(out, np.zeros((2, 3, 4), dtype=np.uint8), geometry)
    assert read_label(out, geometry).min() == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mask.nii.gz"]


def test_geometry_survives_json():
    geometry = Geometry.from_array((2, 3, 4), oblique())
    assert Geometry.from_dict(json.loads(json.dumps(geometry.as_dict()))) == geometry
    np.testing.assert_allclose(geometry.spacing_mm, (0.9, 1.1, 4.0))

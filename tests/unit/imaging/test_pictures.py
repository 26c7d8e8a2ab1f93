"""Pictures as scans."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from equireg.errors import EquiregError
from equireg.imaging.formats import read_header
from equireg.imaging.limits import Limits
from equireg.imaging.pictures import is_grey
from equireg.imaging.volume import read_geometry, read_image
from pictures_made_up import disc, photo, png16, save, tiff

PHOTO = photo(disc())


def error_of(path, *, limits=None):
    with pytest.raises(EquiregError) as caught:
        read_image([path], limits=limits or Limits())
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    return text


@pytest.mark.parametrize("ending", ["png", "tif", "tiff", "bmp", "webp"])
def test_colours_are_three_channels_and_columns_come_first(tmp_path, ending):
    options = {"lossless": True} if ending == "webp" else {}
    image, geometry = read_image([save(tmp_path, f"a.{ending}", PHOTO, **options)])
    assert image.shape == (3, 40, 32, 1)
    assert geometry.shape == (40, 32, 1)
    assert geometry.spacing_mm == (1.0, 1.0, 1.0)
    np.testing.assert_array_equal(image[..., 0], PHOTO.transpose(2, 1, 0))


def test_jpeg_and_grey(tmp_path):
    image, _ = read_image([save(tmp_path, "a.JPG", PHOTO, format="JPEG", quality=95)])
    assert np.abs(image[..., 0] - PHOTO.transpose(2, 1, 0)).mean() < 12
    image, _ = read_image([save(tmp_path, "b.png", PHOTO[..., 0])])
    np.testing.assert_array_equal(image[0, ..., 0], PHOTO[..., 0].T)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_grey_of_16_bits(tmp_path, ending):
    deep = PHOTO[..., 0].astype(np.uint16) * 250
    path = save(tmp_path, f"a.{ending}", deep)
    image, _ = read_image([path])
    assert read_header(path).dtype == np.uint16
    np.testing.assert_array_equal(image[0, ..., 0], deep.T)


def test_grey_of_16_bits_with_transparency_keeps_its_bits(tmp_path):
    deep = np.arange(5, 3845, 60, dtype=np.uint16).reshape(8, 8)
    opaque = np.stack([deep, np.full_like(deep, 65535)], -1)
    for path in (png16(tmp_path / "a.png", opaque), png16(tmp_path / "b.png", deep, transparent=9999)):
        image, _ = read_image([path])
        assert read_header(path).dtype == np.uint16
        np.testing.assert_array_equal(image[0, ..., 0], deep.T)
    opaque[0, 0, 1] = 65534
    assert "1 pixels that are transparent, of 64" in error_of(png16(tmp_path / "c.png", opaque))
    assert "1 pixels that are transparent, of 64" in error_of(png16(tmp_path / "d.png", deep, transparent=65))


@pytest.mark.parametrize(("white", "expected"), [(1, 7), (0, 65535 - 7)])
def test_grey_of_16_bits_is_turned_round_where_0_is_white(tmp_path, white, expected):
    path = tiff(tmp_path / "a.tif", np.array([[7, 100], [7, 7]], np.uint16), photometric=white)
    image, _ = read_image([path])
    assert image[0, 1, 1, 0] == expected


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.full((3, 4), 0.5), "1 samples a pixel, floats of 64 bits"),
        (np.full((3, 4), 0.5, np.float16), "1 samples a pixel, floats of 16 bits"),
        (np.full((3, 4, 5), 9, np.uint8), "5 samples a pixel, whole numbers of 8 bits"),
        (np.full((3, 4, 2), 9, np.uint8), "2 samples a pixel"),
        (np.full((3, 4), 2**31 + 5, np.uint32), "above 2147483647"),
        (np.full((3, 4), -5, np.int8), "negative numbers of 8 bits"),
    ],
)
def test_numbers_of_tiff_that_would_be_lost_are_refused_with_their_kind(tmp_path, pixels, words):
    text = error_of(tiff(tmp_path / "a.tif", pixels))
    assert words in text
    assert "Copy it again" not in text


def test_a_tiff_that_pillow_does_not_open_is_told_by_its_colours_and_byte_order(tmp_path):
    text = error_of(tiff(tmp_path / "a.tif", np.full((3, 4, 3), 9, np.uint8)))
    assert "3 samples a pixel, whole numbers of 8 bits, that are grey; expected" in text
    text = error_of(tiff(tmp_path / "a.tif", np.full((3, 4), 9, np.uint16), photometric=0, order=">"))
    assert "whole numbers of 16 bits, that are grey whose 0 is white, big-endian; expected" in text


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_fourth_sample_of_no_meaning_is_refused_unless_it_only_fills(tmp_path, order):
    filled = np.dstack([PHOTO, np.full(PHOTO.shape[:2], 255, np.uint8)])
    image, _ = read_image([tiff(tmp_path / "a.tif", filled, 2, order, tag_338=0, tag_274=6)])
    np.testing.assert_array_equal(image[..., 0], np.rot90(PHOTO, -1).transpose(2, 1, 0))
    filled[3, 3, 3] = 0
    assert "4 samples a pixel, of which one" in error_of(tiff(tmp_path / "b.tif", filled, 2, order, tag_338=0))


def test_slices_in_one_page_of_a_tiff_are_refused(tmp_path):
    text = error_of(tiff(tmp_path / "a.tif", np.arange(12, dtype=np.uint16).reshape(3, 4), tag_32997=4))
    assert "holds 4 slices" in text
    assert "as one volume" in text


@pytest.mark.parametrize("kind", [np.uint32, np.int32, np.int8])
def test_numbers_of_tiff_that_are_kept(tmp_path, kind):
    pixels = np.arange(12, dtype=kind).reshape(3, 4)
    image, _ = read_image([tiff(tmp_path / "a.tif", pixels)])
    np.testing.assert_array_equal(image[0, ..., 0], pixels.T)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16, np.int32, np.float32])
def test_a_packed_tiff_is_read_in_its_own_byte_order(tmp_path, order, kind):
    pixels = np.arange(300, 312).astype(kind).reshape(3, 4)
    packed = zlib.compress((pixels if order == "<" else pixels.byteswap()).tobytes())
    path = tiff(tmp_path / "a.tif", pixels, order=order, tag_259=8, tag_279=len(packed))
    path.write_bytes(path.read_bytes()[: -pixels.nbytes] + packed)
    np.testing.assert_array_equal(read_image([path])[0][0, ..., 0], pixels.T)


@pytest.mark.parametrize("packing", [1, 8])
def test_a_tiff_that_leaves_out_empty_strips_is_refused(tmp_path, packing):
    path = tiff(tmp_path / "a.tif", np.zeros((3, 4), np.uint8), tag_259=packing, tag_279=0)
    content = path.read_bytes()
    entry = content.index(struct.pack("<HHI", 273, 4, 1)) + 8
    path.write_bytes(content[:entry] + bytes(4) + content[entry + 4 :])
    assert "a sparse TIFF" in error_of(path)


def test_smaller_copies_in_further_pages_are_passed_over(tmp_path):
    first, *others = (Image.fromarray(PHOTO[::step, ::step, 0]) for step in (1, 2, 4))
    for copy in others:
        copy.encoderinfo = {"tiffinfo": {254: 1}}
    path = tmp_path / "a.tif"
    first.save(path, save_all=True, append_images=others)
    np.testing.assert_array_equal(read_image([path])[0][0, ..., 0], PHOTO[..., 0].T)
    others[1].encoderinfo = {}
    first.save(path, save_all=True, append_images=others)
    assert "holds 3 pages" in error_of(path)


def test_floats_of_tiff_and_what_is_no_number(tmp_path):
    floats = PHOTO[..., 0].astype(np.float32) / 7
    image, _ = read_image([save(tmp_path, "a.tif", floats)])
    np.testing.assert_array_equal(image[0, ..., 0], floats.T)
    floats[3, 3] = np.nan
    assert "1 voxels that are NaN" in error_of(save(tmp_path, "b.tif", floats))


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp"])
def test_exif_orientation_is_applied_also_to_the_header(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    picture = Image.fromarray(PHOTO)
    exif = picture.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    picture.save(path, exif=exif, lossless=True)
    image, geometry = read_image([path])
    assert geometry.shape == read_geometry(path)[0].shape == (32, 40, 1)
    turned = np.rot90(PHOTO, -1).transpose(2, 1, 0)
    assert np.abs(image[..., 0] - turned).mean() < (15 if ending == "jpg" else 1e-6)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_an_unpacked_tiff_is_turned(tmp_path, kind):
    pixels = np.arange(48, dtype=kind).reshape(6, 8)
    for orientation, turns in ((6, -1), (8, 1)):
        path = tiff(tmp_path / "a.tif", pixels, tag_274=orientation)
        image, geometry = read_image([path])
        assert geometry.shape == (6, 8, 1)
        np.testing.assert_array_equal(image[0, ..., 0], np.rot90(pixels, turns).T)


def test_a_palette_becomes_colours(tmp_path):
    few = np.asarray(Image.fromarray(PHOTO).quantize(16).convert("RGB"))
    path = tmp_path / "a.png"
    Image.fromarray(PHOTO).quantize(16).save(path)
    image, _ = read_image([path])
    np.testing.assert_array_equal(image[..., 0], few.transpose(2, 1, 0))


def test_opaque_alpha_is_dropped_and_other_is_refused(tmp_path):
    alpha = np.full((32, 40, 1), 255, np.uint8)
    image, _ = read_image([save(tmp_path, "a.png", np.concatenate([PHOTO, alpha], axis=2))])
    assert image.shape == (3, 40, 32, 1)
    alpha[:2] = 7
    text = error_of(save(tmp_path, "b.png", np.concatenate([PHOTO, alpha], axis=2)))
    assert "80 pixels that are transparent" in text
    assert "without transparency" in text


def test_cmyk_and_colours_of_16_bits_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(PHOTO).convert("CMYK").save(path)
    assert "CMYK" in error_of(path)
    assert "Save it as RGB" in error_of(path)
    for channels in (3, 4):
        deep = np.full((8, 8, channels), 65535, np.uint16)
        assert "16 bits a channel" in error_of(png16(tmp_path / "a.png", deep))


def test_pages_and_frames_are_refused(tmp_path):
    first, *rest = (Image.fromarray(photo(disc(), seed)) for seed in range(3))
    first.save(tmp_path / "a.tif", save_all=True, append_images=rest)
    assert "3 pages" in error_of(tmp_path / "a.tif")
    assert "as one volume" in error_of(tmp_path / "a.tif")
    first.save(tmp_path / "b.webp", save_all=True, append_images=rest)
    assert "moving picture of 3 frames" in error_of(tmp_path / "b.webp")


def test_a_header_that_claims_too_much_is_refused_before_decoding(tmp_path):
    path = save(tmp_path, "a.png", PHOTO)
    assert "40 x 32 pixels; expected at most 100" in error_of(path, limits=Limits(max_voxels=100))
    content = path.read_bytes()

    def claim(side):
        header = b"IHDR" + side.to_bytes(4, "big") * 2 + content[24:29]
        path.write_bytes(content[:12] + header + zlib.crc32(header).to_bytes(4, "big") + content[33:])

    claim(9000)
    assert "9000 x 9000 pixels; expected what the file can hold" in error_of(path)
    claim(60000)
    assert "cut into tiles" in error_of(path)


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "bmp", "webp"])
def test_damage_is_one_line(tmp_path, ending):
    path = save(tmp_path, f"a.{ending}", PHOTO)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:20], b"", b"hello" * 99):
        path.write_bytes(content)
        assert "cannot be read as an image" in error_of(path)


def test_a_changed_byte_of_a_png_is_found(tmp_path):
    path = save(tmp_path, "a.png", PHOTO)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    assert "cannot be read as an image" in error_of(path)


def test_a_picture_of_one_colour_is_no_scan_but_one_without_blue_is(tmp_path):
    pixels = PHOTO.copy()
    pixels[..., 2] = 0
    assert read_image([save(tmp_path, "a.png", pixels)])[0].shape[0] == 3
    assert "every pixel is 7" in error_of(save(tmp_path, "b.png", np.full((8, 9), 7, np.uint8)))


def test_size_of_a_pixel_is_given_and_tags_are_not_believed(tmp_path):
    path = save(tmp_path, "a.png", PHOTO, dpi=(300, 300))
    assert read_geometry(path)[0].spacing_mm == (1.0, 1.0, 1.0)
    assert read_geometry(path, Limits(pixel_mm=0.25))[0].spacing_mm == (0.25, 0.25, 1.0)


def test_grey_in_colours_is_known(tmp_path):
    grey = np.repeat(PHOTO[..., :1], 3, axis=2)
    assert is_grey(save(tmp_path, "a.png", grey), Limits())
    assert not is_grey(save(tmp_path, "b.png", PHOTO), Limits())


def test_channels_may_be_picked_twice(tmp_path):
    path = save(tmp_path, "a.png", PHOTO[..., 0])
    image, _ = read_image([path], (0, 0, 0))
    np.testing.assert_array_equal(image[2], image[0])


def test_a_stream_of_another_kind_is_refused(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(PHOTO).save(buffer, "GIF")
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    assert "no PNG, JPEG, TIFF, BMP or WebP" in error_of(tmp_path / "a.png")

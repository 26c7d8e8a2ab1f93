"""Pictures as masks, in and out, and tables of colours."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equireg.errors import EquiregError
from equireg.imaging.colours import ColourTable, read_colours
from equireg.imaging.geometry import Geometry
from equireg.imaging.labels import LabelTable
from equireg.imaging.limits import LIMITS, Limits
from equireg.imaging.masks import MaskFiles, read_label_values
from equireg.imaging.picture_masks import look_of, read_picture_mask
from equireg.imaging.picture_writing import write_fractions, write_picture
from equireg.imaging.volume import read_image, read_label
from pictures_made_up import PALETTE, bmp, disc, grey_png, png16, save, save_palette, tiff

INDEX = disc() + disc(radius=4)  # 0, 1, 2
GEOMETRY = Geometry.from_array((40, 32, 1), np.diag([-1.0, -1.0, 1.0, 1.0]))
TABLE = ColourTable((((0, 0, 0), 0), ((200, 30, 30), 1), ((30, 200, 30), 2)))
NAMED = LabelTable((0, 1, 2), ("background", "polyp", "vessel"), colours=TABLE.colours())


def painted(index=INDEX, palette=PALETTE):
    return np.array(palette, np.uint8).reshape(-1, 3)[index]


def values_of(path, table=None):
    return read_label_values(path, Limits(colours=table))[0][..., 0].T


def refusal(path, table=None):
    with pytest.raises(EquiregError) as caught:
        values_of(path, table)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


@pytest.mark.parametrize("ending", ["png", "tif", "bmp"])
def test_grey_values_are_label_values(tmp_path, ending):
    np.testing.assert_array_equal(values_of(save(tmp_path, f"a.{ending}", INDEX)), INDEX)
    np.testing.assert_array_equal(values_of(save(tmp_path, f"b.{ending}", INDEX * np.uint8(127))), INDEX * 127)


def test_values_of_16_bits(tmp_path):
    deep = INDEX.astype(np.uint16) * 300
    np.testing.assert_array_equal(values_of(save(tmp_path, "a.png", deep)), deep)
    path = png16(tmp_path / "b.png", np.dstack([INDEX, np.full(INDEX.shape, 65535)]).astype(np.uint16))
    np.testing.assert_array_equal(values_of(path), INDEX)
    assert look_of(path, Limits()).look == "grey"


def test_stored_values_count_in_a_tiff_whose_0_is_white(tmp_path, caplog):
    for kind in (np.uint8, np.uint16):
        np.testing.assert_array_equal(values_of(tiff(tmp_path / "a.tif", INDEX.astype(kind), photometric=0)), INDEX)
    values_of(tiff(tmp_path / "b.tif", INDEX, photometric=0))
    assert caplog.text.count("say that 0 is white") == 1  # for all masks of a folder
    assert "background" in caplog.text
    white = ColourTable((((255, 255, 255), 0), ((0, 0, 0), 1)))
    turned = values_of(tiff(tmp_path / "c.tif", (INDEX > 0) * np.uint8(255), photometric=0), white)
    np.testing.assert_array_equal(turned, INDEX == 0)


@pytest.mark.parametrize(("declared", "white"), [((), 255), ((1,), 1), ((1, 2), 1), ((1, 255), 255), ((255,), 255)])
def test_white_of_one_bit_is_what_the_labels_declare(tmp_path, declared, white):
    path = save(tmp_path, "a.png", INDEX > 0)
    limits = Limits(segments=tuple((str(value), value) for value in declared))
    np.testing.assert_array_equal(read_label(path, GEOMETRY, limits)[..., 0].T, (INDEX > 0) * white)
    eight = save(tmp_path, "b.png", (INDEX > 0) * np.uint8(255))
    assert read_label(eight, GEOMETRY, limits).max() == 255, "8 bits can hold either"


@pytest.mark.parametrize(("bits", "step"), [(2, 85), (4, 17)])
@pytest.mark.parametrize("kind", ["png", "tif"])
def test_values_of_few_bits_are_those_stored_where_the_labels_declare_them(tmp_path, caplog, bits, step, kind):
    stored = np.packbits(np.unpackbits(INDEX[..., None], axis=2)[..., -bits:].reshape(len(INDEX), -1), axis=1)
    path = tmp_path / f"a.{kind}"
    if kind == "png":
        grey_png(path, INDEX.shape, stored, bits)
    else:
        tiff(path, stored, tag_256=INDEX.shape[1], tag_258=bits)
    for declared, factor in (((1, 2), 1), ((step, 2 * step), step), ((1, step), step)):
        limits = Limits(segments=tuple((str(value), value) for value in declared))
        np.testing.assert_array_equal(read_label_values(path, limits)[0][..., 0].T, INDEX * factor)
    assert not caplog.text
    np.testing.assert_array_equal(values_of(path), INDEX * step)
    assert f"a stored 1 is the value {step}" in caplog.text
    np.testing.assert_array_equal(read_image([path])[0][0, ..., 0].T, INDEX * step)


def test_indices_of_a_palette_are_label_values(tmp_path):
    path = save_palette(tmp_path, "a.png", INDEX)
    np.testing.assert_array_equal(values_of(path), INDEX)
    assert look_of(path, Limits()).palette[:3] == ((0, 0, 0), (200, 30, 30), (30, 200, 30))


@pytest.mark.parametrize(("bits", "colours", "white"), [(4, 16, 1), (4, 4, 1), (8, 2, 1), (4, 2, 1), (1, 2, 255)])
def test_indices_of_a_bmp_whose_palette_is_grey(tmp_path, bits, colours, white):
    index = INDEX if colours > 2 else (INDEX > 0).astype(np.uint8)
    path = bmp(tmp_path / "a.bmp", index, bits, colours)
    np.testing.assert_array_equal(values_of(path), index * white)
    seen = index if colours > 2 else index * 255
    np.testing.assert_array_equal(read_image([path])[0][0, ..., 0].T, seen)


@pytest.mark.parametrize("white", [(255, 255, 255), (253, 254, 253)])
def test_black_is_the_background_where_a_palette_has_white_first(tmp_path, white, caplog):
    mask = (INDEX > 0).astype(np.uint8)
    path = save_palette(tmp_path, "a.png", 1 - mask, (*white, 0, 0, 0))
    np.testing.assert_array_equal(values_of(path), mask)
    assert look_of(path, Limits()).palette == ((0, 0, 0), white)
    assert "white first" in caplog.text
    np.testing.assert_array_equal(values_of(save_palette(tmp_path, "b.png", mask, (0, 0, 0, *white))), mask)
    np.testing.assert_array_equal(
        values_of(save_palette(tmp_path, "c.png", INDEX, (*white, 0, 0, 0, 9, 9, 200))), INDEX
    )
    filled = save_palette(tmp_path, "d.png", INDEX, (*white, *[0] * 765))
    np.testing.assert_array_equal(values_of(filled), INDEX)  # its colours do not tell the indices apart


def test_a_palette_is_read_by_its_colours_where_there_is_a_table(tmp_path):
    turned = (30, 200, 30, 200, 30, 30, 0, 0, 0)  # 0 and 2 have changed places
    path = save_palette(tmp_path, "a.png", 2 - INDEX, turned)
    np.testing.assert_array_equal(values_of(path, TABLE), np.array([0, 1, 2])[INDEX])


def test_one_bit_and_grey_in_three_channels_are_black_and_white(tmp_path):
    mask = INDEX > 0
    np.testing.assert_array_equal(values_of(save(tmp_path, "a.png", mask)), mask * 255)
    white = np.repeat(mask[..., None] * np.uint8(255), 3, axis=2)
    np.testing.assert_array_equal(values_of(save(tmp_path, "b.png", white)), mask * 255)


def test_a_picture_of_many_colours_is_no_mask(tmp_path):
    scan = np.random.default_rng(0).integers(0, 256, (20, 20, 3)).astype(np.uint8)
    assert "has 400 colours, so it is a scan and no mask" in refusal(save(tmp_path, "a.png", scan))


def test_colours_need_a_table_and_an_unknown_one_is_named(tmp_path):
    path = save(tmp_path, "a.png", painted())
    np.testing.assert_array_equal(values_of(path, TABLE), INDEX)
    assert "#c81e1e" in refusal(path)
    assert "--colours FILE" in refusal(path)
    text = refusal(path, ColourTable(TABLE.rows[:2]))
    assert "#1ec81e in no table" in text
    assert "#c81e1e" not in text


def test_grey_masks_beside_a_table(tmp_path):
    white = ColourTable((((0, 0, 0), 0), ((255, 255, 255), 1)))
    np.testing.assert_array_equal(values_of(save(tmp_path, "a.png", (INDEX > 0) * np.uint8(255)), white), INDEX > 0)
    np.testing.assert_array_equal(values_of(save(tmp_path, "b.png", INDEX), TABLE), INDEX)
    assert "neither values nor colours" in refusal(save(tmp_path, "d.png", INDEX * np.uint8(100)), TABLE)


def test_lossy_black_and_white_is_thresholded_with_a_warning(tmp_path, caplog):
    white = np.repeat((disc((120, 90), 30, (60, 45)) * np.uint8(255))[..., None], 3, axis=2)
    path = save(tmp_path, "a.jpg", white, quality=90)
    values = values_of(path)
    assert set(np.unique(values)) == {0, 255}
    assert np.mean(values != white[..., 0]) < 0.01
    values_of(save(tmp_path, "b.jpg", white, quality=90))
    assert caplog.text.count("lossy format") == 1  # for all masks of a folder


def _compressed(pixels, quality=75):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def test_a_png_that_was_a_jpeg_is_black_and_white_too(tmp_path, caplog):
    mask = disc(radius=10)
    was_jpeg = _compressed(mask * np.uint8(255))
    assert len(np.unique(was_jpeg)) > 20
    values = values_of(save(tmp_path, "a.png", was_jpeg))
    assert set(np.unique(values)) == {0, 255}
    assert ((values > 0) != mask).mean() < 0.01
    assert "JPEG" in caplog.text
    level = save(tmp_path, "b.png", _compressed(mask * np.uint8(240)))
    assert len(np.unique(values_of(level))) > 20  # 240 may be one of several levels


def test_many_labels_beside_255_are_no_traces_of_compression(tmp_path):
    labels = np.kron(np.arange(48).reshape(6, 8), np.ones((5, 5))).astype(np.uint8) % 33
    labels[:, -9:] = 255  # not annotated
    labels[0, 0] = 254
    np.testing.assert_array_equal(values_of(save(tmp_path, "a.png", labels)), labels)


def test_other_lossy_masks_are_refused(tmp_path):
    assert "black and white" in refusal(save(tmp_path, "a.jpg", INDEX * np.uint8(100)))
    assert "black and white" in refusal(save(tmp_path, "b.jpg", INDEX))
    assert "blends colours" in refusal(save(tmp_path, "c.jpg", painted()), TABLE)
    np.testing.assert_array_equal(values_of(save(tmp_path, "d.webp", INDEX, lossless=True)), INDEX)


def test_transparent_masks_and_fractions_are_refused(tmp_path):
    clear = np.dstack([painted(), np.full(INDEX.shape, 9, np.uint8)])
    assert "transparent" in refusal(save(tmp_path, "a.png", clear), TABLE)
    assert "not whole numbers" in refusal(save(tmp_path, "b.tif", INDEX.astype(np.float32) / 2))


def test_a_mask_lies_on_its_scan_whatever_the_size_of_a_pixel(tmp_path):
    path = save(tmp_path, "a.png", INDEX)
    fine = Geometry.from_array((40, 32, 1), np.diag([-0.1, -0.1, 1.0, 1.0]))
    np.testing.assert_array_equal(read_label(path, fine)[..., 0].T, INDEX)
    with pytest.raises(EquiregError, match=r"40 x 32 pixels; expected 32 x 40 .* looks turned"):
        read_label(path, Geometry.from_array((32, 40, 1), np.eye(4)))


def test_masks_are_united(tmp_path):
    first, second = disc(at=(12, 14)), disc(at=(28, 14))
    one, two = (save(tmp_path, f"{name}.png", mask * np.uint8(255)) for name, mask in (("a", first), ("b", second)))
    united = MaskFiles(one, more=(two,)).read(GEOMETRY)[..., 0].T
    np.testing.assert_array_equal(united, (first | second) * 255)


@pytest.mark.parametrize("look", ["grey", "palette", "rgb"])
def test_predictions_are_stored_as_masks_are(tmp_path, look):
    path = tmp_path / "a.png"
    write_picture(path, INDEX.T[..., None], NAMED, look)
    picture = Image.open(path)
    assert picture.mode == {"grey": "L", "palette": "P", "rgb": "RGB"}[look]
    np.testing.assert_array_equal(np.asarray(picture), painted() if look == "rgb" else INDEX)
    np.testing.assert_array_equal(values_of(path, TABLE), INDEX)
    if look == "palette":
        np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), painted())


def test_black_and_white_comes_back_as_black_and_white(tmp_path):
    values = (INDEX.T > 0)[..., None].astype(np.int64)
    coloured = LabelTable((0, 1), ("background", "a"), colours={0: (0, 0, 0), 1: (255, 255, 255)})
    write_picture(tmp_path / "a.png", values, coloured, "grey")
    write_picture(tmp_path / "b.png", values * 255, LabelTable((0, 255), ("background", "a")), "grey")
    for name in "ab":
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / f"{name}.png")), (INDEX > 0) * 255)


def test_large_values_take_16_bits_and_volumes_are_refused(tmp_path):
    write_picture(tmp_path / "a.png", INDEX.T[..., None].astype(np.int64) * 300, NAMED, "grey")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), INDEX.astype(int) * 300)
    with pytest.raises(EquiregError, match="holds 0 to 65535"):
        write_picture(tmp_path / "b.png", INDEX.T[..., None].astype(np.int64) * 40000, NAMED, "grey")
    with pytest.raises(EquiregError, match=r"5 slices, .* --format nifti"):
        write_picture(tmp_path / "b.png", np.zeros((4, 4, 5), np.uint8), NAMED, "grey")
    assert not (tmp_path / "b.png").exists()


def test_fractions(tmp_path):
    write_fractions(tmp_path / "a.png", np.array([[[0.0], [1.0]], [[0.5], [2.0]]]))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), [[0, 128], [255, 255]])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "colour,value,name\n#c81e1e,1,polyp\n#1ec81e,2,vessel\n"),
        ("a.csv", "r;g;b;value;name\n200;30;30;1;polyp\n30;200;30;2;vessel\n"),
        ("a.csv", 'colour,value,name\n"(200, 30, 30)",1,polyp\n#1ec81e,2,vessel\n'),
        ("a.json", json.dumps({"#c81e1e": {"value": 1, "name": "polyp"}, "#1ec81e": {"value": 2, "name": "vessel"}})),
        (
            "a.json",
            json.dumps([{"color": [200, 30, 30], "value": 1, "name": "polyp"}, {"colour": "1ec81e", "value": 2}]),
        ),
    ],
)
def test_tables_of_colours(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    table, names = read_colours(tmp_path / name)
    assert table == TABLE
    assert names[1] == "polyp"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no row"),
        ("colour,value\nred,1\n", "row 1 has no colour"),
        ("colour,value\n#ff0000,one\n", "'one'"),
        ("colour,value\n#ff0000,1\n#ff0000,2\n", "#ff0000 has the values 1 and 2"),
        ("colour,value,name\n#ff0000,1,a\n#00ff00,2,a\n", "two values"),
        ("colour,value,name\n#ffffff,1,Background\n", "the value 1 has the name background"),
        ("colour,value\n#ff0000,-1\n", "below 0"),
        ("colour,value\n300 0 0,1\n", "beyond 0 to 255"),
        ("colour,value\n#000000,1\n", "no colour has the value 0"),
    ],
)
def test_bad_tables_are_one_line(tmp_path, text, word):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(EquiregError) as caught:
        read_colours(path)
    assert word in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_flat_labels_near_black_and_near_white_were_never_jpeg(tmp_path: Path) -> None:
    values = np.zeros((512, 512), dtype=np.uint8)
    for index, value in enumerate([*range(1, 10), *range(245, 255)]):
        values[20 * index : 20 * index + 15, 20:60] = value
    values[300:500, 300:500] = 255
    Image.fromarray(values).save(tmp_path / "a.png")
    read, _ = read_picture_mask(tmp_path / "a.png", LIMITS)
    assert (values == read[..., 0].T).all()

"""A folder of pictures from `equireg prepare` to `equireg view`: two dimensions, PNG in and PNG out."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equireg.errors import EquiregError
from equireg.folders.prepared import PreparedSet
from equireg.prediction.load import load
from equireg.prediction.predict import predict
from equireg.preparation.prepare import prepare
from equireg.serving.segmenting import Segmenter
from equireg.training.train import train
from pictures_made_up import disc, photo, picture_set, save, save_palette

COLOURS = "colour,value,name\n#c81e1e,1,polyp\n#1ec81e,2,vessel\n"


def opened(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        picture.load()
        return picture


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    return picture_set(tmp_path_factory.mktemp("pictures") / "raw")


@pytest.fixture(scope="module")
def prepared(raw: Path) -> Path:
    prepare(raw, raw.parent / "prepared", jobs=1)
    return raw.parent / "prepared"


@pytest.fixture(scope="module")
def run(prepared: Path) -> Path:
    fixed = {"device": "cpu", "precision": "32", "pictures_every": 0, "val_every": 1}
    options = {"max_steps": 2, "batch_size": 2, "unsup_ratio": 1, "network": {"features": 4}}
    return train(prepared, prepared.parent / "run", method="equireg", **fixed, **options)


@pytest.fixture(scope="module")
def predicted(run: Path, raw: Path) -> Path:
    options = {"test_time": "none", "quality_views": 1, "disagreement": True}
    return predict(run, raw, raw.parent / "predicted", device="cpu", precision="32", **options)


def test_pictures_are_prepared_as_slices(prepared):
    manifest = PreparedSet(prepared).manifest
    assert manifest.pictures == {"masks": "grey", "pixel_mm": 1.0}
    assert manifest.labels.values == (0, 255)
    assert (manifest.modality, manifest.flips, manifest.spacing_mm) == ("other", "xy", (1.0, 1.0, 1.0))
    assert {case.shape for case in manifest.cases} == {(1, 32 + index, 40 + 2 * index) for index in range(4)}


def test_volumes_of_pictures_are_refused(equireg, prepared, tmp_path):
    outcome = equireg("train", prepared, "--out", tmp_path / "run", "--spatial_dims", 3, "--max_steps", 1)
    assert "the scans are pictures" in outcome.error


def test_predictions_are_pictures_as_the_masks_are(raw, predicted):
    assert sorted(path.name for path in predicted.glob("*.png")) == [f"p{index}.png" for index in range(4)]
    for index in range(4):
        mask, scan = opened(predicted / f"p{index}.png"), opened(raw / f"images/p{index}.png")
        assert (mask.mode, mask.size) == ("L", scan.size)
        assert set(np.unique(np.asarray(mask)).tolist()) <= {0, 255}
        doubt = opened(predicted / f"disagreement/p{index}.png")
        assert (doubt.mode, doubt.size) == ("L", scan.size)
    assert json.loads((predicted / "labels.json").read_text())["labels"] == {"background": 0, "foreground": 255}
    assert not list(predicted.rglob("*.nii.gz"))


@pytest.mark.parametrize("reference", ["raw", "masks", "prepared"])
def test_pictures_are_evaluated(equireg, raw, prepared, predicted, tmp_path, reference):
    masks = {"raw": raw, "masks": tmp_path / "masks", "prepared": prepared}[reference]
    shutil.copytree(raw / "masks", tmp_path / "masks")
    given = tmp_path / "given"
    shutil.copytree(predicted, given)
    for path in (raw / "masks").glob("*.png"):
        shutil.copyfile(path, given / path.name)  # a perfect prediction: no axis is turned on the way
    outcome = equireg("evaluate", given, masks, "--out", tmp_path / "out", "--jobs", 1)
    assert outcome.code == 0, outcome.err
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert summary["regions"]["foreground"]["dice"]["min"] == 1.0
    assert summary["regions"]["foreground"]["dice"]["max"] == 1.0


def test_a_picture_is_viewed(equireg, predicted, tmp_path):
    outcome = equireg("view", predicted, "--case", "p1", "--out", tmp_path / "view.html")
    assert outcome.code == 0, outcome.err
    page = (tmp_path / "view.html").read_text()
    assert '"flat": "z", "picture": true' in page
    assert '"channel": "green"' in page


def test_a_picture_mask_is_adopted(equireg, raw, prepared, tmp_path):
    shutil.copytree(prepared, tmp_path / "prepared")
    unlabelled = next(case for case in PreparedSet(prepared).manifest.cases if not case.labelled)
    mask = disc((unlabelled.shape[2], unlabelled.shape[1])) * np.uint8(255)
    path = save(tmp_path, f"new/{unlabelled.name}_mask.png", mask)
    assert equireg("adopt", tmp_path / "prepared", path).code == 0
    record = PreparedSet(tmp_path / "prepared").by_name[unlabelled.name]
    assert record.labelled
    assert record.class_voxels[1] == np.count_nonzero(mask)
    save(tmp_path, f"new/{unlabelled.name}_mask.png", mask.T)
    assert "looks turned by 90 degrees" in equireg("adopt", tmp_path / "prepared", path).error


def test_the_server_answers_a_picture_by_a_picture(run, raw, tmp_path, caplog):
    from equireg.config import ServeConfig

    caplog.set_level("INFO", "equireg")

    segmenter = Segmenter(run, ServeConfig(device="cpu", precision="32", test_time="none"))
    drawn = segmenter.draw(segmenter.of_file("sent", raw / "images/p3.png"), tmp_path)
    assert drawn.mask.name == "sent.png"
    assert opened(drawn.mask).size == opened(raw / "images/p3.png").size
    (line,) = [record.message for record in caplog.records if "segmented" in record.message]
    width, height = opened(drawn.mask).size
    assert line.startswith(f"a scan of {width} x {height} x 1 voxels is segmented, in ")  # and not whose


def test_an_array_is_a_picture_too(run, raw, predicted):
    options = {"test_time": "none", "quality_views": 1, "device": "cpu", "precision": "32"}
    model = load(run, **options)
    found = model.predict_picture(np.asarray(opened(raw / "images/p2.png")))
    np.testing.assert_array_equal(found.labels, np.asarray(opened(predicted / "p2.png")))
    assert found.probabilities is not None
    assert found.probabilities.shape == (2, *found.labels.shape)
    assert model.predict_picture(photo(disc(), colour=False)).labels.shape == (32, 40)
    with pytest.raises(EquiregError, match=r"expected \[rows, columns\]"):
        model.predict_picture(np.zeros(5))


def test_masks_in_colour_come_back_in_colour(equireg, run, tmp_path):
    index = disc() + disc(radius=4)
    colours = np.array([[0, 0, 0], [200, 30, 30], [30, 200, 30]], np.uint8)
    for name in "abc":
        save(tmp_path, f"raw/images/{name}.png", photo(index, ord(name)))
        save(tmp_path, f"raw/masks/{name}.png", colours[index])
    assert "Give --colours FILE" in equireg("prepare", tmp_path / "raw", "--out", tmp_path / "p", "--jobs", 1).error
    (tmp_path / "colours.csv").write_text(COLOURS)
    manifest = prepare(tmp_path / "raw", tmp_path / "p", colours=str(tmp_path / "colours.csv"), jobs=1)
    assert manifest.labels.names == ("background", "polyp", "vessel")
    assert manifest.pictures is not None
    assert manifest.pictures["masks"] == "rgb"
    assert manifest.fingerprint["class_voxels"][1:] == [3 * int((index == value).sum()) for value in (1, 2)]
    assert PreparedSet(tmp_path / "p").manifest.labels.colours[2] == (30, 200, 30)


def test_palettes_are_kept_and_must_agree(tmp_path, caplog):
    index = disc() + disc(radius=4)
    for name in "abc":
        save(tmp_path, f"images/{name}.png", photo(index, ord(name)))
        save_palette(tmp_path, f"masks/{name}.png", index)
    save(tmp_path, "images/d.png", photo(index))
    save_palette(tmp_path, "masks/d.png", index, (0, 0, 0, 9, 9, 9, 30, 200, 30))
    save(tmp_path, "images/e.png", photo(index))
    save_palette(tmp_path, "masks/e.png", index, (255, 255, 255, 0, 0, 0, 30, 200, 30))
    manifest = prepare(tmp_path, tmp_path.parent / "palette", jobs=1)
    assert manifest.pictures == {"masks": "palette", "pixel_mm": 1.0}
    assert manifest.labels.colours == {0: (0, 0, 0), 1: (200, 30, 30), 2: (30, 200, 30)}
    assert [item["case"] for item in manifest.refused] == ["d", "e"]
    assert "#090909" in manifest.refused[0]["reason"]
    assert "its background is not known" in manifest.refused[1]["reason"]


def test_the_size_of_a_pixel_travels(equireg, raw, tmp_path):
    manifest = prepare(raw, tmp_path / "p", pixel_mm=0.25, jobs=1)
    assert manifest.spacing_mm == (0.25, 0.25, 1.0)
    assert manifest.cases[0].spacing_mm == (1.0, 0.25, 0.25)
    outcome = equireg("prepare", raw, "--out", tmp_path / "q", "--pixel_mm", 0)
    assert "--pixel_mm" in outcome.error

"""Masks of labelme, each with a list of its own that names its values."""

import json
from pathlib import Path

import numpy as np
import pytest

from equireg.errors import EquiregError
from equireg.evaluation.evaluate import evaluate
from equireg.folders.prepared import PreparedSet
from equireg.imaging.segments import stated_names
from equireg.preparation.prepare import prepare
from pictures_made_up import PALETTE, disc, photo, save, save_palette

BOTH = disc() + disc(radius=4)
DOG = (BOTH == 2).astype(np.uint8)


def case(raw: Path, name: str, mask: np.ndarray, *names: str) -> None:
    save(raw, f"{name}_json/img.png", photo(mask, ord(name)))
    save(raw, f"{name}_json/label_viz.png", photo(mask, 3))
    save_palette(raw, f"{name}_json/label.png", mask, (*PALETTE, *range(90)))
    (raw / f"{name}_json/label_names.txt").write_text("\n".join(["_background_", *names]) + "\n")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    case(tmp_path / "raw", "a", BOTH, "cat", "dog")
    case(tmp_path / "raw", "b", DOG, "dog")  # 1 is the dog here
    case(tmp_path / "raw", "c", BOTH, "cat", "dog")
    return tmp_path / "raw"


def test_masks_are_read_by_the_names_of_their_values(raw, tmp_path, caplog):
    manifest = prepare(raw, tmp_path / "p", jobs=1, spacing="none")
    assert manifest.labels.as_dict()["labels"] == {"background": 0, "cat": 1, "dog": 2}
    voxels = {one.name: one.class_voxels[1:] for one in manifest.cases}
    assert list(voxels.values())[1] == (0, int(DOG.sum()))
    assert "they are read by their names: cat 1, dog 2" in caplog.text


def test_a_list_that_changed_is_read_again(raw, tmp_path):
    prepare(raw, tmp_path / "p", jobs=1)
    (raw / "b_json/label_names.txt").write_text("_background_\ncat\ndog\n")
    manifest = prepare(raw, tmp_path / "p", jobs=1)
    assert [one.class_voxels[2] for one in manifest.cases][1] == 0


def test_a_table_of_colours_goes_before_the_names(raw, tmp_path):
    (tmp_path / "colours.csv").write_text("colour,value,name\n#c81e1e,1,dog\n#1ec81e,2,cat\n")
    manifest = prepare(raw, tmp_path / "p", jobs=1, colours=str(tmp_path / "colours.csv"))
    assert [one.class_voxels[1] for one in manifest.cases][1] == int(DOG.sum())


def test_a_reference_is_read_by_its_names(raw, tmp_path):
    manifest = prepare(raw, tmp_path / "p", jobs=1)
    for one in manifest.cases:
        save(tmp_path, f"found/{one.name}.png", DOG * np.uint8(2) if one.name.startswith("b") else BOTH)
    (tmp_path / "found/labels.json").write_text(json.dumps(PreparedSet(tmp_path / "p").manifest.labels.as_dict()))
    assert evaluate(tmp_path / "found", raw, tmp_path / "out", jobs=1).summary["mean"]["dice"] == 1


def test_an_earlier_file_says_them_too(tmp_path):
    mask = save(tmp_path, "label.png", DOG)
    (tmp_path / "info.yaml").write_text("label_names:\n- _background_\n- dog\n")
    assert stated_names(mask) == {1: "dog"}
    (tmp_path / "info.yaml").write_text("label_names: [")
    assert stated_names(mask) == {}


@pytest.mark.parametrize("text", ["", "_background_\n", "cat\ndog\n", "_background_\nca\x1bt\n"])
def test_a_list_of_another_form_says_nothing(tmp_path, text):
    mask = save(tmp_path, "label.png", DOG)
    (tmp_path / "label_names.txt").write_text(text)
    assert stated_names(mask) == {}
    assert stated_names(save(tmp_path, "other.png", DOG)) == {}


def test_a_list_that_cannot_be_read_is_named(tmp_path):
    mask = save(tmp_path, "label.png", DOG)
    (tmp_path / "label_names.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EquiregError, match=r"label_names\.txt: cannot be read .*UTF-8"):
        stated_names(mask)

"""The transforms of a MONAI bundle: which files they take, and what they write."""

import json
import shutil
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data.meta_tensor import MetaTensor
from PIL import Image

import equireg.exporting
from equireg.errors import EquiregError
from equireg.exporting import monai_bundle
from equireg.imaging.labels import LabelTable

PICTURES = {"channels": ["image"], "pixel_mm": 1.0}
VOLUMES = {"channels": ["t1", "flair"]}


def transforms(folder: Path, facts: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the module of a bundle whose model.json holds these facts."""
    source = Path(next(iter(equireg.exporting.__path__)), "standalone")
    folder.mkdir()
    for name in ("transforms.py", "working.py"):
        shutil.copy(source / name, folder)
    (folder / "model.json").write_text(json.dumps(facts))
    monkeypatch.syspath_prepend(folder)
    spec = spec_from_file_location("bundle_transforms", folder / "transforms.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    del sys.modules["working"]
    return module


def saving(value: int) -> dict[str, Any]:
    """Return how a bundle writes the masks of a model that has one label of this value."""
    facts = SimpleNamespace(pictures=None, labels=LabelTable((0, value), ("background", "lesion")))
    leaving: Any = SimpleNamespace(first=SimpleNamespace(facts=facts), trained=SimpleNamespace(root="run"))
    return monai_bundle._saving(leaving)


def files(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    return folder


def test_a_model_of_pictures_takes_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = transforms(tmp_path / "scripts", PICTURES, monkeypatch)
    found = module.cases(files(tmp_path / "scans", "b.PNG", "a_0001.jpg", "notes.txt", "c.nii.gz"))
    assert [Path(case["image"][0]).name for case in found] == ["a_0001.jpg", "b.PNG"]
    with pytest.raises(SystemExit, match=r"holds no \.png or .*; give the folder of the scans by --dataset_dir"):
        module.cases(files(tmp_path / "empty", "c.nii.gz"))
    with pytest.raises(SystemExit, match="two pictures of the name a;"):
        module.cases(files(tmp_path / "twice", "a.png", "a.jpg"))


def test_a_model_of_volumes_takes_a_file_a_channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = transforms(tmp_path / "scripts", VOLUMES, monkeypatch)
    found = module.cases(files(tmp_path / "scans", "a_0001.nii.gz", "a_0000.nii.gz", "b.nii.gz", "preview.png"))
    assert [[Path(file).name for file in case["image"]] for case in found] == [
        ["a_0000.nii.gz", "a_0001.nii.gz"],
        ["b.nii.gz"],
    ]


@pytest.mark.parametrize("facts", [VOLUMES, {"channels": ["t1"]}])
def test_two_volumes_of_one_name_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any]
) -> None:
    module = transforms(tmp_path / "scripts", facts, monkeypatch)
    scans = files(tmp_path / "scans", "a.v2_0000.nii.gz", "a.v2_0000.nii", "a.v2_0001.nii.gz")
    with pytest.raises(SystemExit, match=r"holds two scans of the name a\.v2_0000; their masks would have one name"):
        module.cases(scans)
    (scans / "a.v2_0000.nii").unlink()
    assert len(module.cases(scans)) == (1 if facts is VOLUMES else 2)


@pytest.mark.parametrize("names", [["a_0000.NII.GZ", "a_0001.nii.gz"], ["A.NII.GZ"]])
def test_capitals_in_an_ending_stay_out_of_the_name_of_a_mask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    networks = [{"patch_size": [4, 4]}]
    rules = {"axes": "zyx", "spacing_mm": None, "normalisation": {"name": "none"}, "networks": networks}
    facts = {**rules, "channels": ["t1", "flair"][: len(names)]}
    module = transforms(tmp_path / "scripts", facts, monkeypatch)
    folder = files(tmp_path / "scans", *names)
    values = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)
    for name in names:
        nib.Nifti1Image(values, np.eye(4)).to_filename(folder / name)
    [case] = module.cases(folder)
    meta = module.Prepared("image")(case)["image"].meta
    assert Path(meta["filename_or_obj"]).name == f"{names[0][0]}.nii.gz"


def test_the_mask_of_a_picture_is_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = transforms(tmp_path / "scripts", PICTURES, monkeypatch)
    mask = np.zeros((1, 3, 2, 1), np.int16)
    mask[0, 2, 1, 0] = 255
    pred = MetaTensor(mask, meta={"filename_or_obj": "scans/my scan.v2.jpg"})
    module.Written("pred", str(tmp_path / "masks"))({"pred": pred})
    written = np.asarray(Image.open(tmp_path / "masks" / "my scan.v2.png"))
    np.testing.assert_array_equal(written, [[0, 0, 0], [0, 0, 255]])


KINDS = [(200, "uint8"), (300, "int16"), (40_000, "int32"), (2**31 - 1, "int32")]


@pytest.mark.parametrize(("value", "kind"), KINDS)
@pytest.mark.parametrize("shape", [(1, 1, 2), (1, 2, 1), (2, 1)])  # of one slice, or of two axes, as well
def test_every_label_value_is_written_in_the_shape_of_the_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], value: int, kind: str
) -> None:
    labels = [{"value": 0}, {"value": value}]
    facts = {"channels": ["image"], "axes": "zyx", "labels": labels, "post_process": []}
    module = transforms(tmp_path / "scripts", facts, monkeypatch)
    whole = [*shape, 1][:3]
    scan = tmp_path / "a.nii"
    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    nib.Nifti1Image(np.zeros(shape, np.float32), affine).to_filename(scan)
    box = [(0, size) for size in whole[::-1]]
    place = {"scan_affine": affine, "turned_by": affine, "scan_shape": whole, "filename_or_obj": "a.nii.gz"}
    meta = {**place, "scan_file": str(scan), "box": box, "inner": box, "whole": whole[::-1]}
    probs = torch.eye(2).reshape(2, *whole[::-1])
    found = saving(value)
    assert found["output_dtype"] == f"$np.{kind}"
    write = module.Written("pred", str(tmp_path / "masks"), np.dtype(kind))
    write(module.Restored("pred")({"pred": probs, "image": MetaTensor(probs, meta=meta)}))
    mask = nib.Nifti1Image.load(tmp_path / "masks" / "a.nii.gz")
    assert (mask.shape, mask.get_data_dtype()) == (nib.Nifti1Image.load(scan).shape, np.dtype(kind))
    assert mask.get_fdata().ravel().tolist() == [0, value]
    np.testing.assert_array_equal(mask.affine, affine)


def test_label_values_that_no_mask_holds_are_refused() -> None:
    with pytest.raises(EquiregError, match=r"has label values from 0 to 2147483648; .*--to onnx"):
        saving(2**31)


def test_scans_with_all_channels_stay_apart_whatever_their_names_end_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = transforms(tmp_path / "scripts", VOLUMES, monkeypatch)
    folder = tmp_path / "scans"
    folder.mkdir()
    for name, channels in {"a_0001": 2, "a_0002": 2, "b_0000": 1, "b_0001": 1, "c_0000": 3, "c_0001": 3}.items():
        nib.Nifti1Image(np.ones((3, 4, 2, channels), np.float32), np.eye(4)).to_filename(folder / f"{name}.nii.gz")
    found = [case["image"] for case in module.cases(folder)]
    assert [[Path(file).name[:6] for file in one] for one in found] == [
        ["a_0001"],
        ["a_0002"],
        ["b_0000", "b_0001"],
        ["c_0000", "c_0001"],
    ]
    with pytest.raises(SystemExit, match=r"c_0000\.nii\.gz and .*c_0001\.nii\.gz: got 6 channels; expected t1, flair"):
        module.Prepared("image")({"image": found[-1]})

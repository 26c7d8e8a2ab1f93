"""The transforms of a MONAI bundle: which files they take, and what they write."""

import json
import shutil
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from monai.data.meta_tensor import MetaTensor
from PIL import Image

import equireg.exporting

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


def test_the_mask_of_a_picture_is_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = transforms(tmp_path / "scripts", PICTURES, monkeypatch)
    mask = np.zeros((1, 3, 2, 1), np.int16)
    mask[0, 2, 1, 0] = 255
    pred = MetaTensor(mask, meta={"filename_or_obj": "scans/my scan.v2.jpg"})
    module.Written("pred", str(tmp_path / "masks"))({"pred": pred})
    written = np.asarray(Image.open(tmp_path / "masks" / "my scan.v2.png"))
    np.testing.assert_array_equal(written, [[0, 0, 0], [0, 0, 255]])

"""`equireg export --to nnunet` and `--to monai`: what the other program makes of it, and what is refused.

The programs themselves are run by the slow tests, in environments of their own: EQUIREG_NNUNET_PYTHON and
EQUIREG_MONAI_PYTHON name their Python (docs/export.md says how they are made).
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle.config_parser import ConfigParser
from scipy.ndimage import gaussian_filter

import equireg as package
from equireg.model import load_model
from equireg.networks import build
from equireg.warm_start.reading import read_source

Command = Callable[..., Any]
HERE: dict[str, Any] = {"device": "cpu", "precision": "32"}
SHAPE = (32, 40, 8)


def write_tissue(root: Path, cases: int, *, head: bool = False) -> Path:
    """Write scans of tissue with a bright and a dark ball, some of them turned; a head has background around it."""
    rng = np.random.default_rng(0)
    places = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    centre_of = (np.array(SHAPE) - 1) / 2
    for name in ("imagesTr", "labelsTr"):
        (root / name).mkdir(parents=True)
    for index in range(cases):
        image = 100 + 20 * gaussian_filter(rng.normal(size=SHAPE), 1) + rng.normal(0, 3, SHAPE)
        label = np.zeros(SHAPE, dtype=np.uint8)
        for value, low in ((1, 7), (2, 20)):
            centre = rng.uniform((10, low, 3), (22, low + 10, 5))
            ball = np.linalg.norm((places - centre) * (1, 1, 1.5), axis=-1) < 6
            label[ball], image[ball] = value, image[ball] + (80 if value == 1 else -80)
        if head:
            image[np.linalg.norm((places - centre_of) / centre_of, axis=-1) > 1.05] = 0
        affine = np.diag([-1.0 if index % 2 else 1.0, 1.0, 1.5, 1.0])
        turn = slice(None, None, -1 if index % 2 else 1)
        for folder, voxels in (("imagesTr", image.astype(np.float32)), ("labelsTr", label)):
            nib.Nifti1Image(voxels[turn], affine).to_filename(root / folder / f"case_{index}.nii.gz")
    names = [{"image": f"./imagesTr/case_{i}.nii.gz", "label": f"./labelsTr/case_{i}.nii.gz"} for i in range(cases)]
    described = {"modality": {"0": "MRI"}, "labels": {"0": "background", "1": "bright", "2": "dark"}, "training": names}
    (root / "dataset.json").write_text(json.dumps({"name": "tissue", **described}))
    return root


@pytest.fixture(scope="session")
def tissue_raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tissue(tmp_path_factory.mktemp("tissue") / "raw", 5)


@pytest.fixture(scope="session")
def tissue_prepared(tissue_raw: Path) -> Path:
    out = tissue_raw.parent / "prepared"
    package.prepare(tissue_raw, out, val_fraction=0.2, jobs=1)
    return out


@pytest.fixture(scope="session")
def tissue_run(tissue_prepared: Path) -> Path:
    options: dict[str, Any] = {"network.features": 4, "max_steps": 2, "val_every": 2, "batch_size": 2}
    return package.train(tissue_prepared, tissue_prepared.parent / "run", method="supervised", **HERE, **options)


def masks(folder: Path) -> dict[str, np.ndarray]:
    return {path.name: np.asarray(nib.Nifti1Image.load(path).dataobj) for path in sorted(folder.glob("case_?.nii.gz"))}


def dice(first: np.ndarray, second: np.ndarray) -> float:
    both = [(first == value, second == value) for value in (1, 2)]
    return min(2 * float((a & b).sum()) / max(1.0, float(a.sum() + b.sum())) for a, b in both)


def test_a_results_folder_holds_the_same_network(tissue_run: Path, tmp_path: Path) -> None:
    out = package.export(tissue_run, tmp_path / "x", to="nnunet", post_process="none", name="my model")
    place = out / "Dataset900_mymodel" / "nnUNetTrainer__nnUNetPlans__2d"
    source = read_source(place / "fold_0" / "checkpoint_final.pth")
    model = load_model(tissue_run / "checkpoints" / "best.ckpt")
    assert source.labels == model.facts.labels
    network = build(source.network, in_channels=1, out_channels=3, spatial_dims=2, patch_size=model.facts.patch_size)
    network.load_state_dict({**network.state_dict(), **source.weights})
    image = torch.randn(1, 1, *model.facts.patch_size)
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(image), model.predictor(image))
    plans = json.loads((place / "plans.json").read_text())
    assert [plans["transpose_forward"], plans["image_reader_writer"]] == [[0, 1, 2], "NibabelIOWithReorient"]
    assert plans["configurations"]["2d"]["patch_size"] == list(model.facts.patch_size)
    assert "4 of 4 training scans" in (out / "README.md").read_text()


def test_what_nnunet_would_do_otherwise_is_refused(
    equireg: Command, tissue_run: Path, tissue_prepared: Path, phantom_run: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    def refused(run: Path, *words: object) -> str:
        outcome = equireg("export", run, "--to", "nnunet", "--out", tmp_path / "x", "--post_process", "none", *words)
        assert (outcome.code, (tmp_path / "x").exists()) == (1, False)
        return outcome.error

    assert "its label values are 0, 1, 2, 4; nnU-Net writes 0, 1, 2" in refused(phantom_run)
    assert "is not the folder that" in refused(tissue_run, "--prepared", phantom_prepared)
    assert "is no prepared folder" in refused(tissue_run, "--prepared", tmp_path)
    moved = Path(shutil.copytree(tissue_run, tmp_path / "elsewhere" / "run"))
    assert "its prepared folder is not where it was" in refused(moved)
    package.prepare(write_tissue(tmp_path / "raw", 3, head=True), tmp_path / "skull", val_fraction=0, jobs=1)
    assert "has a background, so that its whole mean is" in refused(tissue_run, "--prepared", tmp_path / "skull")


@pytest.mark.slow
def test_a_bundle_gives_the_masks_of_predict(
    tissue_run: Path, tissue_raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its parts are run here one by one; the slow test runs it by MONAI's command."""
    bundle = package.export(tissue_run, tmp_path / "bundle", to="monai", licence="CC0")
    package.predict(tissue_run, tissue_raw / "imagesTr", tmp_path / "q", **HERE)
    monkeypatch.syspath_prepend(bundle)
    config = ConfigParser()
    config.read_config(bundle / "configs" / "inference.json")
    config["bundle_root"], config["dataset_dir"] = str(bundle), str(tissue_raw / "imagesTr")
    config["output_dir"] = str(tmp_path / "masks")
    names = ("datalist", "preprocessing", "inferer", "network_def", "postprocessing")
    data, before, inferer, network, after = (config.get_parsed_content(name) for name in names)
    for entry in data[:2]:
        scan = before(entry)
        with torch.no_grad():
            pred = inferer(scan["image"][None], network)[0]
        after({"image": scan["image"], "pred": pred})
    expected, found = masks(tmp_path / "q"), masks(tmp_path / "masks")
    assert list(found) == ["case_0.nii.gz", "case_1.nii.gz"]
    for name, mask in found.items():
        assert (mask != expected[name]).mean() < 1e-4
        assert mask.any()
    assert (bundle / "LICENSE").read_text() == "CC0\n"
    described = json.loads((bundle / "configs" / "metadata.json").read_text())["network_data_format"]
    assert described["outputs"]["pred"]["channel_def"] == {"0": "background", "1": "bright", "2": "dark"}
    for name in [name for name in sys.modules if name.split(".")[0] in ("scripts", "working", "components")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.fixture(scope="session")
def trained_tissue(tissue_prepared: Path) -> Path:
    """Return a run that has learnt the two balls."""
    options: dict[str, Any] = {"network.features": 8, "max_steps": 80, "val_every": 80, "batch_size": 4}
    return package.train(tissue_prepared, tissue_prepared.parent / "trained", method="supervised", **HERE, **options)


def python_of(variable: str, program: str) -> str:
    found = os.environ.get(variable)
    if not found:
        pytest.skip(f"{program} is not at hand: set {variable} to the Python of an environment that has it")
    return found


def run(command: list[str], folder: Path, **more: str) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env={**kept, **more})
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_nnunet_itself_gives_our_masks(trained_tissue: Path, tissue_raw: Path, tmp_path: Path) -> None:
    python = python_of("EQUIREG_NNUNET_PYTHON", "nnU-Net")
    alike: dict[str, Any] = {"test_time": "none", "post_process": "none"}  # nnU-Net would average logits over views
    out = package.export(trained_tissue, tmp_path / "x", to="nnunet", **alike)
    package.predict(trained_tissue, tissue_raw / "imagesTr", tmp_path / "q", **alike, **HERE)
    scans = tmp_path / "scans"
    scans.mkdir()
    for path in (tissue_raw / "imagesTr").iterdir():
        shutil.copy(path, scans / path.name.replace(".nii.gz", "_0000.nii.gz"))
    predict = Path(python).parent / "nnUNetv2_predict"
    where = {"nnUNet_results": str(out), "nnUNet_raw": str(tmp_path), "nnUNet_preprocessed": str(tmp_path)}
    words = [
        "-i",
        "scans",
        "-o",
        "masks",
        "-d",
        "900",
        "-c",
        "2d",
        "-f",
        "0",
        "-device",
        "cpu",
        "-npp",
        "1",
        "-nps",
        "1",
    ]
    run([str(predict), *words], tmp_path, **where)
    expected, found = masks(tmp_path / "q"), masks(tmp_path / "masks")
    assert len(found) == 5
    assert min(dice(found[name], expected[name]) for name in expected) >= 0.99


@pytest.mark.slow
def test_monais_command_gives_our_masks(trained_tissue: Path, tissue_raw: Path, tmp_path: Path) -> None:
    python = python_of("EQUIREG_MONAI_PYTHON", "MONAI with fire and pytorch-ignite")
    bundle = package.export(trained_tissue, tmp_path / "bundle", to="monai")
    package.predict(trained_tissue, tissue_raw / "imagesTr", tmp_path / "q", **HERE)
    command = [python, "-m", "monai.bundle", "run", "--config_file", "configs/inference.json"]
    run([*command, "--dataset_dir", str(tissue_raw / "imagesTr"), "--output_dir", str(tmp_path / "masks")], bundle)
    expected, found = masks(tmp_path / "q"), masks(tmp_path / "masks")
    assert len(found) == 5
    assert min(dice(found[name], expected[name]) for name in expected) >= 0.99

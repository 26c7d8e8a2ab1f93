"""`equireg export`: what leaves gives the masks of `equireg predict`, by other programs and in other processes."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

import equireg as package
from equireg.model import load_model
from equireg.training.train import train
from planted_names import found_in

Command = Callable[..., Any]
HERE: dict[str, Any] = {"device": "cpu", "precision": "32"}


@pytest.fixture(scope="module")
def scan(phantom_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one phantom with its channels in one file."""
    folder = sorted(path for path in phantom_raw.rglob("*_t1.nii.gz"))[-1].parent
    channels = [nib.Nifti1Image.load(next(folder.glob(f"*_{name}.nii.gz"))) for name in ("t1", "t1ce", "t2", "flair")]
    image = np.stack([np.asarray(channel.dataobj) for channel in channels], axis=-1)
    affine = channels[0].affine @ np.diag([-1, 1, 1, 1])
    out = tmp_path_factory.mktemp("scan") / "scan.nii.gz"
    nib.Nifti1Image(np.ascontiguousarray(image[::-1]), affine).to_filename(out)
    return out


@pytest.fixture(scope="module")
def solid_run(phantom_prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny run of volumes."""
    options: dict[str, Any] = {"network.features": 4, "max_steps": 4, "val_every": 4, "batch_size": 1}
    patch: dict[str, Any] = {"patch_size": (8, 16, 24)}
    out = tmp_path_factory.mktemp("solid") / "solid"
    return train(phantom_prepared, out, method="supervised", spatial_dims=3, **HERE, **patch, **options)


def by_example(folder: Path, scan: Path, out: Path) -> np.ndarray:
    command = [sys.executable, "-W", "ignore", str(folder / "example.py"), str(out), str(scan)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return values(out)


def values(path: Path) -> np.ndarray:
    return np.asarray(nib.Nifti1Image.load(path).dataobj)


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Return the least Dice of any label that either shows."""
    labels = sorted({*np.unique(first), *np.unique(second)} - {0})
    assert labels
    return min(
        2 * float(((first == k) & (second == k)).sum()) / float((first == k).sum() + (second == k).sum())
        for k in labels
    )


@pytest.mark.parametrize(
    "kind", ["slices", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("volumes", "coarse"))]
)
def test_the_example_gives_the_masks_of_predict(
    phantom_run: Path, solid_run: Path, phantom_prepared: Path, scan: Path, tmp_path: Path, kind: str
) -> None:
    pytest.importorskip("onnx", reason="the extra onnx is not installed")
    run = phantom_run if kind == "slices" else solid_run
    if kind == "coarse":
        coarse: dict[str, Any] = {"network": {"features": 4, "downsample": (2, 2)}, "max_steps": 4, "val_every": 4}
        run = train(phantom_prepared, tmp_path / "run", method="supervised", batch_size=1, **HERE, **coarse)
    folder = package.export(run, tmp_path / "x", to="onnx", licence="CC0")
    package.predict(run, scan, tmp_path / "q", **HERE)
    assert dice(by_example(folder, scan, tmp_path / "mask.nii.gz"), values(tmp_path / "q" / "scan.nii.gz")) >= 0.999
    assert len((folder / "example.py").read_text().splitlines()) <= 60
    facts = json.loads((folder / "model.json").read_text())
    assert facts["networks"][0]["patch_size"] == list(load_model(run / "checkpoints" / "best.ckpt").facts.patch_size)
    assert [label["value"] for label in facts["labels"]] == [0, 1, 2, 4]
    assert "CC0" in (folder / "README.md").read_text()
    assert found_in(folder, (str(run.parent), "Phantom_")) == []


@pytest.mark.slow
def test_an_ensemble_leaves_as_torchscript(phantom_run: Path, solid_run: Path, scan: Path, tmp_path: Path) -> None:
    pair = package.ensemble([phantom_run, solid_run], tmp_path / "pair")
    folder = package.export(pair, tmp_path / "x", to="torchscript", test_time="none")
    models = [load_model(run / "checkpoints" / "best.ckpt") for run in (phantom_run, solid_run)]
    for name, model in zip(("model_1.ts", "model_2.ts"), models, strict=True):
        image = torch.randn(3, 4, *model.facts.patch_size, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            found = torch.jit.load(folder / name)(image)
            torch.testing.assert_close(found, model.predictor(image).softmax(dim=1), rtol=1e-4, atol=1e-4)
    package.predict(pair, scan, tmp_path / "q", test_time="none", **HERE)
    assert dice(by_example(folder, scan, tmp_path / "mask.nii.gz"), values(tmp_path / "q" / "scan.nii.gz")) >= 0.999


def test_what_the_example_cannot_do_is_refused(
    equireg: Command, phantom_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "x"
    assert "lacks --to" in equireg("export", phantom_run, "--out", out).error
    thesis = load_model(phantom_run / "checkpoints" / "best.ckpt")
    thesis = replace(thesis, facts=replace(thesis.facts, normalisation={"name": "thesis", "n4_shrink": 4}))
    monkeypatch.setattr("equireg.prediction.trained.load_model", lambda _: thesis)
    for target in ("onnx", "torchscript"):
        error = equireg("export", phantom_run, "--to", target, "--out", out).error
        assert "prepared by the recipe thesis" in error
        assert "equireg pack" in error
    assert list(tmp_path.iterdir()) == []

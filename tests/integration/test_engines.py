"""`equireg predict` with the engines that are installed: the masks of torch, and one line where there is none."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

from equireg.engines import choosing
from equireg.engines.network import EngineNetwork
from equireg.inference.ensemble import as_one, members_of
from equireg.prediction.load import load

Command = Callable[..., Any]
CPU = ("--device", "cpu", "--precision", "32", "--test_time", "flips", "--probabilities", "true")


def values(path: Path) -> np.ndarray:
    return np.asarray(nib.Nifti1Image.load(path).dataobj)


@pytest.mark.parametrize(
    "engine", ["onnx", *(pytest.param(name, marks=pytest.mark.slow) for name in choosing.ENGINES if name != "onnx")]
)
def test_an_engine_predicts_as_torch_does(
    equireg: Command, phantom_run: Path, phantom_prepared: Path, tmp_path: Path, engine: str
) -> None:
    for package in choosing.ENGINES[engine][0]:
        pytest.importorskip(package, reason=f"the extra {engine} is not installed")
    for name in ("torch", engine):
        out = ("--out", tmp_path / name, "--split", "test", "--engine", name)
        outcome = equireg("predict", phantom_run, phantom_prepared, *out, *CPU)
        assert outcome.code == 0
        assert (f"{name} computes the network" in outcome.err) == (name != "torch")
    for file in (tmp_path / "torch").glob("*_probabilities.nii.gz"):
        assert np.abs(values(file) - values(tmp_path / engine / file.name)).max() < 2e-3  # they are kept in 16 bits


def test_small_work_stays_with_torch(phantom_run: Path, phantom_prepared: Path) -> None:
    """The default is auto; an engine would take longer to start than the work takes."""
    model = load(phantom_run, device="cpu", precision="32")
    model.predict(np.random.default_rng(0).normal(size=(4, 16, 16, 8)), np.diag([6.0, 6.0, 8.0, 1.0]))
    assert not any(isinstance(part.network, EngineNetwork) for part in model._predictor.parts)


def test_an_engine_is_chosen_at_the_first_scan(phantom_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[torch.Tensor] = []

    def make(network: torch.nn.Module, image: torch.Tensor, threads: int) -> Any:
        made.append(image)
        return lambda images: network(torch.from_numpy(images)).detach().numpy()

    monkeypatch.setattr(choosing, "ENGINES", {"openvino": (("torch",), make)})
    model = load(phantom_run, device="cpu", precision="32", engine="openvino")
    scan, affine = np.random.default_rng(0).normal(size=(4, 16, 16, 8)), np.diag([6.0, 6.0, 8.0, 1.0])
    assert np.array_equal(model.predict(scan, affine).labels, model.predict(scan, affine).labels)
    assert len(made) == 1
    assert isinstance(model._predictor.parts[0].network, EngineNetwork)
    assert made[0].shape == (1, 4, *model._predictor.plan.patch_size)


def test_an_engine_computes_the_members_of_an_ensemble(phantom_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their disagreement still counts, so each is computed by itself."""

    def make(network: torch.nn.Module, image: torch.Tensor, threads: int) -> Any:
        return lambda images: network(torch.from_numpy(images)).detach().numpy()

    monkeypatch.setattr(choosing, "ENGINES", {"openvino": (("torch",), make)})
    one = load(phantom_run, device="cpu", precision="32", engine="torch")
    [network] = members_of(one._predictor.parts[0].network)
    scan, affine = np.random.default_rng(0).normal(size=(4, 16, 16, 8)), np.diag([6.0, 6.0, 8.0, 1.0])
    found = {}
    for engine in ("torch", "openvino"):
        both = load(phantom_run, device="cpu", precision="32", engine=engine)
        part = both._predictor.parts[0]
        both._predictor.parts[0] = replace(part, network=as_one([network, network]), members=2)
        found[engine] = both.predict(scan, affine)
    assert np.array_equal(found["torch"].labels, found["openvino"].labels)
    assert found["torch"].quality == found["openvino"].quality


def test_an_engine_that_cannot_be_had(
    equireg: Command, phantom_run: Path, phantom_prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "find_spec", lambda _: None)
    for jobs in (1, 2):
        out = ("--out", tmp_path / "out", "--engine", "openvino", "--device", "cpu", "--jobs", jobs)
        outcome = equireg("predict", phantom_run, phantom_prepared, *out)
        assert outcome.code == 2
        assert "pip install 'equireg[openvino]'" in outcome.error
        assert not (tmp_path / "out").exists()

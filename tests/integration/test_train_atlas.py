"""`equireg train` with an atlas: made once, the same in a resumed run, and nothing without the option."""

from pathlib import Path
from typing import Any

import lightning
import pytest
import torch

from atlas_made_up import FLAT, anatomy, write_scans
from equireg.folders.atlas import ATLAS
from equireg.folders.run import RunFolder
from equireg.model import read_checkpoint
from equireg.training import first_masks
from equireg.training.train import train

OPTIONS: dict[str, Any] = {
    "method": "equireg",
    "method.atlas_fade": 1.0,
    "sup_cases": 1,
    "network.features": 4,
    "patch_size": (16, 16),
    "batch_size": 2,
    "unsup_ratio": 1,
    "val_every": 2,
    "max_steps": 4,
    "log_every": 2,
    "device": "cpu",
    "precision": "32",
    "logger": "none",
}
WITH_ATLAS: dict[str, Any] = {**OPTIONS, "method.atlas": True}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scans = {name: anatomy(FLAT, shift=0.05 * place, seed=place) for place, name in enumerate("abc")}
    return write_scans(tmp_path_factory.mktemp("atlas") / "prepared", scans).root


def weights(run: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"]


def same(one: Path, other: Path) -> bool:
    pairs = weights(one), weights(other)
    return all(torch.equal(pairs[0][name], pairs[1][name]) for name in pairs[0])


class Stop(Exception):
    pass


def test_a_run_has_first_masks_and_a_resumed_one_the_same(prepared, tmp_path, monkeypatch):
    plain = train(prepared, tmp_path / "plain", **OPTIONS)
    assert not (prepared / ATLAS).exists()
    whole = train(prepared, tmp_path / "whole", **WITH_ATLAS)
    masks = {path.name: path.read_bytes() for path in (prepared / ATLAS).iterdir()}
    assert sum(name.endswith(".b2nd") for name in masks) == 2
    text = RunFolder(whole).metrics.read_text()
    assert "train/atlas" in text
    assert "train/atlas" not in RunFolder(plain).metrics.read_text()
    assert "2 of 2 scans have a first mask" in (whole / "log.txt").read_text()
    assert str(prepared) not in (whole / "log.txt").read_text()
    assert not same(plain, whole)

    # In a folder that cannot be written the run keeps the masks itself; it is stopped half-way and goes on.
    monkeypatch.setattr(first_masks.os, "access", lambda *_: False)

    class Halt(lightning.Callback):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            if trainer.global_step == 3:
                raise Stop

    with pytest.raises(Stop):
        train(prepared, tmp_path / "halves", callbacks=[Halt()], **WITH_ATLAS)
    assert {path.name: path.read_bytes() for path in (tmp_path / "halves" / ATLAS).iterdir()} == masks
    assert same(train(prepared, tmp_path / "halves", resume=True), whole)

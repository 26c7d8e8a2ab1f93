"""`equireg ensemble` and `equireg predict` with several runs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

import equireg as package
from equireg.errors import EquiregError
from equireg.folders.signature import write_content
from equireg.prediction.predict import predict
from equireg.prediction.trained import Trained, read_trained
from equireg.training.train import train

Command = Callable[..., Any]
FAST: dict[str, Any] = {"test_time": "none", "device": "cpu", "precision": "32", "split": "test"}
WORDS = [word for name, value in FAST.items() for word in (f"--{name}", value)]


@pytest.fixture(scope="module")
def solid_run(phantom_prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny run of volumes."""
    options: dict[str, Any] = {"network.features": 4, "max_steps": 2, "val_every": 2, "batch_size": 1}
    out = tmp_path_factory.mktemp("solid") / "solid"
    return train(phantom_prepared, out, method="supervised", spatial_dims=3, device="cpu", precision="32", **options)


@pytest.fixture(scope="module")
def pair(phantom_run: Path, solid_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the ensemble of a run of slices and one of volumes, moved from where it was made."""
    made = package.ensemble([phantom_run, solid_run], tmp_path_factory.mktemp("made") / "pair")
    return Path(shutil.move(made, tmp_path_factory.mktemp("moved") / "pair"))


def probabilities(folder: Path) -> np.ndarray:
    (path,) = folder.glob("*_probabilities.nii.gz")
    return np.asarray(nibabel.load(path).dataobj)  # pyright: ignore[reportAttributeAccessIssue, reportPrivateImportUsage]


def test_several_runs_and_their_ensemble_predict_the_mean(
    equireg: Command, phantom_run: Path, solid_run: Path, pair: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    alone = [
        predict(run, phantom_prepared, tmp_path / run.name, probabilities=True, **FAST)
        for run in (phantom_run, solid_run)
    ]
    mean = sum(probabilities(folder) for folder in alone) / 2
    words = (phantom_run, solid_run, "--probabilities", phantom_prepared, "--out", tmp_path / "both", *WORDS)
    assert equireg("predict", *words).code == 0
    np.testing.assert_allclose(probabilities(tmp_path / "both"), mean, atol=2e-3)
    together = predict(pair, phantom_prepared, tmp_path / "pair", probabilities=True, **FAST)
    np.testing.assert_array_equal(probabilities(together), probabilities(tmp_path / "both"))
    run = json.loads((together / "made_by.json").read_text())["run"]
    assert (run["name"], run["method"], run["options"]["members"], run["spatial_dims"]) == (
        "pair",
        "equireg+supervised",
        2,
        None,
    )
    assert equireg("evaluate", together, phantom_prepared, "--out", tmp_path / "evaluation").code == 0
    assert equireg("report", tmp_path / "evaluation", "--out", tmp_path / "report").code == 0


def test_an_ensemble_predicts_arrays(pair: Path, phantom_run: Path, solid_run: Path) -> None:
    array = np.random.default_rng(0).normal(100, 20, (4, 32, 32, 16))
    first, second, mean = (
        package.load(run, test_time="none", device="cpu", precision="32")
        .predict(array, np.diag([6.0, 6.0, 8.0, 1.0]))
        .probabilities
        for run in (phantom_run, solid_run, pair)
    )
    assert first is not None
    assert second is not None
    assert mean is not None
    np.testing.assert_allclose(mean, (first + second) / 2, atol=1e-5)


@pytest.mark.parametrize("verb", ["predict", "ensemble"])
def test_a_run_that_trains_meanwhile_is_told(
    phantom_run: Path,
    solid_run: Path,
    phantom_prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
) -> None:
    run = Path(shutil.copytree(phantom_run, tmp_path / "run"))

    def read_and_train_on(*given: Any) -> Trained:
        trained = read_trained(*given)
        shutil.copyfile(solid_run / "checkpoints" / "best.ckpt", run / "checkpoints" / "best.ckpt")
        return trained

    monkeypatch.setattr(f"equireg.prediction.{verb}.read_trained", read_and_train_on)
    given = ([run, solid_run], tmp_path / "out")
    with pytest.raises(EquiregError, match=r"best\.ckpt: has changed since the command began.*another --out"):
        package.ensemble(*given) if verb == "ensemble" else predict(run, phantom_prepared, given[1], jobs=2, **FAST)
    assert not (tmp_path / "out").exists()


def test_an_unfinished_folder_knows_all_checkpoints(
    equireg: Command,
    pair: Path,
    phantom_run: Path,
    phantom_prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "predictions"
    with monkeypatch.context() as patched:
        patched.setattr("equireg.prediction.predict._finish", stop)
        assert equireg("predict", pair, phantom_prepared, "--out", out, *WORDS).code == 130
    assert (
        "unfinished predictions of another command (checkpoint_digest"
        in equireg("predict", phantom_run, phantom_prepared, "--out", out, *WORDS).error
    )
    assert equireg("predict", pair, phantom_prepared, "--out", out, *WORDS).code == 0


def test_what_cannot_predict_together_is_refused(
    equireg: Command, pair: Path, phantom_run: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def refused(*words: object) -> str:
        outcome = equireg(*words, "--out", out)
        assert (outcome.code, out.exists()) == (1, False)
        return outcome.error

    assert "is given twice" in refused("predict", phantom_run, pair, phantom_prepared)
    assert "Leave out --checkpoint" in refused("predict", pair, phantom_prepared, "--checkpoint", "last")
    assert "some of the runs are of slices" in refused(
        "predict", pair, phantom_prepared, "--split", "test", "--equivariance"
    )
    assert "is an ensemble of copied checkpoints" in refused("report", pair)
    assert "is the only run" in refused("ensemble", phantom_run)
    assert "no such folder" in refused("ensemble", phantom_run, tmp_path / "nothing")
    assert "was made by `equireg prepare`" in refused("ensemble", phantom_run, phantom_prepared)


def test_a_member_that_is_missing_or_changed_is_named(
    equireg: Command, pair: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    broken, out = tmp_path / "broken", tmp_path / "out"
    shutil.copytree(pair, broken)
    member = broken / "members" / "solid.ckpt"
    member.write_bytes(member.read_bytes()[:-1])
    assert (
        "solid.ckpt: is not the checkpoint that the ensemble was made of"
        in equireg("predict", broken, phantom_prepared, "--out", out).error
    )
    member.unlink()
    assert (
        "solid.ckpt: is missing; the ensemble has 2 members"
        in equireg("predict", broken, phantom_prepared, "--out", out).error
    )
    signature = json.loads((broken / "made_by.json").read_text())
    signature["members"][0]["checkpoint"] = "../pair/members/solid.ckpt"
    write_content(broken, signature)
    assert "does not lie in the folder" in equireg("predict", broken, phantom_prepared, "--out", out).error
    assert not out.exists()


@pytest.mark.parametrize(
    ("fact", "value", "word"),
    [
        ("channels", ("t1", "flair", "t2", "x"), "channels"),
        ("spacing_mm", (1.0, 1.0, 9.0), "spacing"),
        ("axes", "xyz", "orientation"),
    ],
)
def test_runs_that_disagree_are_refused_with_what_differs(
    phantom_run: Path, fact: str, value: object, word: str
) -> None:
    from dataclasses import replace

    from equireg.errors import EquiregError
    from equireg.model import load_model
    from equireg.prediction.trained import check_alike

    model = load_model(phantom_run / "checkpoints" / "best.ckpt")
    other = replace(model, facts=replace(model.facts, **{fact: value}))
    check_alike(("a", "b"), (model, model))
    with pytest.raises(EquiregError, match=f"a and b disagree in {word}"):
        check_alike(("a", "b"), (model, other))

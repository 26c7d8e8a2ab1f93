"""`equireg plan`, and a run that plans what it is not told."""

import json
from pathlib import Path
from typing import Any

import pytest

import equireg
from equireg.cli import main
from equireg.folders.run import RunFolder
from equireg.pipeline.claiming import differs
from equireg.pipeline.sweepfile import Run
from prepared_sets import record, write_set

SHORT: dict[str, Any] = {
    "network": {"features": 2, "max_features": 4},
    "max_minutes": 60.0,
    "max_steps": 3,
    "val_every": 3,
    "precision": "32",
    "logger": "none",
    "pictures_every": 0,
}


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    cases = [record("a"), record("b", labelled=False), record("v", "val")]
    return write_set(tmp_path / "P", cases)


def test_a_plan_is_printed_and_trained_with(prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--network.features", "2", "--network.max_features", "4", "--max_minutes", "60", "--max_steps", "3"]
    assert main(["plan", str(prepared), *arguments, "--json", "--out", str(tmp_path / "plan.yaml")]) == 0
    content = json.loads(capsys.readouterr().out)
    chosen = {one["option"]: one["value"] for one in content["settings"]}
    assert chosen.keys() >= {"batch_size", "patch_size", "foreground"}
    run = tmp_path / "run"
    assert main(["train", str(prepared), "--config", str(tmp_path / "plan.yaml"), "--out", str(run)]) == 0
    stored = RunFolder(run).read_config()
    assert {name: stored[name] for name in ("batch_size", "patch_size", "foreground")} == {
        name: chosen[name] for name in ("batch_size", "patch_size", "foreground")
    }
    other = write_set(tmp_path / "other", [record("a"), record("z", labelled=False)])
    capsys.readouterr()
    assert main(["train", str(other), "--config", str(tmp_path / "plan.yaml"), "--out", str(tmp_path / "no")]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "planned for" in told or "made for another prepared folder" in told
    assert not (tmp_path / "no").exists()


def test_a_run_plans_what_it_is_not_told(prepared: Path, tmp_path: Path) -> None:
    run = RunFolder(equireg.train(prepared, tmp_path / "run", **SHORT))
    planned = run.signature()["planned"]
    assert {"batch_size", "unsup_ratio", "patch_size", "foreground", "spatial_dims", "method.exchange"} == set(planned)
    lines = [line for line in run.log.read_text(encoding="utf-8").splitlines() if " planned " in line]
    for option in planned:
        assert any(f" {option} " in line for line in lines)
    # It goes on with the same options, and a sweep knows it again.
    equireg.train(prepared, run.root, resume=True)
    assert run.signature()["planned"] == planned
    assert not differs(run.root, Run("run", SHORT))
    assert differs(run.root, Run("run", {**SHORT, "batch_size": 100}))


def test_a_run_of_so_many_steps_has_the_defaults(prepared: Path, tmp_path: Path) -> None:
    options = {name: value for name, value in SHORT.items() if name != "max_minutes"}
    run = RunFolder(equireg.train(prepared, tmp_path / "run", **options, batch_size=2))
    assert run.signature()["planned"] == ["method.exchange"]  # by the masks alone; nothing is measured for it
    assert run.read_config()["unsup_ratio"] == equireg.TrainConfig().unsup_ratio
    assert "planned" not in run.log.read_text(encoding="utf-8")


def test_a_time_that_is_too_short_leaves_nothing(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in (["plan", str(prepared)], ["train", str(prepared), "--out", str(tmp_path / "run")]):
        assert main([*verb, "--max_minutes", "0.0001"]) == 1
        told = capsys.readouterr().err.splitlines()[-1]
        assert told.startswith("error: --max_minutes 0.0001 leaves about 0 steps")
    assert not (tmp_path / "run").exists()
    assert not (prepared / "plan.yaml").exists()

"""`equireg sweep`: a grid of runs that can be gone on with, and one table."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from equireg import folders
from planted_names import found_in

Command = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("page_of_tables")

SHARED = {
    "network.features": 4,
    "max_steps": 2,
    "val_every": 2,
    "batch_size": 2,
    "unsup_ratio": 1,
    "device": "cpu",
    "precision": "32",
}


@pytest.fixture
def write_sweep(phantom_prepared: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a sweep file beside a link to the prepared phantoms."""
    (tmp_path / "prepared").symlink_to(phantom_prepared)

    def write(**changes: Any) -> Path:
        content: dict[str, Any] = {
            "prepared": "prepared",
            "train": SHARED,
            "predict": {"test_time": "none", "device": "cpu", "precision": "32"},
            "grid": {"method": ["supervised", "equireg"], "sup_cases": [1]},
        }
        (tmp_path / "sweep.yaml").write_text(yaml.safe_dump({**content, **changes}, sort_keys=False))
        return tmp_path / "sweep.yaml"

    return write


def states(out: Path) -> dict[str, int]:
    return {str(path.relative_to(out)): path.stat().st_mtime_ns for path in out.glob("*/*/made_by.json")}


def test_a_sweep_does_each_run_once(equireg: Command, write_sweep: Callable[..., Path], tmp_path: Path) -> None:
    file, out = write_sweep(), tmp_path / "out"
    listed = equireg("sweep", file, "--out", out, "--dry_run")
    assert listed.code == 0
    assert listed.out.splitlines() == ["to do  supervised-sup1", "to do  equireg-sup1"]
    assert not out.exists()
    outcome = equireg("sweep", file, "--out", out)
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(out / "results.csv")
    assert table["run"].tolist() == ["supervised-sup1", "equireg-sup1"]
    assert table["method"].tolist() == ["supervised", "equireg"]
    assert table["labelled_cases"].tolist() == [1, 1]
    assert table["unlabelled_cases"].tolist() == [0, 4]
    assert {"cases", "dice", "dice whole"} <= set(table)
    assert (out / "report" / "index.html").is_file()
    assert folders.made_by(out) == "sweep"
    assert found_in(out, (str(tmp_path), str(tmp_path.parent))) == []  # the prepared folder lies beside tmp_path
    before = states(out)
    assert len(before) == 6
    again = equireg("sweep", file, "--out", out)
    assert again.code == 0
    assert "2 runs, 0 of them to do" in again.err
    assert states(out) == before
    done = equireg("sweep", file, "--out", out, "--dry_run")
    assert done.out.splitlines() == ["done   supervised-sup1", "done   equireg-sup1"]


def test_only_what_is_missing_is_done(equireg: Command, write_sweep: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert equireg("sweep", write_sweep(), "--out", out).code == 0
    before = states(out)
    shutil.rmtree(out / "evaluations" / "equireg-sup1")
    shutil.rmtree(out / "predictions" / "equireg-sup1")
    further = write_sweep(runs=[{"method": "supervised", "sup_cases": 2}])
    outcome = equireg("sweep", further, "--out", out)
    assert outcome.code == 0, outcome.err
    after = states(out)
    assert {name for name in after if after[name] != before.get(name)} == {
        "predictions/equireg-sup1/made_by.json",
        "evaluations/equireg-sup1/made_by.json",
        *(f"{folder}/supervised-sup2/made_by.json" for folder in ("runs", "predictions", "evaluations")),
    }
    assert len(pd.read_csv(out / "results.csv")) == 3


def test_a_run_that_was_stopped_is_gone_on_with(
    equireg: Command, write_sweep: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, out = write_sweep(grid={"method": ["supervised"]}, train=SHARED | {"max_steps": 4}), tmp_path / "out"
    from equireg.methods import Method

    def stop(self: Method, step: int) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Method, "after_step", stop)
        stopped = equireg("sweep", file, "--out", out)
    assert stopped.code == 130
    assert stopped.error.startswith(
        "error: interrupted; what was finished is kept: supervised has its last checkpoint. "
    )
    assert "Give the same command again" in stopped.error
    assert not (out / "evaluations").exists()
    first = (out / "runs" / "supervised" / "config.yaml").stat().st_mtime_ns
    outcome = equireg("sweep", file, "--out", out)
    assert outcome.code == 0, outcome.err
    assert (out / "runs" / "supervised" / "config.yaml").stat().st_mtime_ns == first
    metrics = pd.read_csv(out / "runs" / "supervised" / "metrics.csv")
    assert metrics["step"].tolist() == [2, 4]


def test_a_failing_run_leaves_the_others(equireg: Command, write_sweep: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcome = equireg("sweep", write_sweep(grid={"sup_cases": [9, 1]}), "--out", out)
    assert outcome.code == 1
    assert "1 of 2 runs failed. sup9: --sup_cases or --sup_cut asks for 9" in outcome.error
    assert pd.read_csv(out / "results.csv")["run"].tolist() == ["sup1"]
    assert not (out / "runs" / "sup9").exists()


def test_scans_that_could_not_be_predicted_are_tried_again(
    equireg: Command, write_sweep: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mean over fewer scans than the other runs have must not pass for a run that is done."""
    from equireg.prediction import predict

    whole, broken = predict.predict_here, []

    def breaks_once(job: Any, predictor: Any, cases: Any, add: Any) -> Any:
        last = [] if broken else cases[-1:]
        broken.extend(last)
        return whole(job, predictor, cases[: len(cases) - len(last)], add) | {
            case.name: predict.Failure("the disk was away") for case in last
        }

    monkeypatch.setattr(predict, "predict_here", breaks_once)
    file, out = write_sweep(grid={"method": ["supervised"], "sup_cases": [1]}, split="train"), tmp_path / "out"
    first = equireg("sweep", file, "--out", out)
    assert first.code == 1
    assert "the disk was away" in first.error
    assert not (out / "evaluations" / "supervised-sup1").exists()
    second = equireg("sweep", file, "--out", out)
    assert second.code == 0, second.err
    (case,) = broken
    assert case.name in set(pd.read_csv(out / "evaluations" / "supervised-sup1" / "metrics.csv")["case"])


def test_parts_and_several_splits(equireg: Command, write_sweep: Callable[..., Path], tmp_path: Path) -> None:
    """A part's shared options reach its runs and not their names; each split has its own evaluation."""
    part = {"train": {"max_steps": 1}, "grid": {"method": ["supervised"], "repeat": [0, 1]}}
    file, out = write_sweep(grid={}, parts=[part], split=["val", "test"]), tmp_path / "out"
    outcome = equireg("sweep", file, "--out", out)
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(out / "results.csv")
    assert table["run"].tolist() == ["supervised-repeat0"] * 2 + ["supervised-repeat1"] * 2
    assert table["split"].tolist() == ["val", "test"] * 2
    assert table["repeat"].tolist() == [0, 0, 1, 1]
    assert table["masked_cases"].tolist() == [2] * 4
    assert {path.name for path in (out / "evaluations").iterdir()} == {
        f"supervised-repeat{repeat}-{split}" for repeat in (0, 1) for split in ("val", "test")
    }
    steps = pd.read_csv(out / "runs" / "supervised-repeat0" / "metrics.csv")["step"].tolist()
    assert steps == [1]
    before = states(out)
    shutil.rmtree(out / "evaluations" / "supervised-repeat1-test")
    assert equireg("sweep", file, "--out", out).code == 0
    after = states(out)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"evaluations/supervised-repeat1-test/made_by.json"}


def test_a_run_that_breaks_leaves_the_others(
    equireg: Command, write_sweep: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only what equireg refuses: an error of a library ends one run, and not the sweep."""
    from equireg.training import train as module

    real = module.train

    def train(prepared: Path, out: Path, **options: Any) -> Path:
        if out.name == "seed1":
            raise RuntimeError("no such kernel")
        return real(prepared, out, **options)

    monkeypatch.setattr(module, "train", train)
    outcome = equireg("sweep", write_sweep(grid={"seed": [1, 2]}), "--out", tmp_path / "out")
    assert outcome.code == 1
    assert "1 of 2 runs failed. seed1: RuntimeError: no such kernel" in outcome.err.splitlines()[-1]
    assert pd.read_csv(tmp_path / "out" / "results.csv")["run"].tolist() == ["seed2"]


def test_layers_of_options_are_merged_deeply(tmp_path: Path) -> None:
    """A method's name in the grid keeps the method's options that all runs share; the last layer wins."""
    from equireg.pipeline.sweepfile import Part, SweepConfig, list_runs

    (tmp_path / "file.yaml").write_text("method: {name: equireg, weight: 5.0, cutmix: 0.25}\nmax_steps: 7\n")
    part = Part({"method": {"weight": 2.0}}, {"method": ["equireg"], "seed": [1]})
    run = list_runs(SweepConfig(prepared="p", train={"config": "file.yaml", "max_steps": 9}, parts=[part]), tmp_path)[0]
    assert run.options == {"method": {"name": "equireg", "weight": 2.0, "cutmix": 0.25}, "max_steps": 9, "seed": 1}


@pytest.mark.slow
def test_two_jobs_do_the_same(equireg: Command, write_sweep: Callable[..., Path], tmp_path: Path) -> None:
    file = write_sweep(grid={"method": ["supervised"], "seed": [1, 2]})
    assert equireg("sweep", file, "--out", tmp_path / "one").code == 0
    outcome = equireg("sweep", file, "--out", tmp_path / "two", "--jobs", 2)
    assert outcome.code == 0, outcome.err
    one, two = (pd.read_csv(tmp_path / name / "results.csv") for name in ("one", "two"))
    pd.testing.assert_frame_equal(one, two, atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"grid": {}}, "neither a grid nor runs"),
        ({"raw": "raw"}, "expected one of the two"),
        ({"split": ["val", "all"]}, "expected train, val, test"),
        ({"split": ["val", "val"]}, "expected train, val, test"),
        ({"predict": {"split": "val"}}, "a split of its own"),
        ({"grid": {"sup_cutt": [0.1]}}, "sweep.yaml: run sup_cutt0.1: unknown option 'sup_cutt'; did you mean"),
        ({"parts": [{"grid": {"seed": []}}]}, "no value for seed"),
        ({"runs": [{"method": "supervised", "sup_cases": 1}]}, "holds the run supervised-sup1 twice"),
    ],
)
def test_a_sweep_that_does_not_fit(
    equireg: Command, write_sweep: Callable[..., Path], tmp_path: Path, changes: dict[str, Any], finding: str
) -> None:
    outcome = equireg("sweep", write_sweep(**changes), "--out", tmp_path / "out")
    assert outcome.code in (1, 2)
    assert finding in outcome.error
    assert not (tmp_path / "out").exists()


def test_a_raw_folder_is_prepared_first(
    equireg: Command, write_sweep: Callable[..., Path], phantom_raw: Path, tmp_path: Path
) -> None:
    options = {"val_fraction": 0.25, "test_fraction": 0.25, "jobs": 1}
    file = write_sweep(prepared=None, raw=str(phantom_raw), prepare=options, grid={"method": ["supervised"]})
    outcome = equireg("sweep", file, "--out", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    assert folders.made_by(tmp_path / "out" / "prepared") == "prepare"
    assert (tmp_path / "out" / "results.csv").is_file()

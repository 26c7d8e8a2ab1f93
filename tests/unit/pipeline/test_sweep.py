"""The sweep file's errors, names of runs, the lock, and what a sweep writes and removes; nothing is trained here."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import prepared_sets
from equireg import disk, folders
from equireg.config.cluster import HERE
from equireg.errors import EquiregError
from equireg.folders import evaluation
from equireg.folders.prepared import Split
from equireg.pipeline import sweep as module
from equireg.pipeline.sweep import sweep
from equireg.pipeline.sweepfile import Run, SweepConfig, list_runs

GRID = {"method": ["supervised"], "seed": [1, 2]}
SUMMARY = {"cases": 2, "regions": {"lesion": {"dice": {"mean": 0.5}}}, "mean": {"dice": 0.5, "hd95_mm": None}}


def write(path: Path, **changes: Any) -> Path:
    path.write_text(yaml.safe_dump({"prepared": "p", "grid": GRID, **changes}))
    return path


def refused(tmp_path: Path, text: str) -> str:
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    with pytest.raises(EquiregError) as caught:
        sweep(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "3",
        "- prepared: p",
        "prepared: [p]\ngrid: {seed: [1]}",
        "prepared: p\ngrid: [1, 2]",
        "prepared: p\ngrid: {seed: 42}",
        "prepared: p\ngrid: {seed: []}",
        "prepared: p\ngrid: {seed: [1, {a: b}]}",
        "prepared: p\nruns: all",
        "prepared: p\nruns: [3]",
        "prepared: p\nparts: [3]",
        "prepared: p\nparts: [{grid: 3}]",
        "prepared: p\ngrid: {seed: [1]}\nsplit: 3",
        "prepared: p\ngrid: {seed: [1]}\ntrain: [1]",
        "prepared: p\ngrid: {seed: [1]}\ntrain: {max_steps: soon}",
        "prepared: p\ngrid: {seed: [1]}\nunknown: 3",
        "prepared: p\ngrid: {config: [nowhere.yaml]}",
        "prepared: p\ngrid: {config: [..]}",
        "prepared: p\nruns: [{}]",
        "prepared: p\ngrid: {seed: [1",
        "prepared: p\ngrid: {seed: [" + ",".join(["1"] * 20_000) + "]}",
        "&a [*a]",
        "a: &a [x, x]\nb: &b [*a, *a]\nprepared: p\ngrid: {seed: *b}",
        "\x00",
    ],
)
def test_a_file_that_does_not_fit_is_named_in_one_line(tmp_path: Path, text: str) -> None:
    assert "plan.yaml" in refused(tmp_path, text) or "nowhere.yaml" in text


def test_aliases_that_grow_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    assert "plan.yaml" in refused(tmp_path, "\n".join([*lines, "prepared: p", "grid: {seed: *a9}"]))


def test_a_grid_that_explodes_is_refused(tmp_path: Path) -> None:
    grid = "\n".join(f"  optimizer.o{index}: [{', '.join(map(str, range(100)))}]" for index in range(8))
    assert "the sweep holds 10000000000000000 runs" in refused(tmp_path, f"prepared: p\ngrid:\n{grid}\n")


@pytest.mark.parametrize("name", ["..", ".", "-rf", "a\nb", "", "\x1b[2J", "x" * 300])
def test_names_of_runs_are_names_of_folders(name: str) -> None:
    plan = SweepConfig(prepared="p", runs=[{"method": name}])
    with pytest.raises(EquiregError, match="expected a name"):
        list_runs(plan, Path())


def test_paths_in_values_do_not_leave_the_folder() -> None:
    plan = SweepConfig(prepared="p", runs=[{"method": "supervised", "network.weights": "../../x"}])
    assert list_runs(plan, Path())[0].name == "supervised-weights.._.._x"


def test_files_that_options_name_count_from_the_sweep_file(tmp_path: Path) -> None:
    (tmp_path / "f.json").touch()
    options = {"folds_file": "f.json", "init": "elsewhere.ckpt"}
    run = list_runs(SweepConfig(prepared="p", train=options, grid={"fold": ["0/2"]}), tmp_path)[0]
    assert run.options == {"fold": "0/2", "folds_file": str(tmp_path / "f.json"), "init": "elsewhere.ckpt"}


def test_a_folder_is_swept_by_one_process_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = []
    monkeypatch.setattr(module.disk, "locked_folder", lambda out: locked.append(out) or pytest.fail("locked"))
    with pytest.raises(pytest.fail.Exception):
        sweep(write(tmp_path / "plan.yaml"), tmp_path / "out")
    assert locked == [tmp_path / "out"]


def test_a_raw_folder_that_changed_since_it_was_prepared_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, plan = [], SweepConfig(raw="raw", prepare={"jobs": 1}, grid=GRID)
    monkeypatch.setattr(module, "tell_stale", lambda *given: told.append(given))
    monkeypatch.setattr(module, "prepare", lambda raw, out, **_: out.mkdir() or folders.sign(out, "prepare", {}))
    module._prepared(plan, tmp_path, tmp_path, HERE)
    assert told == []
    assert module._prepared(plan, tmp_path, tmp_path, HERE) == tmp_path / "prepared"
    assert told == [(tmp_path / "raw", tmp_path / "prepared", {"jobs": 1})]


def evaluated(out: Path, name: str, run: dict[str, Any]) -> None:
    folder = out / "evaluations" / name
    folder.mkdir(parents=True)
    evaluation.write_summary(folder, SUMMARY)
    folders.sign(folder, "evaluate", {}, run=run)


def test_results_are_whole_and_defused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = []
    monkeypatch.setattr("equireg.reporting.build.report", lambda sources, page: pages.append(page))
    facts = {"name": "a", "method": "=cmd", "seed": 1, "arm": "0123456789abcdef"}
    evaluated(tmp_path, "a", facts)
    evaluated(tmp_path, "b", {})
    module._write_results(tmp_path, tmp_path / "p", [Run("a", {}), Run("b", {})])
    assert ",'=cmd," in (tmp_path / "results.csv").read_text()
    table = pd.read_csv(tmp_path / "results.csv")
    assert table["run"].tolist() == ["a", "b"]
    assert table["arm"].tolist()[0] == "0123456789abcdef"
    assert table["dice"].tolist() == table["dice lesion"].tolist() == [0.5, 0.5]
    assert table["hd95_mm"].isna().tolist() == [True, True]
    assert pages == [tmp_path / "report"]


def test_a_damaged_summary_is_named(tmp_path: Path) -> None:
    evaluated(tmp_path, "a", {})
    (tmp_path / "evaluations/a/summary.json").write_text("[]")
    with pytest.raises(EquiregError, match=r"evaluations/a/summary\.json: is damaged"):
        module._write_results(tmp_path, tmp_path / "p", [Run("a", {})])


def test_only_a_page_of_our_own_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "report"
    page.mkdir()
    (page / "notes.txt").write_text("mine")
    with pytest.raises(EquiregError, match="Move it away"):
        module.remove_report(page)
    assert (page / "notes.txt").is_file()
    folders.sign(page, "report", {})
    module.remove_report(page)
    assert not page.exists()


def test_foreign_predictions_in_the_folder_are_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def predict(run: Path, scans: Path, out: Path, **options: Any) -> Path:
        disk.refuse_existing(out)
        return out

    monkeypatch.setattr("equireg.training.train.train", lambda *_, **__: None)
    monkeypatch.setattr("equireg.prediction.predict.predict", predict)
    mine = tmp_path / "predictions" / "a" / "c1.nii.gz"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    with pytest.raises(EquiregError, match="exists already"):
        module._do_run(SweepConfig(prepared="p", grid={"seed": [1]}), Run("a", {}), tmp_path / "p", tmp_path)
    assert mine.is_file()


def test_a_sweep_file_may_hold_the_verbs_own_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "plan.yaml", jobs=2, dry_run=True)
    runs = sweep(path, tmp_path / "out")
    assert capsys.readouterr().out.splitlines() == [f"to do  {run.name}" for run in runs]
    assert len(runs) == 2
    assert not (tmp_path / "out").exists()


def test_wrong_options_in_a_sweep_file_name_it(tmp_path: Path) -> None:
    assert "plan.yaml: --jobs is -1" in refused(tmp_path, "prepared: p\ngrid: {seed: [1]}\njobs: -1")


def test_a_dry_run_spells_out_what_could_steer_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_read_plan", lambda *_: (None, [Run("a\x1b[2Jb", {})]))
    sweep(write(tmp_path / "plan.yaml"), tmp_path / "out", dry_run=True)
    assert capsys.readouterr().out == "to do  a\\x1b[2Jb\n"


def prepared_with(path: Path, *splits: Split, masked: bool = True) -> Path:
    cases = [prepared_sets.record(f"c{index}", split=split, labelled=masked) for index, split in enumerate(splits)]
    return prepared_sets.write_set(path, cases)


def test_a_split_without_masks_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    prepared_with(tmp_path / "p", "train", "val")
    for changes in ({}, {"dry_run": True}, {"split": ["val", "test"]}):
        with pytest.raises(EquiregError, match=r"plan.yaml: .*no case with a mask in the split test.*`split: val`"):
            sweep(write(tmp_path / "plan.yaml", **changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert len(sweep(write(tmp_path / "plan.yaml", split="val", dry_run=True), tmp_path / "out")) == 2


def test_a_fold_brings_its_own_validation_cases(tmp_path: Path) -> None:
    prepared_with(tmp_path / "p", "train", "train")
    changes = {"grid": {"fold": ["0/2"]}, "dry_run": True}
    assert len(sweep(write(tmp_path / "plan.yaml", split="val", **changes), tmp_path / "out")) == 1
    with pytest.raises(EquiregError, match="in the split test"):
        sweep(write(tmp_path / "plan.yaml", split="test", **changes), tmp_path / "out")


def test_cases_without_a_mask_are_enough_to_measure_equivariance(tmp_path: Path) -> None:
    prepared_with(tmp_path / "p", "train", "test", masked=False)
    with pytest.raises(EquiregError, match="in the split test"):
        sweep(write(tmp_path / "plan.yaml", dry_run=True), tmp_path / "out")
    sweep(write(tmp_path / "plan.yaml", dry_run=True, predict={"equivariance": True}), tmp_path / "out")


def test_another_split_keeps_the_runs_and_what_was_judged_on_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared_with(tmp_path / "p", "train", "val", "test")
    swept, grid = [], {"seed": [1]}
    monkeypatch.setattr(module, "do_sweep", lambda plan, *_: swept.append(plan))
    out = tmp_path / "out"
    sweep(write(tmp_path / "plan.yaml", grid=grid), out)
    evaluated(out, "seed1", {})
    sweep(write(tmp_path / "plan.yaml", grid=grid, split="val"), out)
    assert len(swept) == 2

    def judged(split: Any) -> list[dict[str, str]]:
        file = write(tmp_path / "plan.yaml", grid=grid, split=split)
        return [run.judged() for run in sweep(file, out, dry_run=True)]

    assert judged("val") == [{"val": "seed1-val"}]
    assert judged(["val", "test"]) == [{"val": "seed1-val", "test": "seed1"}]
    assert judged("test") == [{"test": "seed1"}]
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["to", "to", "done"]
    with pytest.raises(EquiregError, match=r"other options \(predict\)"):
        sweep(write(tmp_path / "plan.yaml", grid=grid, predict={"test_time": "none"}), out)

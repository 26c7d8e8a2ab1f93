"""`prepare` as a function: what a second run does anew, what a killed one leaves, and what is refused."""

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

from equireg.errors import EquiregError, UsageError
from equireg.folders.prepared import PreparedSet
from equireg.folders.prepared.adopted import ADOPTED, Adoption, write_history
from equireg.imaging.volume import Geometry
from equireg.layouts import RawCase
from equireg.preparation import case as one_case
from equireg.preparation.prepare import prepare
from equireg.preparation.running import choose_jobs
from equireg.processes.workers import WorkerDiedError, Workers
from prepared_sets import whole


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Four plain cases, a to d; d has no mask."""
    root = tmp_path / "raw"
    rng = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for name in "abcd":
        write(root / "images" / f"{name}.nii.gz", rng.normal(10, 2, (10, 9, 8)).astype(np.float32))
        if name != "d":
            write(root / "labels" / f"{name}.nii.gz", rng.integers(0, 3, (10, 9, 8)).astype(np.uint8))
    return root


def write(path: Path, voxels: np.ndarray, affine: np.ndarray | None = None) -> None:
    nib.save(nib.Nifti1Image(voxels, np.eye(4) if affine is None else affine), path)


def states(out: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of every case's record: they change only when the case is done anew."""
    stats = {path.parent.name: path.stat() for path in out.glob("cases/*/case.json")}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


def contents(out: Path) -> dict[str, Any]:
    """Everything but the signature; arrays by their values."""
    data = PreparedSet(out)
    result: dict[str, Any] = {"manifest": (out / "manifest.json").read_text()}
    for case in data.manifest.cases:
        result[case.name] = whole(data.image(case.name)).tobytes()
        if case.labelled:
            result[f"{case.name} label"] = whole(data.label(case.name)).tobytes()
    return result


def redone(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {name for name in after if after[name] != before.get(name)}


def test_files_are_looked_at_beforehand_only_where_a_case_is_prepared_already(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    own = one_case.fingerprint

    def fingerprint(case: RawCase, plan: one_case.CasePlan) -> str:
        asked.append(case.name)
        return own(case, plan)

    monkeypatch.setattr(one_case, "fingerprint", fingerprint)
    for _ in range(2):
        prepare(raw, tmp_path / "out", jobs=1)
        assert sorted(asked) == list("abcd"), "the second time nothing is prepared anew"
        asked.clear()


def test_the_manifest_says_what_there_is(raw: Path, tmp_path: Path) -> None:
    made = prepare(raw, tmp_path / "out", jobs=1, val_fraction=0.3, test_fraction=0.3)
    assert made == PreparedSet(tmp_path / "out").manifest
    assert [case.name for case in made.cases] == list("abcd")
    assert sorted(case.split for case in made.cases) == ["test", "train", "train", "val"]
    assert {case.name for case in made.cases if not case.labelled} == {"d"}
    assert made.labels.values == (0, 1, 2)
    assert made.fingerprint["median_shape"] == [8, 9, 10]
    assert sum(made.fingerprint["class_voxels"]) == 3 * 10 * 9 * 8
    assert made.refused == ()
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"manifest.json", "made_by.json", "raw.json", "splits.json", "cases", "examples"}
    first = next(case.name for case in made.cases if case.split == "train")
    assert [path.name for path in (tmp_path / "out" / "examples").iterdir()] == [f"{first}.npz"]


def test_a_second_run_does_nothing_anew(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(raw, out, jobs=1)
    before, content = states(out), contents(out)
    example = next((out / "examples").iterdir())
    inode = example.stat().st_ino
    prepare(raw, out, jobs=1)
    assert states(out) == before
    assert contents(out) == content
    assert example.stat().st_ino == inode


def test_a_changed_file_is_done_anew_alone(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(raw, out, jobs=1)
    before = states(out)
    write(raw / "labels" / "b.nii.gz", np.ones((10, 9, 8), dtype=np.uint8))
    prepare(raw, out, jobs=1)
    assert redone(before, states(out)) == {"b"}
    assert (whole(PreparedSet(out).label("b")) == 1).all()


def test_a_mask_that_appears_or_goes_counts(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(raw, out, jobs=1)
    before = states(out)
    shutil.copy(raw / "labels" / "a.nii.gz", raw / "labels" / "d.nii.gz")
    (raw / "labels" / "b.nii.gz").unlink()
    made = prepare(raw, out, jobs=1)
    assert redone(before, states(out)) == {"b", "d"}
    assert {case.name for case in made.cases if not case.labelled} == {"b"}


def test_another_plan_does_all_anew(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(raw, out, jobs=1)
    before = states(out)
    made = prepare(raw, out, jobs=1, spacing="2,2,2")
    assert redone(before, states(out)) == set("abcd")
    assert {case.spacing_mm for case in made.cases} == {(2.0, 2.0, 2.0)}


def test_another_split_does_no_array_anew(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(raw, out, jobs=1)
    before = states(out)
    (tmp_path / "split.json").write_text(json.dumps({"val": ["a"], "test": ["b"]}))
    made = prepare(raw, out, jobs=1, split=str(tmp_path / "split.json"))
    assert states(out) == before
    assert {case.name: case.split for case in made.cases} == {"a": "val", "b": "test", "c": "train", "d": "train"}


def test_a_case_that_is_gone_disappears(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(raw, out, jobs=1)
    for folder in ("images", "labels"):
        (raw / folder / "c.nii.gz").unlink()
    made = prepare(raw, out, jobs=1)
    assert [case.name for case in made.cases] == list("abd")
    assert {path.name for path in (out / "cases").iterdir()} == set("abd")


def test_a_bad_case_is_refused_and_comes_back_when_repaired(raw: Path, tmp_path: Path) -> None:
    out, path = tmp_path / "out", raw / "images" / "b.nii.gz"
    good = path.read_bytes()
    prepare(raw, out, jobs=1)
    before = states(out)
    path.write_bytes(good[: len(good) // 2])
    made = prepare(raw, out, jobs=1)
    assert [case.name for case in made.cases] == list("acd")
    assert [item["case"] for item in made.refused] == ["b"]
    assert made.refused[0]["reason"].startswith(f"{path.relative_to(raw.parent)}: ")
    assert made.refused[0]["remedy"]
    assert not (out / "cases" / "b").exists()
    path.write_bytes(good)
    assert [case.name for case in prepare(raw, out, jobs=1).cases] == list("abcd")
    assert redone(before, states(out)) == {"b"}


def test_two_jobs_make_the_same(raw: Path, tmp_path: Path) -> None:
    (raw / "images" / "b.nii.gz").write_bytes(b"no image")
    prepare(raw, tmp_path / "one", jobs=1)
    prepare(raw, tmp_path / "two", jobs=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert len(PreparedSet(tmp_path / "two").manifest.refused) == 1


def test_without_masks_there_is_no_example(raw: Path, tmp_path: Path) -> None:
    prepare(raw, tmp_path / "out", jobs=1)
    shutil.rmtree(raw / "labels")
    prepare(raw, tmp_path / "out", jobs=1)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "manifest.json",
        "made_by.json",
        "raw.json",
        "splits.json",
        "cases",
    }


def test_a_prepared_folder_can_be_moved(raw: Path, tmp_path: Path) -> None:
    prepare(raw, tmp_path / "out", jobs=1)
    content = contents(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "moved")
    assert contents(tmp_path / "moved") == content
    assert str(tmp_path) not in content["manifest"]


def stop_at(monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException) -> None:
    """Let the preparation of one case end the whole run."""
    real: Callable[..., dict[str, Any]] = one_case.prepare_case

    def prepare_case(case: Any, *others: Any) -> dict[str, Any]:
        if case.name == name:
            raise error
        return real(case, *others)

    monkeypatch.setattr(one_case, "prepare_case", prepare_case)


def test_a_stopped_run_leaves_nothing_that_looks_complete(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        stop_at(patched, "c", KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            prepare(raw, out, jobs=1)
    with pytest.raises(EquiregError, match=r"has no made_by\.json"):
        PreparedSet(out)
    before = states(out)
    assert set(before) == {"a", "b"}
    (out / "cases" / ".c.partial-1").mkdir()  # what a kill -9 leaves
    prepare(raw, out, jobs=1)
    assert redone(before, states(out)) == {"c", "d"}
    assert {path.name for path in (out / "cases").iterdir()} == set("abcd")
    names = {path.name for path in out.iterdir()}
    assert names == {"manifest.json", "made_by.json", "raw.json", "splits.json", "cases", "examples"}


def test_a_stopped_second_run_is_not_complete_either(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    prepare(raw, out, jobs=1)
    stop_at(monkeypatch, "c", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        prepare(raw, out, jobs=1, spacing="2,2,2")
    with pytest.raises(EquiregError, match=r"has no made_by\.json"):
        PreparedSet(out)


def test_the_folder_of_another_raw_folder_is_kept_also_after_a_stopped_run(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    prepare(raw, out, jobs=1)
    shutil.copytree(raw, other)
    for path in (other / "images").iterdir():
        write(path, np.random.default_rng(1).normal(10, 2, (10, 9, 8)).astype(np.float32))
    with monkeypatch.context() as patched:
        stop_at(patched, "c", KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            prepare(raw, out, jobs=1, spacing="2,2,2")
    with pytest.raises(EquiregError, match=r"from a folder 'raw', not 'other'\. Choose another --out or"):
        prepare(other, out, jobs=1)
    (out / ADOPTED).mkdir()
    write_history(out, {"d": [Adoption("d.nii.gz", "", "")]})
    with pytest.raises(EquiregError, match=r"Choose another --out\. This one holds adopted masks"):
        prepare(other, out, jobs=1)


def test_a_raw_folder_may_be_renamed(raw: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    out = tmp_path / "out"
    caplog.set_level("INFO")
    prepare(raw, out, jobs=1)
    before = states(out)
    prepare(raw.rename(tmp_path / "newer"), out, jobs=1)
    assert redone(before, states(out)) == set()
    assert "'newer' has the same scans" in caplog.text
    assert json.loads((out / "made_by.json").read_text())["source"] == "newer"


def test_the_unfinished_folder_of_another_verb_is_left_alone(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "underway.json").write_text('{"command": {}, "scans": {}}')
    with pytest.raises(EquiregError, match="It is not a prepared folder; choose another --out"):
        prepare(raw, tmp_path / "out", jobs=1)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"flips": "w"}, UsageError),
        ({"spacing": "fine"}, UsageError),
        ({"layout": "decatlon"}, UsageError),
        ({"recipe": "thesis"}, UsageError),
        ({"split": "no such file.json"}, EquiregError),
    ],
)
def test_a_wrong_option_costs_nothing(
    raw: Path, tmp_path: Path, options: dict[str, Any], error: type[EquiregError]
) -> None:
    with pytest.raises(error):
        prepare(raw, tmp_path / "new", jobs=1, **options)
    assert not (tmp_path / "new").exists()
    out = tmp_path / "out"
    prepare(raw, out, jobs=1)
    before = contents(out)
    with pytest.raises(error):
        prepare(raw, out, jobs=1, **options)
    assert contents(out) == before


def test_a_folder_that_is_not_prepares_own_is_left_alone(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(EquiregError, match=rf"{out}: the output folder exists already"):
        prepare(raw, out, jobs=1)
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


def test_no_usable_case_leaves_nothing(raw: Path, tmp_path: Path) -> None:
    for path in (raw / "images").iterdir():
        voxels = np.full((10, 9, 8), np.nan, dtype=np.float32)
        write(path, voxels)
    with pytest.raises(EquiregError, match="no usable case remains of 4 refused") as caught:
        prepare(raw, tmp_path / "out", jobs=1)
    assert str(raw / "images" / "a.nii.gz") in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_scans_of_one_patient_stay_together(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    rng = np.random.default_rng(0)
    for patient in range(4):
        for scan in range(2):
            name = f"BraTS-GLI-{patient:05}-{scan:03}"
            (raw / name).mkdir()
            for ending in ("t1n", "t1c", "t2w", "t2f"):
                write(raw / name / f"{name}-{ending}.nii.gz", rng.normal(size=(6, 6, 6)).astype(np.float32))
            write(raw / name / f"{name}-seg.nii.gz", rng.integers(0, 4, (6, 6, 6)).astype(np.uint8))
    made = prepare(raw, tmp_path / "out", jobs=1, val_fraction=0.25, test_fraction=0.25)
    splits: dict[str, set[str]] = {}
    for case in made.cases:
        splits.setdefault(case.patient, set()).add(case.split)
    assert sorted(map(sorted, splits.values())) == [["test"], ["train"], ["train"], ["val"]]
    assert len(made.cases) == 8


def test_values_that_masks_show_are_called_as_the_table_of_bids_says(tmp_path: Path) -> None:
    raw, rng = tmp_path / "raw", np.random.default_rng(0)
    for name, high in (("sub-1", 3), ("sub-2", 4)):
        (raw / name / "anat").mkdir(parents=True)
        write(raw / name / "anat" / f"{name}_T1w.nii.gz", rng.normal(size=(6, 6, 6)).astype(np.float32))
        write(raw / name / "anat" / f"{name}_dseg.nii.gz", rng.integers(0, high, (6, 6, 6)).astype(np.uint8))
    (raw / "dseg.tsv").write_text("index\tname\n" + "".join(f"{n}\tpart {n}\n" for n in range(4, 900)))
    assert prepare(raw, tmp_path / "out", jobs=1).flips == "xyz"
    with (raw / "dseg.tsv").open("a") as file:
        file.write("1\tRV\n2\tLV\n")
    made = prepare(raw, tmp_path / "out", jobs=1)
    assert made.labels.as_dict()["labels"] == {"background": 0, "RV": 1, "LV": 2, "label 3": 3}
    assert made.flips == "yz"


def test_the_modification_time_is_part_of_the_state(raw: Path, tmp_path: Path) -> None:
    out, path = tmp_path / "out", raw / "images" / "a.nii.gz"
    prepare(raw, out, jobs=1)
    before = states(out)
    os.utime(path, (1, 1))
    prepare(raw, out, jobs=1)
    assert redone(before, states(out)) == {"a"}


def ct_folder(root: Path, shift: int) -> Path:
    """Four training scans of a CT set, and two test scans whose lesions are ``shift`` brighter."""
    rng = np.random.default_rng(0)
    for index in range(6):
        part, mask = ("Tr", "Ts")[index > 3], np.zeros((12, 12, 8), dtype=np.uint8)
        mask[3:7, 3:7, 2:6] = 1
        scan = rng.normal(40, 9, mask.shape) + float(shift if part == "Ts" else 0) * mask
        for folder, name, voxels in (("images", f"c{index}_0000", scan), ("labels", f"c{index}", mask)):
            (root / f"{folder}{part}").mkdir(parents=True, exist_ok=True)
            kind = np.int16 if folder == "images" else np.uint8
            write(root / f"{folder}{part}" / f"{name}.nii.gz", voxels.astype(kind))
    content = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}}
    (root / "dataset.json").write_text(json.dumps(content | {"numTraining": 4, "file_ending": ".nii.gz"}))
    return root


def test_the_ct_scale_does_not_depend_on_held_out_scans(tmp_path: Path) -> None:
    one, other = (
        prepare(ct_folder(tmp_path / str(shift) / "raw", shift), tmp_path / str(shift) / "out", jobs=1)
        for shift in (0, 500)
    )
    assert one.normalisation["name"] == "ct"
    assert one.normalisation == other.normalisation
    assert one.fingerprint["intensities"] == other.fingerprint["intensities"]


def test_the_ct_scale_does_not_depend_on_the_validation_cases(tmp_path: Path) -> None:
    raw = ct_folder(tmp_path / "raw", 0)
    made = prepare(raw, tmp_path / "out", jobs=1)
    val = next(case.name for case in made.cases if case.split == "val")
    path = raw / "imagesTr" / f"{val}_0000.nii.gz"
    write(path, (nib.Nifti1Image.load(path).get_fdata() + 700).astype(np.int16))
    assert prepare(raw, tmp_path / "out", jobs=1).normalisation == made.normalisation


def test_empty_masks_and_classes_that_nobody_shows_are_reported(
    raw: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in "bc":
        write(raw / "labels" / f"{name}.nii.gz", np.zeros((10, 9, 8), dtype=np.uint8))
    with caplog.at_level("WARNING", logger="equireg"):
        prepare(raw, tmp_path / "out", jobs=1, val_fraction=0)
    assert "2 of 3 masks are empty, such as those of b, c" in caplog.text
    caplog.clear()
    (tmp_path / "split.json").write_text(json.dumps({"val": ["a"]}))
    prepare(raw, tmp_path / "out", jobs=1, split=str(tmp_path / "split.json"))
    assert "no mask of a training case shows 'label 1', 'label 2'" in caplog.text


def test_a_hot_voxel_is_reported_with_the_case(raw: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scan = nib.Nifti1Image.load(raw / "images" / "b.nii.gz").get_fdata(dtype=np.float32).copy()
    scan[5, 5, 5] = 1e8
    write(raw / "images" / "b.nii.gz", scan)
    prepare(raw, tmp_path / "out", jobs=1)
    assert "b: channel 1: 1 of 720 voxels lie absurdly far from the rest" in caplog.text
    caplog.clear()
    prepare(raw, tmp_path / "out", jobs=1)
    assert "b: channel 1: 1 of 720 voxels" in caplog.text, "a second run says it again"


def test_the_same_command_twice_and_elsewhere_makes_the_same_bytes(raw: Path, tmp_path: Path) -> None:
    def everything(out: Path) -> dict[str, bytes]:
        files = [path for path in out.rglob("*") if path.is_file() and path.name != "made_by.json"]
        return {str(path.relative_to(out)): path.read_bytes() for path in files}

    prepare(raw, tmp_path / "one", jobs=1)
    before = everything(tmp_path / "one")
    prepare(raw, tmp_path / "one", jobs=1)
    prepare(raw, tmp_path / "two", jobs=1)
    assert everything(tmp_path / "one") == before
    assert everything(tmp_path / "two") == before
    assert PreparedSet(tmp_path / "one").digest == PreparedSet(tmp_path / "two").digest


def test_a_damaged_array_is_made_again(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(raw, out, jobs=1)
    content, digest = contents(out), PreparedSet(out).digest
    path = out / "cases" / "b" / "image.b2nd"
    path.write_bytes(path.read_bytes()[:-3] + b"abc")
    with pytest.raises(EquiregError, match=rf"{path}: this prepared folder is damaged"):
        PreparedSet(out).verify()
    prepare(raw, out, jobs=1)
    assert contents(out) == content
    assert PreparedSet(out).digest == digest


def test_what_a_user_put_into_the_folder_stays(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(raw, out, jobs=1)
    (out / "cases" / "notes").mkdir()
    (out / "cases" / "notes" / "mine.txt").write_text("mine")
    (out / "cases" / "link").symlink_to(raw)
    prepare(raw, out, jobs=1)
    assert (out / "cases" / "notes" / "mine.txt").read_text() == "mine"
    assert (raw / "images" / "a.nii.gz").is_file()


def test_a_case_whose_worker_dies_is_refused_alone(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Workers.run

    def run(self: Workers, function: Any, tasks: Any, what: str | None = None) -> Any:
        for name, result in real(self, function, tasks, what):
            yield name, WorkerDiedError("its process died 3 times") if name == "b" and what == "prepare" else result

    monkeypatch.setattr(Workers, "run", run)
    made = prepare(raw, tmp_path / "out", jobs=1)
    assert [case.name for case in made.cases] == list("acd")
    assert made.refused[0]["reason"] == "its process died 3 times"
    assert "memory" in made.refused[0]["remedy"]


def test_a_second_process_is_refused(raw: Path, tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom equireg.disk import locked_folder\n"
        "with locked_folder(Path(sys.argv[1])):\n    print('locked', flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "out")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(EquiregError, match=str(other.pid)):
            prepare(raw, tmp_path / "out", jobs=1)
        other.communicate("")
    prepare(raw, tmp_path / "out", jobs=1)


@pytest.mark.parametrize(
    ("asked", "gib", "expected"),
    [(3, 0.1, 3), (0, 100.0, 2), (0, 5.6, 2), (0, 5.0, 1), (0, 0.1, 1)],
)
def test_jobs_follow_cores_and_memory(asked: int, gib: float, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("equireg.processes.jobs.usable_cores", lambda: 2)
    geometry = Geometry.from_array((512, 512, 500), np.eye(4))  # 2.4 GiB at 20 bytes a voxel
    assert choose_jobs(asked, [geometry] * 3, 1, gib * 2**30) == expected


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_unusual_files_are_prepared_where_the_limits_are_widened(raw, tmp_path, jobs):
    rng = np.random.default_rng(5)
    for folder in ("images", "labels"):
        voxels = rng.integers(0, 3, (10, 9, 8)).astype(np.uint8 if folder == "labels" else np.float32)
        write(raw / folder / "e.nii.gz", voxels, np.diag([1.0, 1.0, 60.0, 1.0]))
    if jobs == 1:
        (refusal,) = prepare(raw, tmp_path / "out", jobs=jobs).refused
        assert (refusal["case"], "or allow it by --max_spacing_mm" in refusal["reason"]) == ("e", True)
        with pytest.raises(EquiregError, match="expected at most 700 in all"):
            prepare(raw, tmp_path / "small", jobs=jobs, max_voxels=700)
    assert prepare(raw, tmp_path / "out", jobs=jobs, max_spacing_mm=60).refused == ()

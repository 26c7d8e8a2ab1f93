"""Bad input: each kind is one line that names file, finding and remedy, and leaves nothing half-written."""

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

from equireg import folders
from equireg.folders.prepared import PreparedSet
from equireg.folders.signature import write_content
from equireg.imaging.volume import write_label
from equireg.model import seal
from equireg.preparation.prepare import prepare

Command = Callable[..., Any]

SHAPE = (12, 11, 10)


def put(path: Path, voxels: np.ndarray, affine: np.ndarray | None = None) -> None:
    nib.save(nib.Nifti1Image(voxels, np.eye(4) if affine is None else affine), path)


def scan(seed: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 10, shape).astype(np.float32)


def mask(seed: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, shape).astype(np.uint8)


def make_raw(root: Path, cases: int, *, masks: bool = True) -> Path:
    """Write a Decathlon folder of cases a, b, c, ... whose labels are declared."""
    names = "abcdefgh"[:cases]
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir(parents=True)
    entries: list[Any] = []
    for seed, name in enumerate(names):
        put(root / "imagesTr" / f"{name}.nii.gz", scan(seed))
        entry = {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"}
        if masks:
            put(root / "labelsTr" / f"{name}.nii.gz", mask(seed))
        entries.append(entry if masks else entry["image"])
    content = {"modality": {"0": "MRI"}, "labels": {"0": "background", "1": "tumour"}, "training": entries, "test": []}
    (root / "dataset.json").write_text(json.dumps(content))
    return root


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def with_nan(path: Path) -> None:
    voxels = scan(0)
    voxels[1, 2, 3] = np.nan
    put(path, voxels)


def shifted(path: Path) -> None:
    affine = np.eye(4)
    affine[0, 3] = 5
    put(path, mask(0), affine)


SPOILT: dict[str, tuple[str, Callable[[Path], object], str, str]] = {
    "truncated image": ("imagesTr", truncate, "cannot be read as an image, it is cut short", "Copy it again"),
    "truncated mask": ("labelsTr", truncate, "cannot be read as an image, it is cut short", "Copy it again"),
    "empty file": ("imagesTr", lambda path: path.write_bytes(b""), "cannot be read as an image", "Copy it"),
    "mask of another shape": (
        "labelsTr",
        lambda path: put(path, mask(0, (12, 11, 9))),
        "has the shape (12, 11, 9); expected (12, 11, 10)",
        "save it over the whole of it",
    ),
    "mask of another affine": ("labelsTr", shifted, "has another affine than its scan", "copy the header"),
    "unknown label": (
        "labelsTr",
        lambda path: put(path, mask(0) * 3),
        "has the label values [3]; expected some of [0, 1]",
        "declare the value in dataset.json",
    ),
    "label that is no whole number": (
        "labelsTr",
        lambda path: put(path, mask(0) * np.float32(0.5)),
        "is a mask with values that are not whole numbers, such as 0.5",
        "multiply them to whole numbers",
    ),
    "NaN voxels": ("imagesTr", with_nan, "has 1 voxels that are NaN or infinite", "Replace them"),
    "empty scan": (
        "imagesTr",
        lambda path: put(path, np.zeros(SHAPE, np.float32)),
        "is empty, every voxel is 0",
        "remove the case",
    ),
}


def nothing_half_written(folder: Path) -> None:
    assert [path for path in folder.rglob("*") if "partial" in path.name] == []


@pytest.mark.parametrize("kind", SPOILT)
def test_one_bad_case_is_refused_and_the_rest_go_on(equireg: Command, tmp_path: Path, kind: str) -> None:
    folder, spoil, finding, remedy = SPOILT[kind]
    raw, out = make_raw(tmp_path / "raw", 3), tmp_path / "out"
    path = raw / folder / "b.nii.gz"
    spoil(path)
    outcome = equireg("prepare", raw, "--out", out, "--jobs", 1)
    assert outcome.code == 0, outcome.err
    lines = [line for line in outcome.err.splitlines() if line.startswith("warning: refused b: ")]
    assert len(lines) == 1
    assert lines == outcome.err.splitlines()[-1:], "refusals are logged at the end"
    manifest = PreparedSet(out).manifest
    assert [case.name for case in manifest.cases] == ["a", "c"]
    assert [item["case"] for item in manifest.refused] == ["b"]
    for text in (lines[0], f"refused b: {manifest.refused[0]['reason']}"):
        assert f"refused b: {path.relative_to(tmp_path)}: " in text
        assert finding in text
        assert remedy in text
    assert manifest.refused[0]["remedy"]
    assert {path.name for path in (out / "cases").iterdir()} == {"a", "c"}
    nothing_half_written(tmp_path)


@pytest.mark.parametrize("kind", SPOILT)
def test_no_good_case_is_an_error_and_leaves_nothing(equireg: Command, tmp_path: Path, kind: str) -> None:
    folder, spoil, finding, remedy = SPOILT[kind]
    raw, out = make_raw(tmp_path / "raw", 1), tmp_path / "out"
    spoil(raw / folder / "a.nii.gz")
    outcome = equireg("prepare", raw, "--out", out, "--jobs", 1)
    assert outcome.code == 1
    for words in (f"{raw}: no usable case remains", str(raw / folder / "a.nii.gz"), finding, remedy):
        assert words in outcome.error
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


MISSING: dict[str, tuple[str, ...]] = {
    "prepare": ("prepare", "{no}", "--out", "{out}"),
    "train": ("train", "{no}", "--out", "{out}"),
    "predict, run": ("predict", "{no}", "{prepared}", "--out", "{out}"),
    "predict, scans": ("predict", "{run}", "{no}", "--out", "{out}"),
    "evaluate, predictions": ("evaluate", "{no}", "{prepared}", "--out", "{out}"),
    "evaluate, reference": ("evaluate", "{predictions}", "{no}", "--out", "{out}"),
    "report": ("report", "{no}", "--out", "{out}"),
    "sweep": ("sweep", "{no}", "--out", "{out}"),
    "train, config": ("train", "{prepared}", "--out", "{out}", "--config", "{no}"),
}


@pytest.fixture
def places(
    phantom_run: Path, phantom_predictions: Path, phantom_prepared: Path, phantom_raw: Path, tmp_path: Path
) -> dict[str, str]:
    return {
        "no": str(tmp_path / "no such"),
        "out": str(tmp_path / "out"),
        "raw": str(phantom_raw),
        "prepared": str(phantom_prepared),
        "run": str(phantom_run),
        "predictions": str(phantom_predictions),
    }


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_folder_or_file(equireg: Command, places: dict[str, str], name: str) -> None:
    outcome = equireg(*(argument.format(**places) for argument in MISSING[name]))
    assert outcome.code == 1
    assert f"{places['no']}: no such " in outcome.error
    assert not Path(places["out"]).exists()


EMPTY = [name for name in MISSING if name not in ("sweep", "train, config")]


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_folder(equireg: Command, places: dict[str, str], name: str) -> None:
    Path(places["no"]).mkdir()
    outcome = equireg(*(argument.format(**places) for argument in MISSING[name]))
    assert outcome.code == 1
    assert f"{places['no']}: h" in outcome.error  # has no ..., holds no ...
    assert not Path(places["out"]).exists()
    assert list(Path(places["no"]).iterdir()) == []


EXISTING: dict[str, tuple[str, ...]] = {
    "prepare": ("prepare", "{raw}", "--out", "{out}"),
    "train": ("train", "{prepared}", "--out", "{out}"),
    "predict": ("predict", "{run}", "{prepared}", "--out", "{out}"),
    "evaluate": ("evaluate", "{predictions}", "{prepared}", "--out", "{out}"),
    "report": ("report", "{run}", "--out", "{out}"),
    "demo": ("demo", "--out", "{out}"),
}


@pytest.mark.parametrize("name", EXISTING)
def test_an_output_folder_that_exists_is_left_alone(equireg: Command, places: dict[str, str], name: str) -> None:
    out = Path(places["out"])
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    outcome = equireg(*(argument.format(**places) for argument in EXISTING[name]))
    assert outcome.code == 1
    assert f"{out}: the output folder exists already. " in outcome.error
    assert "--out" in outcome.error
    assert [(path.name, path.read_text()) for path in out.iterdir()] == [("thesis.txt", "mine")]


def test_no_labelled_case(equireg: Command, tmp_path: Path) -> None:
    raw, prepared = make_raw(tmp_path / "raw", 2, masks=False), tmp_path / "prepared"
    assert equireg("prepare", raw, "--out", prepared, "--jobs", 1).code == 0, "no mask is never an error of prepare"
    outcome = equireg("train", prepared, "--out", tmp_path / "run")
    assert outcome.code == 1
    assert "no labelled case among the 2 training cases" in outcome.error
    assert "Add masks" in outcome.error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        (("--sup_cut", 0), "asks for 0 labelled cases; expected 1 to 2"),
        (("--sup_cases", 0), "asks for 0 labelled cases; expected 1 to 2"),
        (("--sup_cases", 3), "asks for 3 labelled cases; expected 1 to 2"),
        (("--unsup_cases", 5), "asks for 5 cases; expected at most 4"),
    ],
)
def test_a_cut_that_gives_no_case(
    equireg: Command, phantom_prepared: Path, tmp_path: Path, options: tuple[Any, ...], finding: str
) -> None:
    outcome = equireg("train", phantom_prepared, "--out", tmp_path / "run", *options)
    assert outcome.code == 1
    assert options[0] in outcome.error
    assert finding in outcome.error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--max_step", 3), ["unknown option 'max_step'", "'max_steps'"]),
        (("--network.nam", "unet"), ["unknown option 'network.nam'", "'network.name'"]),
        (("--network.name", "unett"), ["--network.name is unett", "Did you mean unet?"]),
        (("--method", "equireg", "--method.loss", "mse"), ["--method.loss", "ce+dice"]),
        (("--sup_cut", 0.5, "--sup_cases", 2), ["both --sup_cut 0.5 and --sup_cases 2", "give one"]),
        (("--sup_cut", 2), ["--sup_cut is 2.0", "0 to 1"]),
        (("--flips", "w"), ["--flips is w", "x,y,z"]),
        (("--precision", "16", "--device", "cpu"), ["--precision is 16", "bf16"]),
    ],
)
def test_a_wrong_option(
    equireg: Command, phantom_prepared: Path, tmp_path: Path, options: tuple[Any, ...], words: list[str]
) -> None:
    outcome = equireg("train", phantom_prepared, "--out", tmp_path / "run", *options)
    assert outcome.code == 2
    assert [word for word in words if word not in outcome.error] == []
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("verb", "content", "words"),
    [
        ("train", "max_stepz: 3\n", ["unknown option 'max_stepz'", "'max_steps'"]),
        ("train", "method: equireg\nmethod.teachr: ema\n", ["unknown option 'method.teachr'", "'method.teacher'"]),
        ("train", "views: {strong: {rotation: 3}}\n", ["unknown option 'views.strong.rotation'", "rotation_deg"]),
        ("prepare", "spacin: auto\n", ["unknown option 'spacin'", "'spacing'"]),
        ("predict", "test_times: none\n", ["unknown option 'test_times'", "'test_time'"]),
        ("sweep", "prepared: p\ngrids: {seed: [1]}\n", ["unknown option 'grids.seed'", "'grid'"]),
    ],
)
def test_an_unknown_key_of_a_file(
    equireg: Command, places: dict[str, str], tmp_path: Path, verb: str, content: str, words: list[str]
) -> None:
    file = tmp_path / "options.yaml"
    file.write_text(content)
    if verb == "sweep":
        outcome = equireg("sweep", file, "--out", places["out"])
    else:
        outcome = equireg(*(argument.format(**places) for argument in EXISTING[verb]), "--config", file)
    assert outcome.code == 2
    assert [word for word in words if word not in outcome.error] == []
    assert not Path(places["out"]).exists()


def test_a_checkpoint_of_another_network(
    equireg: Command, phantom_run: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(phantom_run, run)
    path = run / "checkpoints" / "best.ckpt"
    content = torch.load(path, weights_only=True)
    content["equireg"]["config"]["network"]["features"] = 6
    seal(content)
    torch.save(content, path)
    outcome = equireg("predict", run, phantom_prepared, "--out", tmp_path / "out")
    assert outcome.code == 1
    assert f"{path}: holds weights of another network" in outcome.error
    assert "Give the options of the run that wrote it" in outcome.error
    assert not (tmp_path / "out").exists()
    # The same where training would continue from it; the run keeps all that it has.
    shutil.move(path, run / "checkpoints" / "last.ckpt")
    write_content(run, {**folders.read_content(run), "finished": False})
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    (run / "config.yaml").write_text((run / "config.yaml").read_text().replace("features: 4", "features: 8"))
    before[run / "config.yaml"] = (run / "config.yaml").read_bytes()
    resumed = equireg("train", phantom_prepared, "--out", run, "--resume")
    assert resumed.code == 1
    assert f"{run / 'checkpoints' / 'last.ckpt'}: holds weights of another network" in resumed.error
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before


def test_a_damaged_checkpoint(equireg: Command, phantom_run: Path, phantom_prepared: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(phantom_run, run)
    truncate(run / "checkpoints" / "best.ckpt")
    outcome = equireg("predict", run, phantom_prepared, "--out", tmp_path / "out")
    assert outcome.code == 1
    assert f"{run / 'checkpoints' / 'best.ckpt'}: cannot be read as a checkpoint" in outcome.error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["made_by.json", "manifest.json"])
def test_a_prepared_folder_of_another_format(
    equireg: Command, phantom_prepared: Path, phantom_run: Path, tmp_path: Path, name: str
) -> None:
    prepared = tmp_path / "prepared"
    shutil.copytree(phantom_prepared, prepared)
    content = json.loads((prepared / name).read_text())
    (prepared / name).write_text(json.dumps(content | {"format_version": 99}))
    for arguments in (("train", prepared), ("predict", phantom_run, prepared)):
        outcome = equireg(*arguments, "--out", tmp_path / "out")
        assert outcome.code == 1
        assert str(prepared) in outcome.error
        assert "has format version 99" in outcome.error
        assert "make it again with this version, by the same `equireg prepare`" in outcome.error
        assert not (tmp_path / "out").exists()


def test_a_folder_of_another_verb(equireg: Command, places: dict[str, str]) -> None:
    for arguments in (
        ("train", "{run}"),
        ("predict", "{prepared}", "{prepared}"),
        ("evaluate", "{run}", "{prepared}"),
    ):
        outcome = equireg(*(argument.format(**places) for argument in arguments), "--out", places["out"])
        assert outcome.code == 1
        assert "was made by `equireg" in outcome.error
        assert not Path(places["out"]).exists()


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Return a function that mounts a disk of a given size; skip where that is not permitted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = []

    def mount(size: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("a small disk can be mounted by root alone")
        mounted.append(disk)
        return disk

    yield mount
    for path in mounted:
        subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_full_disk_stops_prepare(equireg: Command, phantom_raw: Path, full_disk: Any, jobs: int) -> None:
    out = full_disk("100k") / "out"
    outcome = equireg("prepare", phantom_raw, "--out", out, "--jobs", jobs)
    assert outcome.code == 1
    assert f"{out / 'cases'}/Phantom" in outcome.error
    assert "the disk is full. Free some space" in outcome.error
    assert not (out / "manifest.json").exists()
    assert not (out / "made_by.json").exists()
    nothing_half_written(out)


def test_a_full_disk_stops_training(
    equireg: Command, phantom_prepared: Path, tiny: tuple[str, ...], full_disk: Any
) -> None:
    out = full_disk("100k") / "out"
    outcome = equireg("train", phantom_prepared, "--out", out, *tiny, "--pictures_every", 0)
    assert outcome.code == 1
    assert str(out / "checkpoints") in outcome.error
    assert "the disk is full. Free some space" in outcome.error
    assert list((out / "checkpoints").iterdir()) == []
    assert not json.loads((out / "made_by.json").read_text())["finished"]


@pytest.mark.parametrize("verb", ["predict", "evaluate", "report"])
def test_a_full_disk_leaves_no_folder(equireg: Command, places: dict[str, str], full_disk: Any, verb: str) -> None:
    disk = full_disk("4k")
    places["out"] = str(disk / "out")
    options = ("--probabilities",) if verb == "predict" else ()
    outcome = equireg(*(argument.format(**places) for argument in EXISTING[verb]), *options)
    assert outcome.code == 1
    assert str(disk) in outcome.error
    assert "the disk is full. Free some space" in outcome.error
    assert list(disk.iterdir()) == []


def test_a_disk_that_fills_up_costs_no_finished_prediction(
    equireg: Command, places: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second prediction finds no space: the first stays, is not taken for all, and is not made again."""
    written = []

    def fail_later(path: Path, *others: Any) -> None:
        written.append(path)
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write_label(path, *others)

    command = [argument.format(**places) for argument in EXISTING["predict"]]
    out = Path(places["out"])
    with monkeypatch.context() as patched:
        patched.setattr("equireg.imaging.volume.write_label", fail_later)
        outcome = equireg(*command)
    assert outcome.code == 1
    assert f"{written[1].name}: the disk is full. Free some space" in outcome.error
    kept = written[0].stat().st_mtime_ns
    assert not written[1].exists()
    unfinished = equireg("evaluate", out, places["prepared"], "--out", out.parent / "evaluation")
    assert unfinished.code == 1
    assert f"{out}: is not finished. Run the same `equireg predict` again" in unfinished.error
    assert equireg(*command, "--overlap", "0.25").code == 1  # another command's folder
    assert equireg(*command).code == 0
    assert written[0].stat().st_mtime_ns == kept
    assert written[1].exists()
    assert not (out / "underway.json").exists()


def test_the_earlier_folder_survives_a_failed_second_run(equireg: Command, phantom_raw: Path, tmp_path: Path) -> None:
    prepare(phantom_raw, tmp_path / "out", jobs=1)
    before = (tmp_path / "out" / "manifest.json").read_bytes()
    outcome = equireg("prepare", tmp_path / "no such", "--out", tmp_path / "out")
    assert outcome.code == 1
    (tmp_path / "empty").mkdir()
    assert equireg("prepare", tmp_path / "empty", "--out", tmp_path / "out").code == 1
    assert (tmp_path / "out" / "manifest.json").read_bytes() == before
    assert PreparedSet(tmp_path / "out").image("Phantom_0001_1").shape[0] == 4

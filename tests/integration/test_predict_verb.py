"""`equireg predict`: native geometry and label values, every kind of input, and bad scans among good ones."""

import csv
import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from scipy.ndimage import zoom

from equireg import folders
from equireg.folders import evaluation
from equireg.folders.digests import digest_of
from equireg.folders.quality import read_quality, read_record
from equireg.folders.signature import write_content
from equireg.imaging import volume
from equireg.model import seal
from equireg.prediction import segment, work
from equireg.preparation.prepare import prepare
from equireg.training.train import train

Command = Callable[..., Any]

CONTRASTS = ("t1", "t1ce", "t2", "flair")
QUALITY = ("quality", "quality.csv", "quality_regions.csv")
"""What lies beside predictions to say how far they are to be trusted."""
PLAIN = ("--test_time", "none", "--device", "cpu", "--precision", "32")


@pytest.fixture(scope="module")
def good_run(phantom_prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run that has learnt its two labelled scans by heart."""
    options: dict[str, Any] = {
        "network.features": 8,
        "batch_size": 4,
        "max_steps": 150,
        "val_every": 150,
        "optimizer.lr": 0.01,
        "foreground": 1.0,
        "views.strong.probability": 0.0,
        "views.intensity.probability": 0.0,
    }
    out = tmp_path_factory.mktemp("predict") / "run"
    return train(phantom_prepared, out, method="supervised", device="cpu", precision="32", **options)


@pytest.fixture(scope="module")
def raw_case(phantom_raw: Path) -> Path:
    """Return the folder of a training case."""
    return next(phantom_raw.rglob("Phantom_0003_1"))


def load(path: Path) -> Any:
    return nib.Nifti1Image.load(path)


def values(path: Path) -> np.ndarray:
    return np.asarray(load(path).dataobj)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


def reoriented(image: Any, axes: str) -> Any:
    turn: Any = ornt_transform(io_orientation(image.affine), axcodes2ornt(tuple(axes)))
    return image.as_reoriented(turn)


def oblique(image: Any) -> Any:
    """The same voxels in a patient who lay askew: 12 degrees about z, 7 about x."""
    a, b = np.deg2rad([12.0, 7.0])
    turn = np.eye(4)
    turn[:3, :3] = [[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]
    tilt = np.eye(4)
    tilt[1:3, 1:3] = [[np.cos(b), -np.sin(b)], [np.sin(b), np.cos(b)]]
    return nib.Nifti1Image(np.asarray(image.dataobj), turn @ tilt @ image.affine)


def finer(image: Any) -> Any:
    """Twice the voxels along the first axis, over the same field of view."""
    affine = image.affine.copy()
    affine[:3, 0] /= 2
    affine[:3, 3] -= affine[:3, 0] / 2
    voxels = zoom(np.asarray(image.dataobj, dtype=np.float32), (2, 1, 1), order=0)
    return nib.Nifti1Image(voxels, affine)


CHANGES: dict[str, Callable[[Any], Any]] = {
    "RAS": lambda image: reoriented(image, "RAS"),
    "LPS": lambda image: reoriented(image, "LPS"),
    "PIR": lambda image: reoriented(image, "PIR"),
    "oblique": oblique,
    "anisotropic": finer,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_prediction_has_its_scans_geometry(
    equireg: Command, good_run: Path, raw_case: Path, tmp_path: Path, change: str
) -> None:
    scans = tmp_path / "scans"
    for name, turn in (("original", lambda image: image), ("changed", CHANGES[change])):
        (scans / name).mkdir(parents=True)
        for contrast in CONTRASTS:
            image = turn(load(raw_case / f"{raw_case.name}_{contrast}.nii.gz"))
            nib.save(image, scans / name / f"{name}_{contrast}.nii.gz")
    outcome = equireg("predict", good_run, scans, "--out", tmp_path / "out", *PLAIN)
    assert outcome.code == 0, outcome.err
    for name in ("original", "changed"):
        scan, prediction = load(scans / name / f"{name}_t1.nii.gz"), load(tmp_path / "out" / f"{name}.nii.gz")
        assert prediction.shape == scan.shape
        np.testing.assert_allclose(prediction.affine, scan.affine, atol=1e-4)
        assert prediction.get_sform(coded=True)[1] == prediction.get_qform(coded=True)[1] == 1
        assert set(np.unique(values(tmp_path / "out" / f"{name}.nii.gz"))) <= {0, 1, 2, 4}
    # The same anatomy, brought to the original's voxels, is segmented alike.
    original = values(tmp_path / "out" / "original.nii.gz")
    changed = load(tmp_path / "out" / "changed.nii.gz")
    if change in ("RAS", "LPS", "PIR"):
        changed = reoriented(changed, "".join(nib.aff2axcodes(load(raw_case / f"{raw_case.name}_t1.nii.gz").affine)))
    voxels = np.asarray(changed.dataobj)
    voxels = voxels[::2] if change == "anisotropic" else voxels
    assert (original > 0).sum() > 20, "the model finds nothing, so there is nothing to compare"
    limit = {"anisotropic": 0.8, "oblique": 0.95}.get(change, 0.999)
    assert dice(original > 0, voxels > 0) >= limit


def test_a_four_stays_a_four(equireg: Command, good_run: Path, phantom_raw: Path, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    shutil.copytree(good_run, run)
    path = run / "checkpoints" / "best.ckpt"
    content = torch.load(path, weights_only=True)
    content["state_dict"]["method.student.output_block.conv.conv.bias"][3] += 1000.0  # sees nothing but value 4
    seal(content)
    torch.save(content, path)
    assert equireg("predict", run, phantom_raw, "--out", out, *PLAIN, "--probabilities").code == 0
    names = [f"Phantom_{index:04}_1" for index in range(1, 7)]
    found: set[int] = set()
    for name in names:
        label, probs = values(out / f"{name}.nii.gz"), values(out / f"{name}_probabilities.nii.gz")
        assert label.dtype == np.uint8
        found |= set(np.unique(label).tolist())
        assert probs.shape == (*label.shape, 4)
        np.testing.assert_allclose(probs.sum(axis=-1), 1, atol=1e-4)
        np.testing.assert_array_equal(np.array([0, 1, 2, 4])[probs.argmax(axis=-1)], label)
    assert found == {0, 4}
    table = json.loads((out / "labels.json").read_text())
    assert list(table["labels"].values()) == [0, 1, 2, 4]
    assert table["regions"]["core"] == [1, 4]
    with (out / "times.csv").open(newline="") as file:
        times = list(csv.DictReader(file))
    assert [row["case"] for row in times] == names
    assert all(float(row["seconds"]) >= 0 for row in times)
    made_by = json.loads((out / "made_by.json").read_text())
    assert made_by["cases"] == names
    assert made_by["run"]["method"] == "supervised"
    assert made_by["source"] == phantom_raw.resolve().name


def test_a_prepared_folder_gives_what_the_raw_one_gives(
    equireg: Command, good_run: Path, phantom_prepared: Path, raw_case: Path, tmp_path: Path
) -> None:
    arguments = ("predict", good_run, phantom_prepared, *PLAIN)
    for split, expected in (
        ("val", {"Phantom_0006_1"}),
        ("test", {"Phantom_0004_1"}),
        ("train", {f"Phantom_000{index}_1" for index in (1, 2, 3, 5)}),
    ):
        outcome = equireg(*arguments, "--split", split, "--out", tmp_path / split)
        assert outcome.code == 0, outcome.err
        assert {path.name.removesuffix(".nii.gz") for path in (tmp_path / split).glob("*.nii.gz")} == expected
    assert equireg("predict", good_run, raw_case.parent, "--out", tmp_path / "raw", *PLAIN).code == 0
    one, other = (values(tmp_path / folder / "Phantom_0003_1.nii.gz") for folder in ("train", "raw"))
    assert (one > 0).sum() > 20
    assert dice(one > 0, other > 0) > 0.98  # prepared arrays are rounded to 16 bits
    train, raw = (json.loads((tmp_path / name / "made_by.json").read_text())["scans"] for name in ("train", "raw"))
    assert {case: raw[case] for case in train} == train  # of the raw scans, whichever way they are read
    assert len(raw) == 6


@pytest.mark.slow
def test_workers_give_the_same_and_go_on_where_one_process_stopped(
    equireg: Command, phantom_run: Path, phantom_prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("predict", phantom_run, phantom_prepared, "--split", "train", *PLAIN, "--out")
    assert equireg(*arguments, tmp_path / "one").code == 0
    real = volume.write_label

    def stop(path: Path, *others: Any) -> None:
        if path.name.startswith("Phantom_0003"):
            raise KeyboardInterrupt
        real(path, *others)

    with monkeypatch.context() as patched:
        patched.setattr(volume, "write_label", stop)
        assert equireg(*arguments, tmp_path / "two").code == 130
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "two").glob("*.nii.gz")}
    assert set(kept) == {"Phantom_0001_1.nii.gz", "Phantom_0002_1.nii.gz"}
    outcome = equireg(*arguments, tmp_path / "two", "--jobs", 2)
    assert outcome.code == 0, outcome.err
    assert {name: (tmp_path / "two" / name).stat().st_mtime_ns for name in kept} == kept
    names = sorted(path.name for path in (tmp_path / "one").glob("*.nii.gz"))
    assert len(names) == 4
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_an_empty_split_is_refused(equireg: Command, good_run: Path, phantom_raw: Path, tmp_path: Path) -> None:
    prepare(phantom_raw, tmp_path / "prepared", jobs=1, val_fraction=0.25)
    outcome = equireg("predict", good_run, tmp_path / "prepared", "--split", "test", "--out", tmp_path / "out")
    assert outcome.code == 1
    assert f"{tmp_path / 'prepared'}: has no case in the split test" in outcome.error
    assert "--fold" not in outcome.error
    prepare(phantom_raw, tmp_path / "all", jobs=1, val_fraction=0.0)
    outcome = equireg("predict", good_run, tmp_path / "all", "--split", "val", "--out", tmp_path / "out")
    assert "Train with --fold 0/5" in outcome.error
    raw = equireg("predict", good_run, phantom_raw, "--split", "test", "--out", tmp_path / "out")
    assert (raw.code, "--split test needs a prepared folder" in raw.error) == (1, True)
    assert not (tmp_path / "out").exists()


def test_a_prepared_folder_of_another_kind_is_refused(
    equireg: Command, good_run: Path, phantom_raw: Path, tmp_path: Path
) -> None:
    prepare(phantom_raw, tmp_path / "prepared", jobs=1, normalise="none")
    outcome = equireg("predict", good_run, tmp_path / "prepared", "--out", tmp_path / "out")
    assert outcome.code == 1
    assert f"{tmp_path / 'prepared'}: was prepared with" in outcome.error
    assert not (tmp_path / "out").exists()


def test_a_spacing_that_differs_by_rounding_is_the_same(
    equireg: Command, good_run: Path, phantom_raw: Path, tmp_path: Path
) -> None:
    x, y, z = prepare(phantom_raw, tmp_path / "first", jobs=1).spacing_mm or (0.0, 0.0, 0.0)
    for factor, code in ((1 + 2e-8, 0), (1.01, 1)):
        folder = tmp_path / f"times_{factor}"
        prepare(phantom_raw, folder, jobs=1, spacing=f"{x * factor},{y},{z}")
        outcome = equireg("predict", good_run, folder, "--out", tmp_path / f"out_{factor}")
        assert outcome.code == code, outcome.err


@pytest.fixture(scope="module")
def one_channel_run(raw_case: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run on one contrast, for loose files."""
    root = tmp_path_factory.mktemp("loose")
    for folder in ("images", "labels"):
        (root / "raw" / folder).mkdir(parents=True)
    for contrast, folder in (("flair", "images"), ("seg", "labels")):
        shutil.copy(raw_case / f"{raw_case.name}_{contrast}.nii.gz", root / "raw" / folder / "a.nii.gz")
    prepare(root / "raw", root / "prepared", jobs=1, val_fraction=0.0)
    options: dict[str, Any] = {"network.features": 4, "batch_size": 2, "max_steps": 2, "val_every": 2}
    return train(root / "prepared", root / "run", method="supervised", device="cpu", precision="32", **options)


def test_loose_files_keep_their_names(equireg: Command, one_channel_run: Path, raw_case: Path, tmp_path: Path) -> None:
    loose = tmp_path / "loose"
    loose.mkdir()
    for name in ("one.nii.gz", "scan 2.nii", "visit_3.NII.GZ"):
        nib.save(load(raw_case / f"{raw_case.name}_flair.nii.gz"), loose / name.lower())
    outcome = equireg("predict", one_channel_run, loose, "--out", tmp_path / "out", *PLAIN)
    assert outcome.code == 0, outcome.err
    made = {path.name for path in (tmp_path / "out").glob("*.nii.gz")}
    assert made == {"one.nii.gz", "scan 2.nii.gz", "visit_3.nii.gz"} or made == {
        "one.nii.gz",
        "scan_2.nii.gz",
        "visit_3.nii.gz",
    }


def test_a_scan_in_another_unit_is_reported(
    equireg: Command, one_channel_run: Path, raw_case: Path, tmp_path: Path
) -> None:
    (tmp_path / "loose").mkdir()
    image = load(raw_case / f"{raw_case.name}_flair.nii.gz")
    for name, factor in (("usual", 1.0), ("large", 1000.0)):
        voxels = np.asarray(image.dataobj, dtype=np.float32) * factor
        nib.save(nib.Nifti1Image(voxels, image.affine), tmp_path / "loose" / f"{name}.nii.gz")
    outcome = equireg("predict", one_channel_run, tmp_path / "loose", "--out", tmp_path / "out", *PLAIN)
    assert outcome.code == 0, outcome.err
    lines = [line for line in outcome.err.splitlines() if "training scans" in line]
    assert [f"warning: {tmp_path / 'loose' / 'large.nii.gz'}: channel" in line for line in lines] == [True]


def test_a_single_file(equireg: Command, one_channel_run: Path, raw_case: Path, tmp_path: Path) -> None:
    shutil.copy(raw_case / f"{raw_case.name}_flair.nii.gz", tmp_path / "patient7.nii.gz")
    outcome = equireg("predict", one_channel_run, tmp_path / "patient7.nii.gz", "--out", tmp_path / "out", *PLAIN)
    assert outcome.code == 0, outcome.err
    assert [path.name for path in (tmp_path / "out").glob("*.nii.gz")] == ["patient7.nii.gz"]


def test_one_bad_scan_does_not_stop_the_others(
    equireg: Command, one_channel_run: Path, raw_case: Path, tmp_path: Path
) -> None:
    loose = tmp_path / "loose"
    loose.mkdir()
    good = raw_case / f"{raw_case.name}_flair.nii.gz"
    for name in ("a", "b", "c"):
        shutil.copy(good, loose / f"{name}.nii.gz")
    image = load(good)
    broken = image.get_fdata(dtype=np.float32).copy()
    broken[3, 3, 3] = np.nan
    nib.save(nib.Nifti1Image(broken, image.affine), loose / "b.nii.gz")
    out = tmp_path / "out"
    outcome = equireg("predict", one_channel_run, loose, "--out", out, *PLAIN)
    assert outcome.code == 1
    assert f"{loose / 'b.nii.gz'}: has 1 voxels that are NaN or infinite" in outcome.error
    assert f"The other 2 predictions lie in {out}" in outcome.error
    assert {path.name for path in out.iterdir()} == {
        "a.nii.gz",
        "c.nii.gz",
        "labels.json",
        "times.csv",
        "failed.json",
        "made_by.json",
        *QUALITY,
    }
    assert json.loads((out / "made_by.json").read_text())["cases"] == ["a", "c"]
    assert str(tmp_path) not in (out / "failed.json").read_text()
    before = (out / "a.nii.gz").stat().st_mtime_ns
    assert equireg("predict", one_channel_run, loose, "--out", out, "--overlap", "0.1", *PLAIN).code == 1, (
        "another command"
    )
    shutil.copy(good, loose / "b.nii.gz")
    assert equireg("predict", one_channel_run, loose, "--out", out, *PLAIN).code == 0
    assert json.loads((out / "made_by.json").read_text())["cases"] == ["a", "b", "c"]
    assert (out / "a.nii.gz").stat().st_mtime_ns == before
    assert not (out / "failed.json").exists()


def test_a_truncated_scan_does_not_stop_the_others(
    equireg: Command, one_channel_run: Path, raw_case: Path, tmp_path: Path
) -> None:
    loose = tmp_path / "loose"
    loose.mkdir()
    good = (raw_case / f"{raw_case.name}_flair.nii.gz").read_bytes()
    (loose / "a.nii.gz").write_bytes(good)
    for name, length in (("half", len(good) // 2), ("header", 40)):
        (loose / "b.nii.gz").write_bytes(good[:length])
        out = tmp_path / name
        outcome = equireg("predict", one_channel_run, loose, "--out", out, *PLAIN)
        assert outcome.code == 1, name
        assert f"{loose / 'b.nii.gz'}: cannot be read as an image" in outcome.error
        assert [path.name for path in out.glob("*.nii.gz")] == ["a.nii.gz"], name


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_unexpected_error_on_one_scan_does_not_stop_the_others(
    equireg: Command, one_channel_run: Path, raw_case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    for name in ("a", "b", "c", "d" * 246):
        (tmp_path / "loose").mkdir(exist_ok=True)
        shutil.copy(raw_case / f"{raw_case.name}_flair.nii.gz", tmp_path / "loose" / f"{name}.nii.gz")
    whole = segment.Predictor.__call__

    def fails(self: segment.Predictor, scan: Any, *others: Any, **more: Any) -> Any:
        if case.pop() == "b":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return whole(self, scan, *others, **more)

    case: list[str] = []

    def named(predictor: Any, of: Any, *others: Any) -> Any:
        case.append(of.name)
        return segment.segment(predictor, of, *others)

    class Here(work.Workers):
        """Workers of this process, in which the network can be replaced."""

        def run(self, function: Any, tasks: Any, what: str | None = None) -> Any:
            return ((name, function(*arguments)) for name, arguments in tasks.items())

    monkeypatch.setattr(work, "Workers", Here)
    monkeypatch.setattr(work, "segment", named)
    monkeypatch.setattr(segment.Predictor, "__call__", fails)
    out = tmp_path / "out"
    arguments = (
        "predict",
        one_channel_run,
        tmp_path / "loose",
        "--out",
        out,
        *PLAIN,
        "--probabilities",
        "--jobs",
        jobs,
    )
    outcome = equireg(*arguments, "--debug")
    assert outcome.code == 1
    assert "Traceback" in outcome.err
    assert "in fails" in outcome.err
    last = outcome.err.splitlines()[-1]
    assert "error: 2 of the scans could not be predicted. b: the GPU's memory ran out" in last
    assert "--test_time none" in last
    assert "d" * 246 in last
    assert json.loads((out / "made_by.json").read_text())["cases"] == ["a", "c"]
    files = {"labels.json", "times.csv", "failed.json", "made_by.json", *QUALITY}
    files |= {f"{name}{ending}.nii.gz" for name in "ac" for ending in ("", "_probabilities")}
    assert {path.name for path in out.iterdir()} == files


def test_training_again_is_another_command(
    equireg: Command, one_channel_run: Path, raw_case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where both checkpoints have as many steps; the earlier predictions stay as they are."""
    run, out = tmp_path / "run", tmp_path / "out"
    shutil.copytree(one_channel_run, run)
    (tmp_path / "loose").mkdir()
    for name in ("a", "b"):
        shutil.copy(raw_case / f"{raw_case.name}_flair.nii.gz", tmp_path / "loose" / f"{name}.nii.gz")
    arguments = ("predict", run, tmp_path / "loose", "--out", out, *PLAIN)
    with monkeypatch.context() as patched:
        patched.setattr(volume, "write_label", _stop_at(volume.write_label, "b"))
        assert equireg(*arguments).code == 130
    for path in (run / "checkpoints").glob("*.ckpt"):
        content = torch.load(path, map_location="cpu", weights_only=True)
        next(iter(content["state_dict"].values()))[:] += 1
        seal(content)
        torch.save(content, path)
    before = {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    outcome = equireg(*arguments)
    assert (outcome.code, "checkpoint_digest" in outcome.error) == (1, True)
    assert {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_full_disk_keeps_earlier_predictions(
    equireg: Command, one_channel_run: Path, raw_case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    (tmp_path / "loose").mkdir()
    for name in ("a", "b"):
        shutil.copy(raw_case / f"{raw_case.name}_flair.nii.gz", tmp_path / "loose" / f"{name}.nii.gz")
    arguments = ("predict", one_channel_run, tmp_path / "loose", "--out", out, *PLAIN)
    with monkeypatch.context() as patched:
        patched.setattr(volume, "write_label", _stop_at(volume.write_label, "b"))
        assert equireg(*arguments).code == 130
    kept = (out / "a.nii.gz").read_bytes()

    def full(path: Path, *_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        patched.setattr(nib, "save", lambda _, path: full(path))
        outcome = equireg(*arguments)
    assert (outcome.code, "full" in outcome.error) == (1, True)
    assert (out / "a.nii.gz").read_bytes() == kept
    assert equireg(*arguments).code == 0
    assert (out / "a.nii.gz").read_bytes() == kept


def _stop_at(write: Callable[..., None], name: str) -> Callable[..., None]:
    """Return a writer that is interrupted at one case."""

    def stopping(path: Path, *others: Any) -> None:
        if path.name == f"{name}.nii.gz":
            raise KeyboardInterrupt
        write(path, *others)

    return stopping


def test_only_bad_scans_leave_nothing(equireg: Command, one_channel_run: Path, tmp_path: Path) -> None:
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose" / "a.nii.gz").write_bytes(b"no image")
    outcome = equireg("predict", one_channel_run, tmp_path / "loose", "--out", tmp_path / "out", *PLAIN)
    assert outcome.code == 1
    assert str(tmp_path / "loose" / "a.nii.gz") in outcome.error
    assert [path.name for path in tmp_path.iterdir()] == ["loose"]


@pytest.mark.parametrize("option", [("flips",), ("equivariance", "--passes", 2)], ids=["flips", "equivariance"])
def test_test_time_averages_change_little_and_repeat(
    equireg: Command, good_run: Path, phantom_prepared: Path, tmp_path: Path, option: tuple[Any, ...]
) -> None:
    arguments = ("predict", good_run, phantom_prepared, "--split", "train", "--device", "cpu", "--precision", "32")
    options = ("--test_time", *option, "--probabilities")
    for name in ("one", "two"):
        outcome = equireg(*arguments, *options, "--out", tmp_path / name)
        assert outcome.code == 0, outcome.err
    assert equireg(*arguments, "--test_time", "none", "--probabilities", "--out", tmp_path / "none").code == 0
    path = "Phantom_0003_1_probabilities.nii.gz"
    one, two, none = (values(tmp_path / name / path) for name in ("one", "two", "none"))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(one.sum(axis=-1), 1, atol=1e-4)
    assert 0 < np.abs(one - none).mean() < 0.1


def test_volumes(equireg: Command, phantom_prepared: Path, phantom_raw: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "network.features": 4,
        "batch_size": 2,
        "max_steps": 2,
        "val_every": 2,
        "patch_size": [8, 16, 16],
    }
    train(phantom_prepared, tmp_path / "run", method="supervised", spatial_dims=3, device="cpu", **options)
    outcome = equireg("predict", tmp_path / "run", phantom_raw, "--out", tmp_path / "out", "--device", "cpu")
    assert outcome.code == 0, outcome.err
    scan = load(next(phantom_raw.rglob("Phantom_0001_1_t1.nii.gz")))
    prediction = load(tmp_path / "out" / "Phantom_0001_1.nii.gz")
    assert prediction.shape == scan.shape
    np.testing.assert_allclose(prediction.affine, scan.affine)


def test_one_view_disagrees_with_nobody(
    equireg: Command, phantom_run: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    options = ("--disagreement", "true", "--quality_views", "0", "--test_time", "none", "--device", "cpu")
    outcome = equireg("predict", phantom_run, phantom_prepared, "--out", tmp_path / "out", *options)
    assert (outcome.code, "Give --quality_views 1 or more." in outcome.error) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_quality_and_the_map_of_disagreement_lie_beside_the_predictions(
    equireg: Command, phantom_run: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = ("--split", "test", "--disagreement", "true", "--quality_views", "1", "--device", "cpu")
    assert equireg("predict", phantom_run, phantom_prepared, "--out", out, *options).code == 0
    [row] = read_quality(out)
    assert row.quality is not None
    assert 0 <= row.quality <= 1
    record = read_record(out, row.case)
    scan = load(out / f"{row.case}.nii.gz")
    assert record.mask_digest == digest_of(out / f"{row.case}.nii.gz")
    voxel_mm3 = float(np.prod(scan.header.get_zooms()))
    whole = np.isin(np.asarray(scan.dataobj), (1, 2, 4)).sum() * voxel_mm3
    assert record.regions["whole"].volume_mm3 == pytest.approx(whole, rel=1e-4)
    against = load(out / "disagreement" / f"{row.case}.nii.gz")
    assert against.shape[:3] == scan.shape
    assert np.allclose(against.affine, scan.affine)
    values = np.asarray(against.dataobj)
    assert 0 <= values.min() <= values.max() <= 1


def test_held_out_cases_turn_quality_into_an_estimate_of_the_dice(
    equireg: Command, phantom_run: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    held_out, judged = tmp_path / "held_out", tmp_path / "judged"
    given = (phantom_run, phantom_prepared, "--split", "test", "--device", "cpu")
    assert equireg("predict", *given, "--out", held_out).code == 0
    assert equireg("evaluate", held_out, phantom_prepared, "--out", judged).code == 0
    [(case, (quality, dice))] = evaluation.read_quality(judged).items()
    few = equireg("predict", *given, "--calibration", judged, "--out", tmp_path / "few")
    assert (few.code, "holds 1 case with" in few.error) == (1, True)
    pairs = {case: (quality, dice), **{f"other{index}": (quality, dice) for index in range(4)}}
    evaluation.write_quality(judged, pairs)
    content = evaluation.read_signature(judged)
    content["digests"]["quality.csv"] = digest_of(judged / "quality.csv")
    write_content(judged, content)
    out = tmp_path / "out"
    assert equireg("predict", *given, "--calibration", judged, "--out", out).code == 0
    [row] = read_quality(out)
    assert row.estimate is not None
    assert (row.estimate.dice, row.estimate.rests_on) == (pytest.approx(dice, abs=1e-4), 5)
    estimate = read_record(out, case).estimate
    assert estimate is not None
    assert estimate.dice == pytest.approx(dice)
    assert values(out / f"{case}.nii.gz").tobytes() == values(held_out / f"{case}.nii.gz").tobytes()


def test_a_training_that_was_stopped_is_told(
    equireg: Command, phantom_run: Path, raw_case: Path, tmp_path: Path
) -> None:
    stopped = tmp_path / "stopped"
    shutil.copytree(phantom_run, stopped)
    assert "has not finished" not in equireg("predict", stopped, raw_case, "--out", tmp_path / "one", *PLAIN).err
    write_content(stopped, {**folders.read_content(stopped), "finished": False})
    outcome = equireg("predict", stopped, raw_case, "--out", tmp_path / "two", *PLAIN)
    assert outcome.code == 0
    assert f"{stopped}: its training has not finished; the model is that of step" in outcome.err
    (stopped / "checkpoints" / "best.ckpt").unlink()
    outcome = equireg("predict", stopped, raw_case, "--out", tmp_path / "three", *PLAIN)
    assert f"{stopped}: has lost its best.ckpt" in outcome.err

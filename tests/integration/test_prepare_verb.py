"""`equireg prepare` on phantoms and on real scans, through the command line."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes

from equireg.cli import main
from equireg.errors import EquiregError
from equireg.folders.prepared import PreparedSet
from equireg.phantom import PhantomConfig, write_dataset
from equireg.preparation import bias_field

Command = Callable[..., Any]


def whole(array: Any) -> np.ndarray:
    return np.asarray(array[...])


def test_phantoms_are_prepared(equireg: Command, phantom_raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    outcome = equireg("prepare", phantom_raw, "--out", out, "--jobs", 1, "--val_fraction", 0.25)
    assert outcome.code == 0, outcome.err
    assert "6 cases (4 with a mask): 5 train, 1 val, 0 test" in outcome.err
    manifest = PreparedSet(out).manifest
    assert manifest.channels == ("t1", "t1ce", "t2", "flair")
    assert manifest.labels.values == (0, 1, 2, 4)
    assert manifest.labels.judged_regions() == {"whole": (1, 2, 4), "core": (1, 4), "enhancing": (4,)}
    signature = json.loads((out / "made_by.json").read_text())
    assert (signature["verb"], signature["seed"]) == ("prepare", 42)
    assert signature["source"] == phantom_raw.resolve().name
    assert signature["config"]["val_fraction"] == 0.25


def test_the_arrays_are_the_scans(equireg: Command, phantom_raw: Path, tmp_path: Path) -> None:
    assert equireg("prepare", phantom_raw, "--out", tmp_path / "out", "--jobs", 1, "--normalise", "none").code == 0
    data = PreparedSet(tmp_path / "out")
    case = next(case for case in data.manifest.cases if case.labelled)
    folder = next(phantom_raw.rglob(f"{case.name}_t1.nii.gz")).parent
    grid = case.working_grid()
    for index, channel in enumerate(data.manifest.channels):
        scan = nib.Nifti1Image.load(folder / f"{case.name}_{channel}.nii.gz").get_fdata(dtype=np.float32)
        working = grid.image_to_working(scan[None])[0]
        np.testing.assert_allclose(whole(data.image(case.name))[index], working, rtol=2e-3)
    mask = np.asarray(nib.Nifti1Image.load(folder / f"{case.name}_seg.nii.gz").dataobj)
    np.testing.assert_array_equal(
        whole(data.label(case.name)), data.manifest.labels.to_classes(grid.label_to_working(mask.astype(np.int64)))
    )


def test_a_second_run_redoes_only_what_changed(equireg: Command, phantom_raw: Path, tmp_path: Path) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    subprocess.run(["cp", "-rp", phantom_raw, raw], check=True)
    arguments = ("prepare", raw, "--out", out, "--jobs", 1)
    assert equireg(*arguments).code == 0
    before = {path.parent.name: path.stat().st_mtime_ns for path in out.glob("cases/*/case.json")}
    touched = next(raw.rglob("Phantom_0002_1_t2.nii.gz"))
    os.utime(touched, (1, 1))
    assert equireg(*arguments).code == 0
    after = {path.parent.name: path.stat().st_mtime_ns for path in out.glob("cases/*/case.json")}
    assert {name for name in after if after[name] != before[name]} == {"Phantom_0002_1"}


def test_a_killed_run_is_gone_on_with(equireg: Command, phantom_raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    # The third case kills the process in the midst of its own files.
    script = (
        "import os, sys\n"
        "from equireg.cli import main\n"
        "from equireg.folders.prepared import writer as store\n"
        "write = store.write_array\n"
        "def dying(path, array):\n"
        "    write(path, array)\n"
        "    if 'Phantom_0003' in str(path):\n"
        f"        os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
        "store.write_array = dying\n"
        f"main(['prepare', {str(phantom_raw)!r}, '--out', {str(out)!r}, '--jobs', '1'])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert any(path.name.startswith(".") for path in (out / "cases").iterdir())
    with pytest.raises(EquiregError, match=r"has no made_by\.json"):
        PreparedSet(out)
    refused = equireg("train", out, "--out", tmp_path / "run")
    assert refused.code == 1
    assert f"{out}: has no made_by.json" in refused.error
    first = (out / "cases" / "Phantom_0001_1" / "case.json").stat().st_mtime_ns
    assert equireg("prepare", phantom_raw, "--out", out, "--jobs", 1).code == 0
    assert (out / "cases" / "Phantom_0001_1" / "case.json").stat().st_mtime_ns == first
    names = [f"Phantom_{index:04}_1" for index in range(1, 7)]
    assert [case.name for case in PreparedSet(out).manifest.cases] == names
    assert sorted(path.name for path in (out / "cases").iterdir()) == names


@pytest.fixture(scope="module")
def thesis_raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three phantoms to train and validate on, and one held out; the head does not fill the lowest slices."""
    config = PhantomConfig(cases=3, shape=(24, 24, 16), spacing_mm=(8.0, 8.0, 12.0), held_out=1)
    return write_dataset(tmp_path_factory.mktemp("thesis") / "raw", config)


@pytest.fixture(scope="module")
def thesis_prepared(thesis_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return them prepared by the thesis' recipe."""
    out = tmp_path_factory.mktemp("thesis") / "prepared"
    command = ["prepare", thesis_raw, "--out", out, "--recipe", "thesis", "--val_fraction", 0.34, "--n4_shrink", 4]
    assert main([str(word) for word in [*command, "--jobs", 1]]) == 0
    return out


@pytest.mark.slow
def test_the_thesis_recipe(thesis_prepared: Path) -> None:
    data = PreparedSet(thesis_prepared)
    assert data.manifest.normalisation == {"name": "thesis", "n4_shrink": 4}
    assert (data.manifest.spacing_mm, data.manifest.axes) == (None, "zyx")
    names = [f"Phantom_{index:04}_1" for index in (1, 2, 3)]
    random.Random(42).shuffle(names)
    splits = {case.name: case.split for case in data.manifest.cases}
    assert splits == {names[0]: "train", names[1]: "val", names[2]: "val", "Phantom_0004_1": "test"}
    for case in data.manifest.cases:
        image = whole(data.image(case.name)).astype(np.float32)
        assert case.background == (0.0,) * 4
        assert (case.shape[0] == 16) == (case.split == "test"), "only the test set keeps its empty slices"
        assert case.shape[1:] == (24, 24)
        assert image.shape[1:] == case.shape
        assert (image.min(), image.max()) == (0, 1)
        assert len(data.equivariance_seeds(case.name)) == case.shape[0]


def test_the_bias_field_is_estimated_once(
    equireg: Command, thesis_raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also that of the case whose steps the report shows, though it is shown what a run of its own would show."""
    out, count = tmp_path / "out", []
    monkeypatch.setattr(bias_field, "correct", lambda channel, *_: (count.append(1), channel + 1)[1])
    thesis = ("prepare", thesis_raw, "--out", out, "--recipe", "thesis", "--jobs", 1)
    assert equireg(*thesis).code == 0
    assert len(count) == 4 * 4, "four cases of four contrasts"
    (example,) = (out / "examples").iterdir()
    with np.load(example) as content:
        first = dict(content)
    example.unlink()
    assert equireg(*thesis).code == 0
    assert len(count) == 4 * 4 + 4
    with np.load(example) as content:
        assert set(content) == set(first)
        for name, value in first.items():
            np.testing.assert_array_equal(content[name], value)


@pytest.mark.slow
def test_places_and_masks_lie_in_the_cropped_frame(thesis_raw: Path, thesis_prepared: Path) -> None:
    data = PreparedSet(thesis_prepared)
    for case in data.manifest.cases:
        mask = nib.Nifti1Image.load(next(thesis_raw.rglob(f"{case.name}_seg.nii.gz")))
        native = np.asarray(mask.dataobj)
        (start, stop), *_ = case.working_grid().crop
        # The file's x runs to the left and y to the back; 4, the enhancing tumour, is class 3 inside.
        expected = native[::-1, ::-1, start:stop].transpose(2, 1, 0)
        label = whole(data.label(case.name))
        np.testing.assert_array_equal(label, np.where(expected == 4, 3, expected))
        assert case.class_voxels == tuple(np.bincount(label.ravel(), minlength=4))
        for index, places in data.foreground(case.name).items():
            assert (label[tuple(places.T.astype(np.int64))] == index).all()


def test_another_recipe_or_factor_or_split_redoes_what_it_changes(
    equireg: Command, thesis_raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(bias_field, "correct", lambda channel, *_: channel)  # what is redone is asked, not with what

    def redone(*options: object) -> set[str]:
        before = {path.parent.name: path.stat().st_ino for path in out.glob("cases/*/case.json")}
        outcome = equireg("prepare", thesis_raw, "--out", out, "--jobs", 1, *options)
        assert outcome.code == 0, outcome.err
        after = {path.parent.name: path.stat().st_ino for path in out.glob("cases/*/case.json")}
        return {name for name in after if after[name] != before.get(name)}

    every = {f"Phantom_{index:04}_1" for index in range(1, 5)}
    assert redone() == every
    thesis = ("--recipe", "thesis", "--n4_shrink")
    assert redone(*thesis, 4) == every
    assert redone(*thesis, 4) == set()
    assert redone(*thesis, 2) == every
    # A split file wins; the case that it calls test gets its empty slices back, the one that it takes loses them.
    (tmp_path / "split.json").write_text(json.dumps({"test": ["Phantom_0002_1"], "val": ["Phantom_0004_1"]}))
    split = ("--split", tmp_path / "split.json")
    assert redone(*thesis, 2, *split) == {"Phantom_0002_1", "Phantom_0004_1"}
    cases = PreparedSet(out).by_name
    assert (cases["Phantom_0002_1"].shape[0], cases["Phantom_0002_1"].split) == (16, "test")
    assert cases["Phantom_0004_1"].shape[0] < 16


@pytest.mark.slow
def test_the_same_transform_whatever_the_recipe(
    equireg: Command, thesis_raw: Path, thesis_prepared: Path, tmp_path: Path
) -> None:
    assert equireg("prepare", thesis_raw, "--out", tmp_path / "default", "--jobs", 1, "--spacing", "none").code == 0
    one, other = PreparedSet(thesis_prepared), PreparedSet(tmp_path / "default")
    for case in one.manifest.cases:
        starts = [data.by_name[case.name].working_grid().crop[0][0] for data in (one, other)]
        first, second = (data.equivariance_seeds(case.name) for data in (one, other))
        offset = starts[1] - starts[0]
        np.testing.assert_array_equal(first[offset : offset + len(second)], second)


@pytest.mark.slow
def test_a_model_of_the_recipe_predicts_raw_and_prepared_scans_alike(
    equireg: Command, thesis_raw: Path, thesis_prepared: Path, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert equireg("train", thesis_prepared, "--out", run, "--spatial_dims", 2, *tiny).code == 0
    plain = ("--test_time", "none", "--device", "cpu", "--precision", "32", "--probabilities", "true")
    held_out = thesis_raw / "MICCAI_BraTS_2019_Data_Validation"
    outcomes = [
        equireg("predict", run, held_out, "--out", tmp_path / "raw", *plain),
        equireg("predict", run, thesis_prepared, "--split", "test", "--out", tmp_path / "test", *plain),
    ]
    assert [outcome.code for outcome in outcomes] == [0, 0], outcomes
    raw, test = (
        nib.Nifti1Image.load(tmp_path / folder / "Phantom_0004_1_probabilities.nii.gz") for folder in ("raw", "test")
    )
    assert raw.shape == (24, 24, 16, 4)
    # The prepared scan lies on disk in 16 bits.
    np.testing.assert_allclose(np.asarray(raw.dataobj), np.asarray(test.dataobj), atol=1e-2)
    values = np.unique(np.asarray(nib.Nifti1Image.load(tmp_path / "raw" / "Phantom_0004_1.nii.gz").dataobj))
    assert set(values.tolist()) <= {0, 1, 2, 4}


@pytest.mark.slow
def test_a_model_and_a_folder_of_different_recipes_are_reported_apart(
    equireg: Command, phantom_run: Path, thesis_prepared: Path, tmp_path: Path
) -> None:
    refused = equireg("predict", phantom_run, thesis_prepared, "--out", tmp_path / "none")
    assert refused.code == 1
    assert "n4_shrink" in refused.error


def test_the_thesis_recipe_wants_a_brats_folder(equireg: Command, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    nib.save(nib.Nifti1Image(np.ones((8, 8, 8), dtype=np.int16), np.eye(4)), tmp_path / "raw" / "a.nii.gz")
    refused = equireg("prepare", tmp_path / "raw", "--out", tmp_path / "out", "--recipe", "thesis")
    assert refused.code == 2
    assert "--recipe thesis is for BraTS folders" in refused.error
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_real_brats_scans_by_the_thesis_recipe(
    equireg: Command, real_data: Callable[[str], Path], tmp_path: Path
) -> None:
    raw, out = real_data("brats-layout"), tmp_path / "out"
    # A coarse field, for the test's time; crops, masks and values do not depend on it.
    outcome = equireg("prepare", raw, "--out", out, "--recipe", "thesis", "--n4_shrink", 8, "--jobs", 1)
    assert outcome.code == 0, outcome.err
    data = PreparedSet(out)
    assert sorted(case.split for case in data.manifest.cases) == ["train", "val"]
    depths = {"TCGA_DU_7294_1": (9, 140), "TCGA_FG_6692_1": (8, 138)}
    for case in data.manifest.cases:
        grid = case.working_grid()
        assert grid.crop == (depths[case.name], (8, 232), (8, 232))
        assert grid.native.shape == (240, 240, 155)
        image, label = whole(data.image(case.name)), whole(data.label(case.name))
        native = np.asarray(nib.Nifti1Image.load(next(raw.rglob(f"{case.name}_seg.nii.gz"))).dataobj)
        assert (label == 3).sum() == (native == 4).sum()
        for index, channel in enumerate(data.manifest.channels):
            scan = nib.Nifti1Image.load(next(raw.rglob(f"{case.name}_{channel}.nii.gz")))
            mask = grid.label_to_working(np.asarray(scan.dataobj) != 0)
            enclosed = np.asarray(binary_fill_holes(mask))
            np.testing.assert_array_equal(image[index] > 0, enclosed, "numbers below 0, and zeros inside, are tissue")
            # The share at a bin's lower edge counts the whole bin, and one bin here holds up to 1.4 % of the tissue.
            assert np.median(image[index][mask].astype(np.float32)) == pytest.approx(0.5, abs=0.02)


@pytest.mark.slow
def test_real_brats_scans(equireg: Command, real_data: Callable[[str], Path], tmp_path: Path) -> None:
    raw = real_data("brats-layout")
    outcome = equireg("prepare", raw, "--out", tmp_path / "out", "--jobs", 1)
    assert outcome.code == 0, outcome.err
    manifest = PreparedSet(tmp_path / "out").manifest
    assert manifest.channels == ("t1", "t1ce", "t2", "flair")
    assert manifest.cases[0].working_grid().native.shape == (240, 240, 155)

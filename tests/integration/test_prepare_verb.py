"""`equireg prepare` on phantoms and on real scans, through the command line."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from equireg.data.store import PreparedSet
from equireg.errors import EquiregError

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
    assert signature["source"] == str(phantom_raw.absolute())
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
        "from equireg.data import store\n"
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


def test_real_brats_scans(equireg: Command, real_data: Callable[[str], Path], tmp_path: Path) -> None:
    raw = real_data("brats-layout")
    outcome = equireg("prepare", raw, "--out", tmp_path / "out", "--jobs", 1)
    assert outcome.code == 0, outcome.err
    manifest = PreparedSet(tmp_path / "out").manifest
    assert manifest.channels == ("t1", "t1ce", "t2", "flair")
    assert manifest.cases[0].working_grid().native.shape == (240, 240, 155)

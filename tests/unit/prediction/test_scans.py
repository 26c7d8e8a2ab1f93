"""Scans of a prepared folder, as `predict` reads them."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

import prepared_sets
from equireg import disk
from equireg.config import PredictConfig
from equireg.errors import EquiregError
from equireg.model import ModelFacts
from equireg.prediction.scans import PreparedScan, find_cases


def test_files_that_are_not_what_was_written_are_refused_unless_nobody_verifies(tmp_path):
    case = prepared_sets.record("a")
    root = prepared_sets.write_set(tmp_path / "p", [case])
    other = prepared_sets.manifest([replace(case, digests={"image.b2nd": "0" * 32})])
    disk.write_json(root / "manifest.json", other.as_dict())
    with pytest.raises(EquiregError, match=r"image\.b2nd.*not what was written"):
        PreparedScan(root, "a").read()
    assert PreparedScan(root, "a", verify=False).read().image.shape == (2, *case.shape)


def test_the_limits_of_raw_scans_are_options(tmp_path):
    scan = nib.Nifti1Image(np.random.default_rng(0).normal(size=(8, 8, 8)), np.diag([1.0, 1.0, 60.0, 1.0]))
    nib.save(scan, tmp_path / "a.nii.gz")
    facts = ModelFacts("made up", ("MRI",), prepared_sets.LABELS, "zyx", None, {"name": "zscore"}, (16, 16), (1,))
    (refused,) = find_cases(tmp_path, facts, PredictConfig())
    with pytest.raises(EquiregError, match=r"expected 0\.0001 to 50 mm"):
        refused.read()
    (accepted,) = find_cases(tmp_path, facts, PredictConfig(max_spacing_mm=60))
    assert accepted.read().image.shape[0] == 1
    (large,) = find_cases(tmp_path, facts, PredictConfig(max_spacing_mm=60, max_voxels=100))
    with pytest.raises(EquiregError, match="expected at most 100 in all"):
        large.read()

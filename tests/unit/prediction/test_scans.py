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
from equireg.prediction.scans import InputCase, PreparedScan, RawScan, find_cases, raw_digests
from equireg.preparation.raw_states import tell_changed


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


def test_a_scan_that_would_be_too_large_at_the_spacing_of_the_model_is_told_with_both_spacings(tmp_path):
    scan = nib.Nifti1Image(np.random.default_rng(0).normal(size=(8, 7, 6)), np.diag([4.0, 4.0, 5.0, 1.0]))
    nib.save(scan, tmp_path / "a.nii.gz")
    spacing, normalisation = (0.004, 0.004, 0.01), {"name": "zscore"}
    facts = ModelFacts("made up", ("MRI",), prepared_sets.LABELS, "zyx", spacing, normalisation, (16, 16), (1,))
    (far,) = find_cases(tmp_path, facts, PredictConfig())
    with pytest.raises(EquiregError, match=r"4 x 4 x 5 mm; .* 0\.004 x 0\.004 x 0\.01 mm .* 8000 x 7000 x 3000 voxels"):
        far.read()


def test_a_raw_scan_and_the_case_prepared_from_it_have_one_digest(tmp_path):
    for name in "ab":
        image = np.random.default_rng(ord(name)).normal(size=(8, 8, 8))
        nib.save(nib.Nifti1Image(image, np.eye(4)), tmp_path / f"{name}.nii.gz")
    facts = ModelFacts("made up", ("MRI",), prepared_sets.LABELS, "zyx", None, {"name": "zscore"}, (16, 16), (1,))
    cases = find_cases(tmp_path, facts, PredictConfig())
    raw = [case.scan.case for case in cases if isinstance(case.scan, RawScan)]
    tell_changed(tmp_path, raw, {})
    found = raw_digests(cases)
    assert len(set(found.values())) == 2
    assert raw_digests([InputCase(name, PreparedScan(tmp_path, name)) for name in "abc"]) == found
    (tmp_path / "a.nii.gz").unlink()
    assert raw_digests(cases) == {"b": found["b"]}

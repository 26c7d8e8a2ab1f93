"""Scans of a prepared folder, as `predict` reads them."""

from dataclasses import replace

import pytest

import prepared_sets
from equireg import disk
from equireg.errors import EquiregError
from equireg.prediction.scans import PreparedScan


def test_files_that_are_not_what_was_written_are_refused_unless_nobody_verifies(tmp_path):
    case = prepared_sets.record("a")
    root = prepared_sets.write_set(tmp_path / "p", [case])
    other = prepared_sets.manifest([replace(case, digests={"image.b2nd": "0" * 32})])
    disk.write_json(root / "manifest.json", other.as_dict())
    with pytest.raises(EquiregError, match=r"image\.b2nd.*not what was written"):
        PreparedScan(root, "a").read()
    assert PreparedScan(root, "a", verify=False).read().image.shape == (2, *case.shape)

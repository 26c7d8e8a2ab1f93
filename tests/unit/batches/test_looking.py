"""A prepared folder opened to look at."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import equireg
from equireg.errors import UsageError
from prepared_sets import image_of, label_of, record, write_set


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_set(tmp_path / "prepared", [record("a"), record("b", labelled=False), record("c", "val")])


def test_cases_are_arrays(root: Path) -> None:
    data = equireg.open(root)
    assert list(data) == ["a", "b", "c"]
    assert len(data) == 3
    assert data.manifest.channels == ("t1", "t2")
    case = data["a"]
    assert np.array_equal(case.image, image_of(case.record, 0))
    assert case.label is not None
    assert np.array_equal(case.label, label_of(case.record))
    assert data["b"].label is None
    with pytest.raises(UsageError, match="there is no case 'z'"):
        data["z"]


def test_batches_are_those_of_a_run(root: Path) -> None:
    options = equireg.TrainConfig(batch_size=2, unsup_ratio=1, max_steps=3, patch_size=(8, 8))
    batches = equireg.open(root).batches(options)
    assert len(batches) == 3
    first = batches[0]
    assert tuple(first.labelled.image.shape) == (2, 2, 8, 8)
    assert [len(batch.unlabelled.image) for batch in batches if batch.unlabelled is not None] == [2, 2, 2]
    assert len(equireg.open(root).batches(options, max_steps=2)) == 2


def test_batches_are_counted_from_both_ends(root: Path) -> None:
    batches = equireg.open(root).batches(batch_size=2, unsup_ratio=0, max_steps=3, patch_size=(8, 8))
    assert (batches[-1].labelled.image == batches[2].labelled.image).all()
    assert [len(part) for part in (batches[1:], batches[:-1], batches[5:])] == [2, 2, 0]
    for step in (3, -4):
        with pytest.raises(IndexError, match="is not one of the 3 steps"):
            batches[step]


def test_looking_at_cases_needs_no_torch(root: Path) -> None:
    code = f"import equireg, sys; equireg.open({str(root)!r})['a']; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

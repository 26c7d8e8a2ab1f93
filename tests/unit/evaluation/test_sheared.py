"""Masks whose axes are not perpendicular, as a gantry tilt leaves them."""

import logging
from pathlib import Path

import numpy as np
import pytest

from equireg.evaluation.evaluate import evaluate
from equireg.imaging.volume import Geometry, write_label

SHAPE = (12, 10, 6)


def tilted(degrees: float) -> Geometry:
    affine = np.diag([0.8, 1.0, 2.5, 1.0])
    affine[1, 2] = 2.5 * np.tan(np.radians(degrees))
    return Geometry.from_array(SHAPE, affine)


def evaluation_of(tmp_path: Path, geometry: Geometry) -> dict[tuple[str, str, str], float]:
    mask = np.zeros(SHAPE, np.uint8)
    mask[3:9, 2:7, 1:5] = 1
    for name, shift in (("predictions", 1), ("masks", 0)):
        (tmp_path / name).mkdir()
        write_label(tmp_path / name / "a.nii.gz", np.roll(mask, shift, axis=0), geometry)
    return dict(evaluate(tmp_path / "predictions", tmp_path / "masks", tmp_path / "out").scores)


def test_volumes_are_those_of_the_sheared_voxels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="equireg"):
        found = evaluation_of(tmp_path, tilted(30))
    for metric in ("volume_ml", "reference_volume_ml"):
        assert found["a", "label 1", metric] == pytest.approx(6 * 5 * 4 * (0.8 * 1.0 * 2.5) / 1000)
    [said] = [record.getMessage() for record in caplog.records if "perpendicular" in record.getMessage()]
    assert said.startswith("the axes of 1 of 1 masks are not perpendicular")


@pytest.mark.parametrize("degrees", [0.0, 0.5])
def test_axes_that_are_hardly_sheared_are_no_news(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, degrees: float
) -> None:
    with caplog.at_level(logging.WARNING, logger="equireg"):
        evaluation_of(tmp_path, tilted(degrees))
    assert "perpendicular" not in caplog.text

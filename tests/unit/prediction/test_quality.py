"""What is said of a prediction without its reference."""

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from equireg.folders.quality import disagreement_file
from equireg.imaging.geometry import Geometry
from equireg.imaging.grid import WorkingGrid
from equireg.imaging.labels import LabelTable
from equireg.inference import Agreement
from equireg.model import ModelFacts
from equireg.prediction.quality import common_facts, quality_of, write_disagreement

LABELS = LabelTable((0, 1, 4), ("background", "core", "rim"), {"whole": (1, 4), "rim": (4,)})
FACTS = ModelFacts("made up", ("t1", "t2"), LABELS, "zyx", None, {"name": "zscore"}, (16, 16), ())
AFFINE = np.diag([2.5, 1.0, -1.0, 1.0])


def facts(**volumes_mm3: tuple[float, float]) -> ModelFacts:
    return replace(FACTS, volumes_mm3=volumes_mm3)


def counted(*views: list[int]) -> Agreement:
    made = Agreement(len(views), 3)
    made.add([torch.tensor([view], dtype=torch.uint8) for view in views])
    return made


def test_regions_have_agreement_volume_and_spread():
    values = np.array([1, 1, 4, 0]).reshape(4, 1, 1)
    found = quality_of("a", counted([1, 1, 2, 0], [1, 2, 2, 0]), values, AFFINE, FACTS)
    assert found.quality == pytest.approx(2 / 3)
    whole, rim = found.regions["whole"], found.regions["rim"]
    assert (whole.agreement, whole.volume_mm3, whole.volume_spread) == (1.0, 7.5, 0.0)
    assert rim.agreement == pytest.approx(2 / 3)
    assert (rim.volume_mm3, rim.volume_spread) == (2.5, pytest.approx(1 / 3))
    assert found.reasons == ("views disagree on rim (0.67)",)


def test_the_map_holds_the_part_of_the_views_that_contradict_and_nothing_beyond_the_crop(tmp_path: Path):
    native = Geometry.from_array((4, 4, 6), np.eye(4))
    grid = WorkingGrid.plan(native, (1.0, 1.0, 2.0), "z").with_crop(((0, 3), (1, 3), (0, 4)))
    agreement = Agreement(4, 3, mapped=True)
    assert agreement.map is not None
    agreement.map.append(torch.full((3, 2, 4), 0.25))
    write_disagreement(tmp_path, "a", agreement, grid, picture=False)
    written = np.asarray(nib.Nifti1Image.load(disagreement_file(tmp_path, "a")).dataobj)[..., 0]
    assert set(np.unique(written).tolist()) == {0.0, 0.25}
    assert (written > 0).sum() == 2 * 4 * 6


def test_an_empty_prediction_is_a_reason():
    found = quality_of("a", counted([0, 0], [0, 0]), np.zeros((2, 1, 1), int), AFFINE, FACTS)
    assert found.quality == 1.0
    assert found.regions["whole"].agreement is None
    assert found.reasons == ("nothing was found",)


def test_an_empty_prediction_is_not_trusted_where_every_training_case_shows_something():
    empty = counted([0, 0], [0, 0]), np.zeros((2, 1, 1), int), AFFINE
    found = quality_of("a", *empty, facts(whole=(9.0, 20.0), rim=(0.0, 5.0)))
    assert found.quality == 0.0
    assert found.reasons == ("nothing was found", "whole is much smaller than in any training case (0 mm3; least 9)")
    assert quality_of("a", *empty, facts(whole=(0.0, 20.0), rim=(0.0, 5.0))).quality == 1.0


def test_an_empty_prediction_is_not_trusted_where_each_training_case_shows_another_region():
    empty = counted([0, 0], [0, 0]), np.zeros((2, 1, 1), int), AFFINE
    known = facts(whole=(0.0, 20.0), rim=(0.0, 5.0))
    assert quality_of("a", *empty, replace(known, least_foreground_mm3=2.0)).quality == 0.0
    assert quality_of("a", *empty, replace(known, least_foreground_mm3=0.0)).quality == 1.0


@pytest.mark.parametrize(
    ("known", "reasons"),
    [
        ((22.0, 22.0), ()),
        ((23.0, 30.0), ("whole is much smaller than in any training case (7.5 mm3; least 23)",)),
        ((1.0, 2.4), ("whole is much larger than in any training case (7.5 mm3; most 2.4)",)),
        ((2.34e6, 3e6), ("whole is much smaller than in any training case (7.5 mm3; least 2,340,000)",)),
        ((0.0, 0.0), ()),  # where no training case shows it, nothing is known of its size
    ],
)
def test_a_region_three_times_beyond_the_training_cases_is_a_reason(
    known: tuple[float, float], reasons: tuple[str, ...]
) -> None:
    values = np.array([1, 1, 4, 0]).reshape(4, 1, 1)
    assert quality_of("a", counted([1, 1, 2, 0], [1, 1, 2, 0]), values, AFFINE, facts(whole=known)).reasons == reasons


def test_intensities_far_from_training_are_a_reason():
    values = np.array([1, 1, 4, 0]).reshape(4, 1, 1)
    found = quality_of("a", counted([1, 1, 2, 0], [1, 1, 2, 0]), values, AFFINE, FACTS, ["t2"])
    assert found.reasons == ("intensities are far from those of the training scans (t2)",)


def test_models_that_predict_together_know_all_their_training_cases():
    both = common_facts([FACTS, facts(whole=(3.0, 4.0)), facts(whole=(2.0, 3.0), rim=(1.0, 1.0))])
    assert both.volumes_mm3 == {"whole": (2.0, 4.0), "rim": (1.0, 1.0)}
    assert common_facts([FACTS]) == FACTS
    shown = [replace(facts(whole=(0.0, 4.0)), least_foreground_mm3=least) for least in (3.0, 2.0, None)]
    assert common_facts(shown[:2]).least_foreground_mm3 == 2.0
    assert common_facts(shown).least_foreground_mm3 is None

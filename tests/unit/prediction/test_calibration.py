"""An estimate of Dice from quality: rising, inside its interval, and refused where it would mean nothing."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equireg import folders
from equireg.config import PredictConfig
from equireg.errors import EquiregError
from equireg.folders import evaluation
from equireg.folders.digests import digests_of
from equireg.folders.quality import CaseQuality, RegionQuality, views_of
from equireg.prediction.calibration import Calibration, read_calibration

QUALITY = (0.2, 0.4, 0.5, 0.7, 0.9)
DICE = (0.1, 0.3, 0.2, 0.6, 0.8)


def test_the_estimate_rises_and_lies_in_its_interval():
    made = [Calibration(QUALITY, DICE).estimate(quality) for quality in np.linspace(0, 1, 21)]
    assert all(0 <= one.low <= one.dice <= one.high <= 1 for one in made)
    assert all(one.dice <= other.dice for one, other in itertools.pairwise(made))
    assert (made[0].dice, made[-1].dice, made[0].rests_on) == (0.1, 0.8, 5)


def test_neighbours_in_the_wrong_order_share_their_mean():
    assert Calibration(QUALITY, DICE).estimate(0.45).dice == pytest.approx(0.25)


def test_equal_qualities_share_their_mean():
    assert Calibration([0.5] * 5, [0.1, 0.2, 0.3, 0.4, 0.5]).estimate(0.9).dice == pytest.approx(0.3)


def test_the_interval_holds_four_of_five_new_cases_about():
    generator = np.random.default_rng(3)
    held = []
    for _ in range(60):
        quality = generator.uniform(size=21)
        dice = np.clip(quality**2 + generator.normal(0, 0.1, size=21), 0, 1)
        found = Calibration(quality[:20], dice[:20]).estimate(quality[20])
        held.append(found.low <= dice[20] <= found.high)
    assert 0.65 < np.mean(held) < 0.95


def test_all_scans_of_a_patient_are_left_out_together(tmp_path: Path):
    folder = evaluated(tmp_path / "e", 6, same_patient=[["case4", "case5"]])
    made = read_calibration(folder, "12", PredictConfig()).estimate(0.9)
    known = (*QUALITY, 0.9), (*DICE, 0.8)
    alone = Calibration(*known).estimate(0.9)
    assert made == Calibration(*known, ["a", "b", "c", "d", "e", "e"]).estimate(0.9)
    # Without both scans of e, its estimate is that of the cases of less quality.
    assert (alone.low, made.low) == (pytest.approx(0.6), pytest.approx(0.4))
    assert (alone.rests_on, made.rests_on) == (6, 5)


def test_a_patient_with_many_scans_counts_once():
    dice = (0.1, 0.2, 0.4, 0.6, 0.7)
    made = Calibration((*QUALITY, *[0.9] * 9), (*dice, *[0.7] * 9), [*"abcde", *"e" * 9])
    alone = Calibration(QUALITY, dice)
    for quality in QUALITY:
        assert vars(made.estimate(quality)) == pytest.approx(vars(alone.estimate(quality)))


def test_many_scans_of_four_patients_are_too_few(tmp_path: Path):
    with pytest.raises(ValueError, match="of 4 patients"):
        Calibration(QUALITY, DICE, [*"abcdd"])
    folder = evaluated(tmp_path / "e", same_patient=[["case0", "case4"]])
    with pytest.raises(EquiregError, match=r"holds 5 cases of 4 patients .* expected 5 or more patients"):
        read_calibration(folder, "12", PredictConfig())


def test_below_all_held_out_qualities_the_dice_may_be_anything():
    made = Calibration(QUALITY, DICE)
    found = made.of(CaseQuality("a", 0.15, reasons=("small",)))
    assert found.reasons == ("small", "the quality is lower than that of every held-out case")
    assert found.estimate is not None
    assert (found.estimate.low, found.estimate.dice) == (0.0, 0.1)
    assert made.of(found) == found, "a command that is given again says it once"
    assert Calibration(np.add(QUALITY, -0.1), DICE).of(found).reasons == ("small",)
    assert made.of(CaseQuality("a", 0.19996)).reasons == (), "quality.csv has four digits"


def test_nothing_that_was_found_has_no_estimate():
    made = Calibration(QUALITY, DICE)
    estimate = made.estimate(0.9)
    for quality, volume_mm3 in ((0.0, 0.0), (1.0, 0.0), (0.0, 3.0)):
        regions = {"whole": RegionQuality(None, 0.0, None), "core": RegionQuality(None, volume_mm3, None)}
        assert made.of(CaseQuality("a", quality, regions, estimate=estimate)).estimate is None


def test_four_cases_are_too_few():
    with pytest.raises(ValueError, match="got 4 qualities"):
        Calibration(QUALITY[:4], DICE[:4])


def test_a_case_without_quality_has_no_estimate():
    made = Calibration(QUALITY, DICE)
    assert made.of(CaseQuality("a", None)).estimate is None
    assert made.of(CaseQuality("a", 0.9)).estimate == made.estimate(0.9)


def evaluated(folder: Path, cases: int = 5, split: str | None = "val", **facts: Any) -> Path:
    """Make what `evaluate` leaves of predictions with the options by default."""
    folder.mkdir()
    pairs = [*zip(QUALITY, DICE, strict=True), (0.9, 0.8)][:cases]
    evaluation.write_quality(folder, {f"case{index}": pair for index, pair in enumerate(pairs)})
    signed = {
        "run": {"name": "first", "checkpoint_digest": "12", "split": split},
        evaluation.VIEWS: views_of(vars(PredictConfig())),
        "digests": digests_of(folder, evaluation.SEALED),
    }
    folders.sign(folder, evaluation.VERB, {}, **{**signed, **facts})
    return folder


def test_an_evaluation_of_held_out_cases_is_read(tmp_path: Path):
    made = read_calibration(evaluated(tmp_path / "e"), "12", PredictConfig())
    assert made.estimate(0.9) == Calibration(QUALITY, DICE).estimate(0.9)


def test_cases_that_the_model_learnt_from_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read_calibration(evaluated(tmp_path / "a", split=None, learnt_cases=["elsewhere"]), "12", PredictConfig())
    assert not caplog.messages
    read_calibration(evaluated(tmp_path / "e", split=None, learnt_cases=["case1", "case3"]), "12", PredictConfig())
    assert "the model has learnt from 2 of these 5 cases with their masks (case1, case3)" in caplog.text


@pytest.mark.parametrize(
    ("facts", "digest", "options", "words"),
    [
        ({}, "13", {}, "another model or checkpoint"),
        ({"split": "train"}, "12", {}, "training cases"),
        ({}, "12", {"quality_views": 4}, "--quality_views 2 there and 4 here"),
        ({"cases": 4}, "12", {}, "holds 4 cases with"),
        ({"cases": 1}, "12", {}, "holds 1 case with"),
    ],
)
def test_one_that_says_nothing_of_these_predictions_is_refused(
    tmp_path: Path, facts: dict[str, Any], digest: str, options: dict[str, Any], words: str
) -> None:
    folder = evaluated(tmp_path / "e", **facts)
    with pytest.raises(EquiregError, match=words) as raised:
        read_calibration(folder, digest, PredictConfig(**options))
    assert "\n" not in str(raised.value)


def test_one_without_qualities_or_with_damaged_ones_is_named(tmp_path: Path):
    folder = evaluated(tmp_path / "e")
    path = folder / evaluation.QUALITY
    path.write_text(path.read_text().replace("0.9", "0.8"))
    with pytest.raises(EquiregError, match=r"quality\.csv"):
        read_calibration(folder, "12", PredictConfig())
    path.unlink()
    with pytest.raises(EquiregError, match=r"holds no quality\.csv"):
        read_calibration(folder, "12", PredictConfig())

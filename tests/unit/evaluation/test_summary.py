"""The summary over cases: labels that nothing shows, what is missing, and the result as tables."""

import json
from pathlib import Path

import numpy as np
import pytest

import prepared_sets
from equireg import disk, folders
from equireg.evaluation.evaluate import evaluate
from equireg.evaluation.scores import Score
from equireg.evaluation.summary import summarise
from equireg.folders import evaluation
from equireg.imaging.labels import LabelTable
from judged_folders import box, write_masks, write_raw

LABELS = LabelTable((0, 1, 2, 3), ("background", "lesion", "rare", "never"))
EMPTY = box(0)


@pytest.fixture
def judged(tmp_path: Path):
    """Lesions found, missed and made up; the rare label in a single prediction; the last one nowhere."""
    masks = {"a": box(1), "b": box(1), "c": EMPTY, "d": EMPTY}
    predicted = {"a": box(1, start=4), "b": EMPTY, "c": box(1) + box(2, start=7), "d": EMPTY}
    write_masks(tmp_path / "masks", masks)
    write_masks(tmp_path / "predictions", predicted, LABELS)
    return evaluate(tmp_path / "predictions", tmp_path / "masks", tmp_path / "out")


def test_a_label_that_nothing_shows_does_not_lift_the_mean(judged):
    regions = judged["regions"]
    assert regions["never"]["dice"]["mean"] == 1.0  # empty in both is still a perfect answer for each case
    assert judged["left_out_of_mean"] == ["never"]
    for metric, mean in judged["mean"].items():
        assert mean == pytest.approx(np.mean([regions[name][metric]["mean"] for name in ("lesion", "rare")]))


def test_presence_is_counted(judged):
    assert judged["presence"] == {
        "lesion": {"both": 1, "prediction_only": 1, "reference_only": 1, "neither": 1},
        "rare": {"both": 0, "prediction_only": 1, "reference_only": 0, "neither": 3},
        "never": {"both": 0, "prediction_only": 0, "reference_only": 0, "neither": 4},
    }


def test_values_that_only_one_side_has_are_told(tmp_path, caplog):
    write_masks(tmp_path / "masks", {"a": box(255), "b": EMPTY})
    write_masks(tmp_path / "predictions", {"a": box(1), "b": box(1)})
    evaluate(tmp_path / "predictions", tmp_path / "masks", tmp_path / "out")
    assert "shows label 1, and the masks show label 255; nothing is in both" in caplog.text
    caplog.clear()
    write_masks(tmp_path / "more", {"a": box(255), "b": box(1, start=7)})
    evaluate(tmp_path / "predictions", tmp_path / "more", tmp_path / "out2")
    assert "nothing is in both" not in caplog.text


def test_missing_distances_are_counted_beside_dice(judged):
    assert judged["regions"]["lesion"]["hd95_mm"]["missing"] == 2
    assert judged["regions"]["lesion"]["dice"]["missing"] == 0


def test_where_nothing_is_shown_at_all_the_answer_is_perfect(tmp_path):
    for name in ("masks", "predictions"):
        write_masks(tmp_path / name, {"a": EMPTY}, LABELS)
    result = evaluate(tmp_path / "predictions", tmp_path / "masks", tmp_path / "out")
    assert result["mean"].items() >= {"dice": 1.0, "hd95_mm": 0.0, "nsd": 1.0}.items()
    assert result["left_out_of_mean"] == []
    assert result["presence"]["lesion"]["neither"] == 1


def test_scores_of_which_nobody_knows_what_is_shown_are_all_averaged():
    rows = {"whole": {"dice": 1.0}, "core": {"dice": 0.5}}
    summary = summarise([Score("a", rows)])
    assert (summary["mean"]["dice"], summary["left_out_of_mean"], summary["presence"]) == (0.75, [], {})


def test_the_result_is_the_summary_and_its_tables(judged, tmp_path):
    out = tmp_path / "out"
    assert judged == json.loads((out / "summary.json").read_text())
    assert judged == evaluation.read_summary(out)
    cases = {tuple(row[:3]): row[3] for row in judged.cases.itertuples(index=False)}
    assert cases["a", "lesion", "dice"] == evaluation.read_scores(out)["a", "lesion", "dice"] == 0.5
    assert np.isnan(cases["b", "lesion", "hd95_mm"])
    regions = {tuple(row[:2]): row for row in judged.regions.itertuples(index=False)}
    assert regions["lesion", "hd95_mm"].missing == 2
    assert regions["lesion", "dice"].mean == judged["regions"]["lesion"]["dice"]["mean"]


def test_the_lines_for_people_say_what_is_left_out_and_missing(judged):
    lesion, rare, never, mean = str(judged).splitlines()
    assert lesion == "lesion                   Dice 0.375 +- 0.479   (2 without HD95: one side empty)"
    assert rare.startswith("rare                     Dice 0.750")
    assert never.startswith("never")
    assert "not in the mean" in never
    assert mean == f"mean                     Dice {judged['mean']['dice']:.3f} over 4 cases"


def test_a_single_value_has_no_spread(tmp_path: Path) -> None:
    write_masks(tmp_path / "masks", {"a": box(1), "b": np.full_like(EMPTY, 9)})
    write_masks(tmp_path / "predictions", {"a": box(1, start=4), "b": EMPTY}, LabelTable((0, 1), ("-", "x"), ignore=9))
    assert "+-" not in str(evaluate(tmp_path / "predictions", tmp_path / "masks", tmp_path / "out"))


@pytest.mark.parametrize("split", ["train", "test", None])
def test_learnt_cases_and_options_of_the_prediction_are_kept(tmp_path: Path, caplog, split: str | None) -> None:
    masks = write_masks(tmp_path / "masks", {"a": box(1), "b": box(1)})
    predictions = write_masks(tmp_path / "predictions", {"a": box(1), "b": box(1)}, LABELS)
    config, run = {"test_time": "none", "checkpoint": "last"}, {"name": "first", "split": split}
    folders.sign(predictions, "predict", config, cases=["a", "b"], run=run, learnt_cases=["b"])
    evaluate(predictions, masks, tmp_path / "out")
    assert "the model has learnt from 1 of these 2 cases with their masks (b)" in caplog.text
    facts = evaluation.read_signature(tmp_path / "out")
    assert facts["learnt_cases"] == ["b"]
    assert config.items() <= facts[evaluation.VIEWS].items()


def test_the_case_to_show_is_chosen_by_what_is_shown(judged, tmp_path):
    by_role = {picture.role: picture for picture in evaluation.read_pictures(tmp_path / "out")}
    assert by_role["best"].case == "d"
    assert by_role["worst"].case == "c"
    assert by_role["worst"].dice == 0.0


def test_scans_of_one_patient_are_recorded_where_a_folder_knows_them(tmp_path: Path) -> None:
    masks = {"p1_t0": box(1), "p1_t1": box(1), "x": box(1), "y": box(1)}
    raw = write_raw(tmp_path / "raw", masks)
    by_raw = write_masks(tmp_path / "predictions", masks, LABELS)
    records = [prepared_sets.record(name, "test", patient=patient) for name, patient in zip(masks, "abbc", strict=True)]
    (tmp_path / "prepared").mkdir()
    disk.write_json(tmp_path / "prepared" / "manifest.json", prepared_sets.manifest(records).as_dict())
    folders.sign(tmp_path / "prepared", "prepare", {}, source=raw)
    by_prepared = write_masks(tmp_path / "of prepared", masks, LABELS)
    folders.sign(by_prepared, "predict", {}, source=tmp_path / "prepared", cases=list(masks), run={"name": "first"})
    for place, (predictions, reference, groups) in enumerate(
        (
            (by_raw, raw, [["p1_t0", "p1_t1"]]),
            (by_raw, raw / "labelsTr", None),
            (by_prepared, raw / "labelsTr", [["p1_t1", "x"]]),
        )
    ):
        evaluate(predictions, reference, tmp_path / f"out{place}")
        assert evaluation.read_signature(tmp_path / f"out{place}").get("same_patient") == groups

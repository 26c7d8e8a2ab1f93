"""A metric from outside the package: computed for each case and region, summarised, and known to other processes."""

import math
from dataclasses import replace

import pytest

from equireg.evaluation.evaluate import evaluate
from equireg.metrics import METRICS, Comparison, Metric
from equireg.metrics.table import COMPUTED
from equireg.registry import TABLES, register
from judged_folders import box, write_masks


def sensitivity(compared: Comparison) -> float:
    return compared.common_voxels / compared.reference_voxels


SENSITIVITY = Metric("recall", "Sensitivity", "Sens.", sensitivity, better="higher", both_empty=1.0, one_empty=None)


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """Under another name than its own: the registered one counts."""
    monkeypatch.setattr("equireg.registry._registered", {kind: {} for kind in TABLES})
    register("metric", "sensitivity", SENSITIVITY)


def judge(tmp_path, **options):
    masks = {"a": box(1), "b": box(1), "c": box(0)}
    write_masks(tmp_path / "masks", masks)
    write_masks(tmp_path / "predictions", {"a": box(1, start=3), "b": box(0), "c": box(0)})
    return evaluate(tmp_path / "predictions", tmp_path / "masks", tmp_path / "out", **options)


def test_it_is_scored_and_summarised(tmp_path):
    result = judge(tmp_path)
    values = [result.scores[case, "label 1", "sensitivity"] for case in "abc"]
    # As its table says where one file is empty, and where both are.
    assert values == pytest.approx([0.75, math.nan, 1.0], nan_ok=True)
    assert result["regions"]["label 1"]["sensitivity"]["missing"] == 1
    assert result["mean"]["sensitivity"] == pytest.approx(0.875)


@pytest.mark.parametrize("odd", [math.inf, -math.inf, math.nan])
def test_a_value_that_is_no_finite_number_is_missing(tmp_path, caplog, odd):
    made = replace(SENSITIVITY, compute=lambda compared: 1.0 if compared.common_voxels else odd, one_empty=COMPUTED)
    register("metric", "clearness", made)
    result = judge(tmp_path)
    values = [result.scores[case, "label 1", "clearness"] for case in "abc"]
    assert values == pytest.approx([1.0, math.nan, 1.0], nan_ok=True)
    assert result["regions"]["label 1"]["clearness"]["missing"] == 1
    assert caplog.text.count(f"count as missing: clearness of b ({odd})") == 1


@pytest.mark.slow
def test_other_processes_know_it(tmp_path):
    assert judge(tmp_path, jobs=2)["mean"]["sensitivity"] == pytest.approx(0.875)


def test_best_and_label():
    assert METRICS["hd95_mm"].best([3.0, 1.0, 2.0]) == 1.0
    assert METRICS["dice"].best([0.3, 0.1]) == 0.3
    assert METRICS["volume_ml"].label == "Predicted volume, ml"
    assert not METRICS["volume_ml"].averaged
    with pytest.raises(ValueError, match="no better way"):
        METRICS["volume_ml"].best([1.0])

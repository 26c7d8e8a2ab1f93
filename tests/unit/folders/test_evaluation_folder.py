import json
import math
from pathlib import Path

import numpy as np
import pytest

from equireg.errors import EquiregError
from equireg.folders import evaluation, sign
from equireg.folders.digests import digests_of
from equireg.imaging.labels import LabelTable

SUMMARY = {"cases": 1, "regions": {"lesion": {"dice": {"mean": 0.5}}}, "mean": {"dice": 0.5}}


def test_scores_come_back_with_missing_ones(tmp_path):
    scores = {("=case", "lesion", "dice"): 1 / 3, ("=case", "lesion", "hd95_mm"): math.nan}
    evaluation.write_scores(tmp_path, scores)
    found = evaluation.read_scores(tmp_path)
    assert found["=case", "lesion", "dice"] == 1 / 3
    assert math.isnan(found["=case", "lesion", "hd95_mm"])
    assert "\n'=case," in (tmp_path / "metrics.csv").read_text()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("a,b,dice,1\na,b,dice,1\n", "line 3 gives dice of a, b a second time"),
        ("a,,dice,1\n", "line 2 lacks a case, region or metric"),
        ("a,b,dice,good\n", "column value is 'good'"),
    ],
)
def test_damaged_scores_are_named(tmp_path, rows, said):
    (tmp_path / "metrics.csv").write_text("case,region,metric,value\n" + rows)
    with pytest.raises(EquiregError, match=rf"metrics\.csv: .*{said}.*Run `equireg evaluate` again"):
        evaluation.read_scores(tmp_path)


def test_summary_and_labels_come_back(tmp_path):
    labels = LabelTable((0, 4), ("background", "lesion"))
    evaluation.write_summary(tmp_path, SUMMARY)
    evaluation.write_labels(tmp_path, labels)
    assert evaluation.read_summary(tmp_path) == SUMMARY
    assert evaluation.read_labels(tmp_path) == labels


@pytest.mark.parametrize(
    "content",
    [[], 3, {}, {**SUMMARY, "regions": 1}, {**SUMMARY, "mean": None}, {**SUMMARY, "regions": {"a": {"b": 1}}}],
)
def test_a_damaged_summary_is_named(tmp_path, content):
    (tmp_path / "summary.json").write_text(json.dumps(content))
    with pytest.raises(EquiregError, match=r"summary\.json: is damaged .*Run `equireg evaluate` again"):
        evaluation.read_summary(tmp_path)


@pytest.mark.parametrize("content", [[], {}, {"labels": 3, "regions": {}, "ignore": None}])
def test_damaged_labels_are_named(tmp_path, content):
    (tmp_path / "labels.json").write_text(json.dumps(content))
    with pytest.raises(EquiregError, match=r"labels\.json: "):
        evaluation.read_labels(tmp_path)


def picture(case, role, **changes):
    masks = np.zeros((4, 5), np.uint8)
    arrays = {"reference": masks, "prediction": masks + 1, "scan": np.ones((2, 4, 5)), "channels": ("a", "b")}
    return evaluation.Picture(case, role, spacing_mm=(1.0, 2.0), dice=0.5, **{**arrays, **changes})


def test_pictures_come_back_best_first(tmp_path):
    blank = picture("a", "worst", scan=np.zeros((1, 4, 5)), channels=())
    evaluation.write_pictures(tmp_path, [blank, picture("b", "best, median")])
    first, second = evaluation.read_pictures(tmp_path)
    assert (first.case, first.role, first.channels, first.spacing_mm) == ("b", "best, median", ("a", "b"), (1.0, 2.0))
    assert (first.prediction == 1).all()
    assert second.channels == ()
    assert not second.scan.any()


def test_a_damaged_picture_is_named(tmp_path):
    evaluation.write_pictures(tmp_path, [picture("a", "best", scan=np.ones((2, 4, 6)))])
    with pytest.raises(EquiregError, match=r"a\.npz: .*shapes"):
        evaluation.read_pictures(tmp_path)
    (tmp_path / "pictures/a.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(EquiregError, match=r"a\.npz: is not a picture of a case"):
        evaluation.read_pictures(tmp_path)


@pytest.mark.parametrize("name", ["metrics.csv", "summary.json", "labels.json"])
def test_what_was_changed_after_it_was_written_is_named(tmp_path: Path, name: str) -> None:
    table = LabelTable((0, 1), ("background", "tumour"))
    evaluation.write_scores(tmp_path, {("a", "tumour", "dice"): 0.125})
    evaluation.write_summary(tmp_path, {"cases": 1, "regions": {}, "mean": {"dice": 0.125}})
    evaluation.write_labels(tmp_path, table)
    sign(tmp_path, "evaluate", {}, digests=digests_of(tmp_path, evaluation.SEALED))
    read = {"metrics.csv": evaluation.read_scores, "summary.json": evaluation.read_summary}
    reader = read.get(name, evaluation.read_labels)
    reader(tmp_path)
    path = tmp_path / name
    path.write_text(path.read_text().replace("0.125", "0.925").replace("tumour", "timour"))
    with pytest.raises(EquiregError, match=rf"{name}: was changed after it was written.*Run `equireg evaluate` again"):
        reader(tmp_path)


def test_a_picture_that_claims_another_packing_is_named(tmp_path: Path) -> None:
    evaluation.write_pictures(tmp_path, [picture("a", "best")])
    path = tmp_path / "pictures" / "a.npz"
    content = path.read_bytes()
    for place in range(len(content) - 30):
        if content[place : place + 4] in (b"PK\x01\x02", b"PK\x03\x04"):  # the method of packing stands behind it
            start = place + (10 if content[place + 2] == 1 else 8)
            content = content[:start] + b"\x63\x00" + content[start + 2 :]
    path.write_bytes(content)
    with pytest.raises(EquiregError, match=r"a\.npz: is not a picture of a case \(That compression method"):
        evaluation.read_pictures(tmp_path)

"""Cases by doubt: their order, what it is worth, the pictures, and the way to the viewer."""

import base64
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from equireg.comparing.sources import read_sources
from equireg.imaging.labels import LabelTable
from equireg.reporting.build import report
from equireg.reporting.drawing.panels import doubt_panels
from equireg.viewing.case_volumes import DISAGREEMENT, PREDICTION, SCAN, CaseReader, CaseVolumes
from reporting_made_up import Training, write_evaluation, write_picture
from viewing_made_up import predictions, prepared

QUALITIES = {"a": 0.9, "b": 0.3, "c": 0.6, "d": 0.7, "e": 0.8, "f": 0.85}
DICE = {"a": 0.95, "b": 0.2, "c": 0.5, "d": 0.4, "e": 0.8, "f": 0.9}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Predictions of six cases with their quality, and an evaluation of them with one picture."""
    root = tmp_path_factory.mktemp("judged")
    q = predictions(root / "q", prepared(root / "p", tuple(QUALITIES)), qualities=QUALITIES)
    scores = {(case, "whole"): {"dice": value} for case, value in DICE.items()}
    evaluation = write_evaluation(root / "e", Training().facts(), scores, source=q)
    write_picture(evaluation / "pictures", "a", "best", 0.95)
    return root


@pytest.fixture(scope="module")
def written(judged: Path) -> Path:
    return report([judged / "e"], judged / "w").parent


def test_cases_stand_by_doubt_with_their_reasons(written: Path) -> None:
    html = (written / "index.html").read_text()
    part = html[html.index("Cases by doubt") :]
    assert re.findall(r'<span class="role">\d\.</span> <a href="[^"]+">(\w)</a>', part) == ["b", "c", "d", "e"]
    assert "views disagree on whole (0.40)" in part
    assert "Dice probably 0.60 (0.50 to 0.65 in four of five cases, from 12 held-out patients)" in part
    # Two neighbours changed places: 1 - 6 * (1 + 1) / (6 * 35).
    assert "rank correlation of quality with Dice +0.94 over 6 cases" in part
    table = pd.read_csv(written / "tables" / "quality.csv")
    assert table["case"].tolist() == ["b", "c", "d", "e", "f", "a"]
    assert table["dice"].tolist() == [DICE[case] for case in table["case"]]


def test_links_lead_to_cases_that_the_viewer_has(written: Path) -> None:
    html = (written / "index.html").read_text()
    links = set(re.findall(r'href="(views/[^"]+)"', html))
    # The four least trusted, and the best, which has a picture.
    assert links == {f"views/1.html#case={case}" for case in "abcde"}
    page = (written / "views" / "1.html").read_text()
    assert re.findall(r'<button type="button">(\w)<small>', page) == ["b", "c", "d", "e", "a"]


def test_without_views_nothing_leads_there(judged: Path, tmp_path: Path) -> None:
    out = report([judged / "q"], tmp_path / "w", views=False).parent
    assert "Cases by doubt" in (out / "index.html").read_text()
    assert "<a " not in (out / "index.html").read_text()
    assert not (out / "views").exists()


def test_predictions_that_are_given_twice_are_shown_once(judged: Path) -> None:
    found = read_sources([judged / "q", judged / "e", judged / "q"])
    assert [one.title for one in found.predictions] == ["supervised-42"]
    [alone] = read_sources([judged / "q"]).predictions
    assert (alone.title, alone.dice, np.isnan(alone.correlation)) == ("q", {}, True)


def test_damaged_predictions_cost_no_report(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    q = predictions(tmp_path / "q", tmp_path / "gone", qualities={"a": 0.9, "b": 0.3})
    (q / "b.nii.gz").write_bytes(b"no image")
    scores = {(case, "whole"): {"dice": 0.5} for case in "ab"}
    evaluation = write_evaluation(tmp_path / "e", Training().facts(), scores, source=q)
    html = report([evaluation], tmp_path / "w").read_text()
    assert "Cases by doubt" in html
    assert "<a " not in html
    assert "b is listed without its picture" in caplog.text
    assert "the report has no view of" in caplog.text
    (q / "quality.csv").write_text("rank\n1\n")
    assert read_sources([evaluation]).predictions == ()
    assert "without the quality of its predictions" in caplog.text


def test_names_stay_names(tmp_path: Path) -> None:
    evil = '"><b>&#case='
    q = predictions(tmp_path / "q", tmp_path / "gone", qualities={evil: 0.4})
    html = report([q], tmp_path / "w").read_text()
    assert "<b>" not in html
    assert 'href="views/1.html#case=%22%3E%3Cb%3E%26%23case%3D"' in html


def test_a_picture_shows_where_views_disagree(tmp_path: Path) -> None:
    q = predictions(tmp_path / "q", prepared(tmp_path / "p"), qualities={"case": 0.4})
    drawn = doubt_panels(CaseReader(q).read("case"))
    assert [panel.caption for panel in drawn] == ["scan", "prediction", "where views disagree (dark: all)"]
    assert len({panel.png for panel in drawn}) == 3
    assert len({panel.aspect for panel in drawn}) == 1
    plain = doubt_panels(CaseReader(predictions(tmp_path / "r", tmp_path / "gone")).read("case"))
    assert [panel.caption for panel in plain] == ["scan", "prediction"]
    assert np.isfinite(plain[0].aspect)


def test_noise_in_a_slice_without_tissue_stays_dark() -> None:
    scan = np.random.default_rng(0).uniform(1, 4, (3, 24, 24))
    scan[1, 6:18, 6:18] = 100  # the tissue
    prediction = np.zeros(scan.shape, np.uint8)
    prediction[2] = 1
    labels = LabelTable((0, 1), ("background", "tumour"))
    case = CaseVolumes("a", labels, np.eye(4), "zyx", {SCAN: scan, PREDICTION: prediction}, "flair", ())
    drawn = base64.b64decode(doubt_panels(case)[0].png.partition("base64,")[2])
    assert np.asarray(Image.open(io.BytesIO(drawn)).convert("L")).max() < 64


def test_the_slice_with_most_of_the_doubt_is_shown_and_not_that_with_the_widest() -> None:
    scan, doubt = np.zeros((3, 24, 24)), np.zeros((3, 24, 24), np.float32)
    scan[1] = np.random.default_rng(0).uniform(1, 100, (24, 24))  # the others are dark
    doubt[1, 8:14, 8:14], doubt[2, 4:14, 4:14] = 1.0, 0.1
    labels = LabelTable((0, 1), ("background", "tumour"))
    volumes = {SCAN: scan, PREDICTION: np.zeros(scan.shape, np.uint8), DISAGREEMENT: doubt}
    drawn = doubt_panels(CaseVolumes("a", labels, np.eye(4), "zyx", volumes, "flair", ()))
    png = base64.b64decode(drawn[0].png.partition("base64,")[2])
    assert np.asarray(Image.open(io.BytesIO(png)).convert("L")).mean() > 64

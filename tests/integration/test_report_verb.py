"""`equireg report` on a run and its evaluation."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

Command = Callable[..., Any]


def test_one_page_that_stands_alone(
    equireg: Command, phantom_run: Path, phantom_predictions: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    assert equireg("evaluate", phantom_predictions, phantom_prepared, "--out", tmp_path / "scores").code == 0
    outcome = equireg("report", phantom_run, tmp_path / "scores", "--out", tmp_path / "page")
    assert outcome.code == 0, outcome.err
    page = tmp_path / "page" / "index.html"
    assert outcome.out.strip() == str(page)
    html = page.read_text()
    assert "equireg" in html
    assert "whole" in html
    for place in {str(tmp_path), str(phantom_run.parent), os.getcwd()}:
        assert place not in html
    assert 'src="http' not in html
    assert list((tmp_path / "page" / "tables").glob("*.csv"))


def test_an_evaluation_alone_and_a_run_alone(
    equireg: Command, phantom_run: Path, phantom_predictions: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    assert equireg("evaluate", phantom_predictions, phantom_prepared, "--out", tmp_path / "scores").code == 0
    for index, source in enumerate((phantom_run, tmp_path / "scores")):
        outcome = equireg("report", source, "--out", tmp_path / f"page{index}")
        assert outcome.code == 0, outcome.err
        assert (tmp_path / f"page{index}" / "index.html").stat().st_size > 1000


def test_predictions_are_shown_by_doubt_and_a_folder_of_another_verb_is_refused(
    equireg: Command, phantom_predictions: Path, tmp_path: Path
) -> None:
    outcome = equireg("report", phantom_predictions, "--out", tmp_path / "page")
    assert outcome.code == 0, outcome.err
    html = (tmp_path / "page" / "index.html").read_text()
    assert "Cases by doubt" in html
    assert 'href="views/1.html#case=' in html
    assert (tmp_path / "page" / "views" / "1.html").is_file()
    again = equireg("report", tmp_path / "page", "--out", tmp_path / "other")
    assert again.code == 1
    assert str(tmp_path / "page") in again.error
    assert not (tmp_path / "other").exists()


def test_a_prediction_is_viewed(
    equireg: Command, phantom_predictions: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    case = next(path.name.removesuffix(".nii.gz") for path in phantom_predictions.glob("*.nii.gz"))
    outcome = equireg("view", phantom_predictions, "--case", case, "--out", tmp_path / "v.html", "--channel", "t1ce")
    assert outcome.code == 0, outcome.err
    assert outcome.out.strip() == str(tmp_path / "v.html")
    html = (tmp_path / "v.html").read_text()
    assert "Prediction and truth" in html
    assert str(phantom_prepared) not in html
    wrong = equireg("view", phantom_predictions, "--case", case, "--out", tmp_path / "w.html", "--channel", "ct")
    assert wrong.code == 2
    assert "--channel ct: expected one of" in wrong.error

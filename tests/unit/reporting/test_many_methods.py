"""Ten methods on one drawing: each is distinguishable, with whatever points it has."""

from dataclasses import replace
from pathlib import Path

import pytest

from equireg.comparing.arms import Arms
from equireg.comparing.cohorts import Cohort, cohorts
from equireg.comparing.sources import read_sources
from equireg.comparing.statistics import MEAN
from equireg.drawing.svg import marker, series_colour
from equireg.reporting.build import report
from equireg.reporting.sections.bridging import bridging_bars
from equireg.reporting.sections.labels import dice_by_labels, series_keys
from reporting_made_up import Training, write_evaluation

RIVALS = ("bcp", "cps", "fixmatch", "ict", "mean_teacher", "pseudo_label", "ua_mt", "unimatch")
POINTS = (1, 4, 8, 20)
ALL = 20


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Evaluations of ten methods at 4 labels, of four of them at four points; nnU-Net sees no unlabelled scan."""
    trainings = []
    for place, method in enumerate(("supervised", "equireg", *RIVALS, "nnunet")):
        for labelled in POINTS if method in ("supervised", "equireg", "bcp", "nnunet") else (4,):
            for seed in (1, 2):
                skill = 0.4 + 0.01 * place + 0.005 * labelled + 0.01 * seed
                name = f"{method}-sup{labelled}-seed{seed}"
                unlabelled = 0 if method == "nnunet" else ALL
                trainings.append(Training(name, method, labelled, unlabelled, seed, skill, masked=ALL))
    folders = []
    for training in trainings:
        scores = {
            (case, region): {"dice": training.skill + extra}
            for case in "abc"
            for region, extra in (("whole", 0.1), ("core", 0.0))
        }
        folders.append(write_evaluation(tmp_path / training.name, training.facts(), scores))
    return folders


def read(folders: list[Path]) -> Cohort:
    found = read_sources(folders).evaluations
    [cohort] = cohorts(found, Arms(found))
    return cohort


def test_every_method_has_a_look_of_its_own(folders: list[Path]) -> None:
    cohort = read(folders)
    keys = series_keys(cohort)
    assert {key.label for key in keys} == {"supervised", "equireg", "nnunet", *RIVALS}
    assert len({(series_colour(key.index), marker(key.index)) for key in keys}) == 11
    assert len({series_colour(key.index) for key in keys[:10]}) == 10
    assert len({(series_colour(index), marker(index)) for index in range(100)}) == 100


def test_a_method_keeps_its_look_where_others_are_missing(folders: list[Path]) -> None:
    cohort = read(folders)
    looks = {key.label: key.index for key in series_keys(cohort)}
    few = replace(cohort, evaluations=tuple(e for e in cohort.evaluations if e.facts.method in ("equireg", "unimatch")))
    assert {key.label: key.index for key in series_keys(few)} == {
        label: looks[label] for label in ("equireg", "unimatch")
    }


def test_methods_with_one_point_stand_on_the_drawing(folders: list[Path]) -> None:
    cohort = read(folders)
    for drawing in dice_by_labels(cohort):
        for key in series_keys(cohort):
            assert series_colour(key.index) in drawing.svg


def test_bridging_of_many_is_a_drawing_a_region(folders: list[Path]) -> None:
    cohort = read(folders)
    found = cohort.bridging
    assert {one.series for one in found} == {"equireg", *RIVALS}  # nnU-Net sees no unlabelled scan
    drawings = bridging_bars(found)
    assert [drawing.title for drawing in drawings] == ["whole", "core", MEAN]
    looks = {key.label: series_colour(key.index) for key in series_keys(cohort)}
    assert all(looks[one.series] in drawing.svg for drawing in drawings for one in found)


@pytest.mark.slow
def test_the_page_holds_them_all(folders: list[Path], tmp_path: Path) -> None:
    page = report(folders, tmp_path / "report").read_text()
    assert "equireg, 4 labelled <small>minus unimatch, 4 labelled</small>" in page
    assert "equireg, 8 labelled <small>minus nnunet, 8 labelled</small>" in page

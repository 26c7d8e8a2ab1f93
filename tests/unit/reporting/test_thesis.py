"""The thesis' figures: arms of seeds and repeats, bridging, every run, equivariance of masked and unmasked sets."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from equireg.comparing.arms import Arms
from equireg.comparing.bridging import Bridging, sentence
from equireg.comparing.cohorts import Cohort, cohorts
from equireg.comparing.compared import Evaluation
from equireg.comparing.series import Amount, label_fraction
from equireg.comparing.sources import read_sources
from equireg.comparing.statistics import MEAN
from equireg.errors import EquiregError
from equireg.folders.examples import read_examples
from equireg.reporting.build import report
from equireg.reporting.drawing.panels import raw_panels, step_panels
from equireg.reporting.sections.beside import typical_case
from equireg.reporting.sections.bridging import bridging_bars, bridging_rows
from equireg.reporting.sections.equivariance import equivariance_bars, named_sets
from equireg.reporting.sections.labels import dice_by_labels, runs_by_seed, seed_keys
from reporting_made_up import Training, equivariance_scores, write_evaluation, write_picture, write_prepared

ALL = 20
Found = tuple[tuple[Evaluation, ...], Arms, tuple[Cohort, ...]]


@pytest.fixture
def judged(tmp_path: Path) -> Callable[..., Found]:
    """Write an evaluation a training, whose Dice is its skill in `core` and 0.1 more in `whole`, and read them."""

    def read(*trainings: Training) -> Found:
        folders = []
        for place, training in enumerate(trainings):
            scores = {
                (case, region): {"dice": training.skill + extra}
                for case in ("a", "b")
                for region, extra in (("whole", 0.1), ("core", 0.0))
            }
            folders.append(write_evaluation(tmp_path / f"e{place}", training.facts(), scores))
        found = read_sources(folders).evaluations
        arms = Arms(found)
        return found, arms, cohorts(found, arms)

    return read


def run(method: str, labelled: int, skill: float, seed: int = 1, repeat: int = 0) -> Training:
    name = f"{method}-sup{labelled}-seed{seed}-repeat{repeat}"
    return Training(name, method, labelled, ALL, seed, skill, repeat, masked=ALL)


TABLE = (
    run("supervised", 2, 0.2, seed=1),
    run("supervised", 2, 0.4, seed=2),
    run("supervised", ALL, 0.7, repeat=0),
    run("supervised", ALL, 0.8, repeat=1),
    run("equireg", 2, 0.4, seed=1),
    run("equireg", 2, 0.5, seed=2),
)


def test_repeats_of_one_seed_are_one_arm(judged: Callable[..., Found]) -> None:
    _, _, [cohort] = judged(*TABLE)
    groups = {label: sorted(one.draw for one in members) for label, members in cohort.groups.items()}
    assert groups == {
        "supervised, 2 labelled": [(1, 0, ""), (2, 0, "")],
        "supervised, 20 labelled": [(1, 0, ""), (1, 1, "")],
        "equireg, 2 labelled": [(1, 0, ""), (2, 0, "")],
    }


def test_a_run_and_its_evaluation_are_one_arm_though_one_tells_more(judged: Callable[..., Found]) -> None:
    found, _, _ = judged(run("supervised", 2, 0.3))
    silent = replace(found[0], facts=replace(found[0].facts, masked_cases=None))
    arms = Arms([found[0], silent])
    assert len(arms.all) == 1
    assert label_fraction(found[0].facts) == 0.1
    assert label_fraction(silent.facts) is None


def test_bridging_is_the_ratio_of_the_means(judged: Callable[..., Found]) -> None:
    _, _, [cohort] = judged(*TABLE)
    by_region = {one.region: one for one in cohort.bridging}
    assert list(by_region) == ["whole", "core", MEAN]
    core = by_region["core"]
    assert core.amount == Amount(2, 0.1)
    assert core.gain == pytest.approx(0.45 - 0.3)
    assert core.gap == pytest.approx(0.75 - 0.3)
    assert core.coefficient == pytest.approx(0.15 / 0.45)
    # Each pair against the mean of the runs with all labels.
    assert core.pairs == pytest.approx((0.2 / 0.55, 0.1 / 0.35))
    assert by_region[MEAN].coefficient == pytest.approx(0.15 / 0.45)
    assert sentence(list(by_region.values())) == (
        "Bridging coefficient, mean of regions: equireg 0.33 at 10\N{NO-BREAK SPACE}% of the labels."
    )


def test_without_a_gap_there_is_no_coefficient(judged: Callable[..., Found]) -> None:
    worse = (*TABLE[:2], run("supervised", ALL, 0.25), *TABLE[4:])
    _, _, [cohort] = judged(*worse)
    found = cohort.bridging
    core = next(one for one in found if one.region == "core")
    assert core.gap == pytest.approx(-0.05)
    assert np.isnan(core.coefficient)
    assert core.pairs == pytest.approx((0.2 / 0.05,))
    assert core.pairs_without == 1
    assert {cell.text for cell in bridging_rows(found)[0].cells} == {"\N{EN DASH}"}
    drawn = bridging_bars(found)
    assert [drawing.title for drawing in drawn] == ["whole", "core", MEAN]
    assert [drawing.svg.count(">\N{EN DASH}<") for drawing in drawn] == [1, 1, 1]


@pytest.mark.parametrize("trainings", [TABLE[:2] + TABLE[4:], tuple(replace(one, masked=None) for one in TABLE)])
def test_bridging_needs_a_run_known_to_have_used_all_labels(
    judged: Callable[..., Found], trainings: tuple[Training, ...]
) -> None:
    _, _, [cohort] = judged(*trainings)
    assert cohort.bridging == []
    assert bridging_rows([]) == []
    assert sentence([]) is None


def test_coefficients_far_off_are_cut_and_said_to_be() -> None:
    one = Bridging("ours", Amount(1, 0.1), "core", 0.9, 0.1, 9.0, (9.0, 0.5), 0)
    [cut] = bridging_bars([one])
    assert "9.00" in cut.svg
    assert "cut off" in cut.note
    [whole] = bridging_bars([replace(one, coefficient=0.4, pairs=(0.5,))])
    assert whole.note == ""


def test_a_line_joins_arms_that_differ_in_their_labels(judged: Callable[..., Found]) -> None:
    _, _, [cohort] = judged(*TABLE)
    assert {one.label: list(one.amounts) for one in cohort.series} == {
        "supervised": [Amount(2, 0.1), Amount(ALL, 1.0)],
        "equireg": [Amount(2, 0.1)],
    }


def test_variants_of_a_method_are_lines_of_their_own(judged: Callable[..., Found]) -> None:
    variants = [
        Training("r", "equireg", labelled, ALL, 1, 0.5, masked=ALL, options={"teacher": teacher})
        for teacher in ("self", "ema")
        for labelled in (2, 4)
    ]
    _, _, [cohort] = judged(*variants)
    assert sorted((one.label, len(one.amounts)) for one in cohort.series) == [
        ("equireg (teacher=ema)", 2),
        ("equireg (teacher=self)", 2),
    ]


def test_dice_over_the_fraction_of_labels_in_percent(judged: Callable[..., Found]) -> None:
    _, _, [cohort] = judged(*TABLE)
    drawn = dice_by_labels(cohort)
    assert [drawing.title for drawing in drawn] == ["whole", "core", MEAN]
    for drawing in drawn:
        assert "10\N{NO-BREAK SPACE}%" in drawing.svg
        assert "100\N{NO-BREAK SPACE}%" in drawing.svg


def test_where_a_run_tells_no_fraction_the_axis_counts_cases(judged: Callable[..., Found]) -> None:
    _, _, [cohort] = judged(*(replace(one, masked=None) for one in TABLE))
    drawn = dice_by_labels(cohort)
    assert "labelled cases" in drawn[0].svg
    assert "%" not in drawn[0].svg.split("<g", 1)[1].replace('width="100%"', "")


def test_every_run_is_a_point_in_the_colour_of_its_seed(judged: Callable[..., Found]) -> None:
    _, _, [cohort] = judged(*TABLE)
    assert [key.label for key in seed_keys(cohort)] == ["seed 1", "seed 2"]
    drawn = runs_by_seed(cohort)
    assert [drawing.title for drawing in drawn] == ["whole", "core", MEAN]
    uses = {colour: drawn[0].svg.count(f"fill: {colour}; stroke: var(--card)") for colour in ("#3b7dd8", "#e07b39")}
    assert sum(uses.values()) >= len(TABLE)
    assert all(uses.values())


def test_single_runs_make_no_drawing_by_seed(judged: Callable[..., Found]) -> None:
    _, _, [cohort] = judged(run("supervised", 2, 0.3), run("equireg", 2, 0.4))
    assert runs_by_seed(cohort) == []
    assert dice_by_labels(cohort) == []


def test_quartiles_are_interpolated(tmp_path: Path) -> None:
    scores = {(f"c{place}", "whole"): {"dice": value} for place, value in enumerate((0.1, 0.2, 0.4, 0.8))}
    [found] = read_sources([write_evaluation(tmp_path / "e", None, scores)]).evaluations
    summary = found.summaries["dice", "whole"]
    assert (summary.q25, summary.q75) == pytest.approx((0.175, 0.5))


def test_a_case_without_a_mask_is_not_a_missing_dice(tmp_path: Path) -> None:
    scores = {
        ("a", "whole"): {"dice": 0.5, "equivariance_dice": 0.7},
        ("b", "whole"): {"equivariance_dice": 0.9},
    }
    [found] = read_sources([write_evaluation(tmp_path / "e", None, scores)]).evaluations
    summaries = found.summaries
    assert summaries["dice", "whole"].missing == 0
    assert summaries["dice", "whole"].mean == 0.5
    assert summaries["equivariance_dice", "whole"].mean == pytest.approx(0.8)


@pytest.fixture(scope="module")
def thesis(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return evaluations of a set with masks and of one without, by the same runs, and a prepared folder."""
    root = tmp_path_factory.mktemp("thesis")
    sources = [write_prepared(root / "prepared")]
    for training in TABLE:
        facts = training.facts()
        masked = {
            (case, region): {"dice": training.skill + extra, "equivariance_dice": 0.9}
            for case, extra in (("a", 0.0), ("b", 0.04), ("c", 0.1))
            for region in ("whole", "core", "enhancing")
        }
        folder = write_evaluation(root / "val" / training.name, {**facts, "split": "val"}, masked)
        write_picture(folder / "pictures", "b", "median", 0.5)
        held_out = write_evaluation(
            root / "test" / training.name, {**facts, "split": "test"}, equivariance_scores(training)
        )
        sources += [folder, held_out]
    return sources


def test_a_set_without_masks_is_a_cohort_of_its_own(thesis: list[Path]) -> None:
    found = read_sources(thesis).evaluations
    arms = Arms(found)
    masked, held_out = cohorts(found, arms)
    assert (masked.title, masked.judged) == ("phantom, val", ("a", "b", "c"))
    assert (held_out.title, held_out.judged) == ("phantom, test", ())
    assert found[0].title == f"{TABLE[0].name}, val"
    assert dice_by_labels(held_out) == []
    assert held_out.bridging == []
    drawn = equivariance_bars([masked, held_out])
    assert [drawing.title for drawing in drawn] == ["whole", "core", "enhancing", MEAN]
    assert "<pattern" in drawn[0].svg  # the hatching of the second set
    assert named_sets([masked, held_out]) == (
        "plain: phantom, val, 3 cases with masks; hatched: phantom, test, 5 cases without masks"
    )


def test_no_equivariance_no_bars(judged: Callable[..., Found]) -> None:
    _, _, gathered = judged(*TABLE)
    assert equivariance_bars(gathered) == []


@pytest.mark.slow
def test_the_page_has_all_of_the_thesis_figures(thesis: list[Path], tmp_path: Path) -> None:
    page = report(thesis, tmp_path / "report")
    html = page.read_text(encoding="utf-8")
    sections = (
        "Dice against labels",
        "Every run",
        "Bridging coefficients",
        "Side by side",
        "Equivariance",
        "Preparation",
    )
    assert [section for section in sections if f"<h2>{section}</h2>" not in html] == []
    with (page.parent / "tables" / "bridging.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["region"] for row in rows} == {"whole", "core", "enhancing", MEAN}
    assert float(rows[0]["coefficient"]) == pytest.approx(0.15 / 0.45)
    assert rows[0]["label_fraction"] == "0.1"
    with (page.parent / "tables" / "results.csv").open(newline="") as file:
        results = list(csv.DictReader(file))
    assert {row["metric"] for row in results if row["split"] == "test"} == {"equivariance_dice"}
    assert all(row["q25"] and row["q75"] for row in results)


def test_only_sets_without_masks_make_a_page_too(thesis: list[Path], tmp_path: Path) -> None:
    held_out = [path for path in thesis if path.parent.name == "test"]
    html = report(held_out, tmp_path / "report").read_text(encoding="utf-8")
    assert "mean equivariance Dice" in html
    assert "None of these cases has a mask" in html
    assert "Case by case" not in html


def test_the_typical_case_is_nearest_the_median_of_those_pictured(thesis: list[Path]) -> None:
    found = read_sources(thesis).evaluations
    typical = typical_case(cohorts(found, Arms(found))[0])
    assert typical is not None
    assert typical.case == "b"
    assert typical.dice == pytest.approx(typical.median)
    assert list(typical.pictures) == ["supervised, 2 labelled", "supervised, 20 labelled", "equireg, 2 labelled"]


def test_nothing_is_typical_without_two_pictures(judged: Callable[..., Found]) -> None:
    _, _, [cohort] = judged(*TABLE)
    assert typical_case(cohort) is None


def test_an_example_shows_each_contrast_raw_and_after_each_step(tmp_path: Path) -> None:
    [example] = read_examples(write_prepared(tmp_path / "p"))
    assert [panel.caption for panel in raw_panels(example)] == ["T1", "FLAIR"]
    table = step_panels(example)
    assert [[panel.caption for panel in row] for row in table] == [
        ["T1, raw", "T1, cropped"],
        ["FLAIR, raw", "FLAIR, cropped"],
    ]
    assert example.steps[1].scan.shape == (2, 44, 36)


def test_a_prepared_folder_without_an_example_adds_nothing(tmp_path: Path) -> None:
    folder = write_prepared(tmp_path / "p")
    next((folder / "examples").iterdir()).unlink()
    assert read_sources([folder]).examples == ()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"scan_1": None}, "is not the example of a case"),
        ({"label_1": np.zeros((3, 3), np.uint8)}, r"the step cropped has a scan of shape \(2, 44, 36\)"),
        ({"steps": np.array([], dtype=str)}, "has no step"),
    ],
)
def test_a_broken_example_is_named(tmp_path: Path, change: dict[str, np.ndarray | None], found: str) -> None:
    path = next((write_prepared(tmp_path / "p") / "examples").iterdir())
    with np.load(path) as content:
        arrays = {**content, **change}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(EquiregError, match=found):
        read_sources([tmp_path / "p"])


@pytest.mark.parametrize("name", ["{m}-teacher{t}-seed{s}-repeat{r}", "seed{s}-{m}-{t}-repeat{r}", "{m}-{t}-r{r}-s{s}"])
def test_variants_of_a_method_keep_their_seeds_and_repeats_together(judged: Callable[..., Found], name: str) -> None:
    trainings = [
        Training(name.format(m="equireg", t=t, s=s, r=r), "equireg", 2, ALL, s, 0.4, r, masked=ALL)
        for t in ("self", "ema")
        for s in (42, 43)
        for r in ((0, 1) if "repeat" in name else (0,))
    ]
    _, arms, _ = judged(*trainings)
    assert len(arms.all) == 2


def test_a_gap_of_next_to_nothing_is_none(judged: Callable[..., Found]) -> None:
    found, _, (cohort,) = judged(run("supervised", 2, 0.7), run("supervised", ALL, 0.703), run("equireg", 2, 0.75))
    ones = cohort.bridging
    assert len(found) == 3
    assert ones
    assert all(not np.isfinite(one.coefficient) and not one.pairs for one in ones)


def test_the_portals_scores_stand_for_the_predictions_they_are_of(tmp_path: Path) -> None:
    """The equivariance-only evaluation of the same predictions would show the same case set twice."""
    facts = {"name": "e", "method": "equireg", "seed": 1, "dataset": "d", "labelled_cases": 2, "split": "test"}
    only = {(case, "whole"): {"equivariance_dice": 0.8} for case in ("a", "b")}
    both = {key: {**values, "dice": 0.9} for key, values in only.items()}
    folders = [write_evaluation(tmp_path / name, facts, scores) for name, scores in (("o", only), ("p", both))]
    found = read_sources(folders).evaluations
    sets = cohorts(found, Arms(found))
    assert [one.has("dice") for one in sets] == [True]
    assert len(sets[0].evaluations) == 1

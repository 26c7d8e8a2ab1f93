import csv
import json
import re
import statistics
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from equireg.config import ReportConfig
from equireg.errors import EquiregError
from equireg.reporting.build import report
from reporting_made_up import SECRET, Training, plausible_scores, write_evaluation, write_run


class Page(HTMLParser):
    """Collects the cells of every table, the text, and every address that the page names."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.bold: list[str] = []
        self._cell: list[str] | None = None
        self._best = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        named = dict(attrs)
        self.addresses += [value or "" for key, value in attrs if key in ("src", "href", "xlink:href", "srcset")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self._cell, self._best = [], named.get("class") == "best"

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self._cell is not None:
            self.rows[-1].append(" ".join("".join(self._cell).split()))
            if self._best:
                self.bold.append(self.rows[-1][-1])
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)

    def rows_of(self, title: str) -> list[list[str]]:
        return [row for row in self.rows if row and row[0].split()[-1:] == [title]]


@pytest.fixture(scope="module")
def written(compared: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(compared, tmp_path_factory.mktemp("out") / "report").parent


@pytest.fixture(scope="module")
def html(written: Path) -> str:
    return (written / "index.html").read_text(encoding="utf-8")


def table(page: Path, name: str, *keys: str) -> dict[tuple[str, ...], dict[str, str]]:
    """Read one of the tables beside a page, by the values of some of its columns."""
    with (page.parent / "tables" / name).open(encoding="utf-8", newline="") as file:
        return {tuple(row[key] for key in keys): row for row in csv.DictReader(file)}


def small(tmp_path: Path, name: str, dice: dict[str, float], **facts: object) -> Path:
    scores = {(case, "whole"): {"dice": value} for case, value in dice.items()}
    return write_evaluation(tmp_path / name / "evaluation", {"name": name, "dataset": "phantom", **facts}, scores)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_the_table_holds_the_numbers_computed_by_hand(html: str) -> None:
    scores = plausible_scores(Training("equireg-42", "equireg", skill=0.71))
    expected = []
    for region in ("whole", "core", "enhancing"):
        dice = [metrics["dice"] or 0.0 for (_, name), metrics in scores.items() if name == region]
        low, _, high = statistics.quantiles(dice, n=4, method="inclusive")
        expected.append(f"{statistics.fmean(dice):.3f} ± {statistics.stdev(dice):.3f}{low:.3f} to {high:.3f}")
    [row] = [row for row in Page(html).rows_of("equireg-42") if len(row) == 9 and row[1] == "equireg"]
    assert row[2:5] == ["3", "21", "6"]
    assert row[5:8] == expected


def test_mean_of_regions_averages_the_means_of_the_regions(written: Path) -> None:
    results = table(written / "index.html", "results.csv", "evaluation", "metric", "region")
    for metric in ("dice", "hd95_mm", "nsd"):
        regions = [float(results["supervised-42", metric, name]["mean"]) for name in ("whole", "core", "enhancing")]
        mean = float(results["supervised-42", metric, "mean of regions"]["mean"])
        assert mean == pytest.approx(statistics.fmean(regions))


def test_a_missing_hd95_is_counted_and_left_out_of_the_mean(written: Path, html: str) -> None:
    row = table(written / "index.html", "results.csv", "evaluation", "metric", "region")[
        "supervised-42", "hd95_mm", "enhancing"
    ]
    scores = plausible_scores(Training())
    known = [scores[f"phantom_{case:03d}", "enhancing"]["hd95_mm"] or 0.0 for case in (0, 1, 3, 4, 5)]
    assert row["missing"] == "1"
    assert float(row["mean"]) == pytest.approx(statistics.fmean(known))
    assert any("1 missing" in cell for row in Page(html).rows_of("supervised-42") for cell in row)


def test_only_the_best_of_a_column_is_bold(html: str) -> None:
    page = Page(html)
    metric_rows = [row for row in page.rows_of("supervised-42") if row[1] != "train" and "±" in row[-1]]
    assert metric_rows
    assert not {cell for row in metric_rows for cell in row[1:]} & set(page.bold)
    assert next(row[-1] for row in page.rows_of("equireg-42") if "±" in row[-1]) in page.bold


def test_a_single_evaluation_has_no_best(tmp_path: Path) -> None:
    page = report([small(tmp_path, "alone", {"a": 0.5, "b": 0.7})], tmp_path / "report", ReportConfig())
    assert Page(text_of(page)).bold == []
    assert "Bold: best" not in text_of(page)


def test_the_takeaway_compares_with_supervised(html: str) -> None:
    takeaway = re.search(r'class="takeaway">([^<]+)<', html)
    assert takeaway
    assert re.match(r"equireg: mean Dice 0\.\d\d over 6 cases; supervised: 0\.\d\d \(difference \+0\.", takeaway[1])


def test_the_page_fetches_nothing(html: str) -> None:
    page = Page(html)
    assert page.addresses
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in page.addresses)
    assert not page.tags & {"script", "link", "iframe", "object", "a"}
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)


def test_neither_page_nor_tables_hold_a_path(written: Path, compared: list[Path]) -> None:
    private = [SECRET, "anna.smith", "split.json", "secret_hospital", *(str(folder) for folder in compared)]
    for path in written.rglob("*"):
        if path.is_file():
            content = path.read_text(encoding="utf-8")
            assert [word for word in private if word in content] == [], path


def test_the_configuration_is_shown_without_its_paths(html: str) -> None:
    assert "max_steps: 1000" in html
    assert "teacher: ema" in html
    assert "split: (a path, left out)" in html
    assert "13 min" in html  # 754 s


def test_names_are_escaped(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    training = Training("x<script>y", evil.replace("/", "&"))
    run = write_run(tmp_path / training.name, training)
    evaluation = small(tmp_path, "e", {evil: 0.5, "<b>": 0.4}, method="<img src=x onerror=y>")
    html = text_of(report([run, evaluation], tmp_path / "report"))
    assert not Page(html).tags & {"script", "b"}
    assert "x&lt;script&gt;y" in html
    assert "onerror" not in re.sub(r"&lt;img src=x onerror=y&gt;", "", html)


def test_seeds_are_averaged(tmp_path: Path) -> None:
    sources = [
        small(tmp_path, f"ours-{seed}", {"a": dice, "b": dice + 0.2}, method="ours", labelled_cases=3, seed=seed)
        for seed, dice in ((1, 0.5), (2, 0.6), (3, 0.7))
    ]
    page = report(sources, tmp_path / "report")
    row = table(page, "seeds.csv", "metric", "region")["dice", "whole"]
    assert float(row["mean"]) == pytest.approx(0.7)
    assert float(row["std"]) == pytest.approx(0.1)
    [cells] = [row for row in Page(text_of(page)).rows_of("ours") if "±" in row[-1]]
    assert cells[4:] == ["3", "0.700 ± 0.100"]
    assert "over 2 cases and 3 runs" in text_of(page)


def test_differences_are_paired_by_case(tmp_path: Path) -> None:
    base = {"a": 0.2, "b": 0.5, "c": 0.9}
    sources = [
        small(tmp_path, "base", base, method="supervised", labelled_cases=3),
        small(
            tmp_path,
            "ours",
            {case: dice + 0.05 for case, dice in base.items()},
            method="ours",
            labelled_cases=3,
        ),
    ]
    page = report(sources, tmp_path / "report")
    row = table(page, "differences.csv", "region")[("whole",)]
    assert [float(row[key]) for key in ("difference", "low", "high")] == pytest.approx([0.05] * 3)


def test_other_cases_are_another_table(tmp_path: Path) -> None:
    sources = [
        small(tmp_path, "base", {"a": 0.2, "b": 0.5}, method="supervised", labelled_cases=3),
        small(tmp_path, "ours", {"a": 0.2, "c": 0.5}, method="ours", labelled_cases=3),
    ]
    page = report(sources, tmp_path / "report")
    assert not (page.parent / "tables" / "differences.csv").exists()
    assert text_of(page).count('class="takeaway"') == 2
    assert Page(text_of(page)).bold == []


def test_a_run_alone_shows_its_curves(tmp_path: Path) -> None:
    page = report([write_run(tmp_path / "run", Training("run"), finished=False)], tmp_path / "report")
    assert "Learning curves" in text_of(page)
    assert "No evaluation was given; best validation Dice while training" in text_of(page)
    assert "not finished" in text_of(page)
    assert "<h2>Results" not in text_of(page)


def test_an_evaluation_alone_shows_its_table(tmp_path: Path) -> None:
    folder = write_evaluation(tmp_path / "mine", None, {("a", "whole"): {"dice": 0.5}})
    html = text_of(report([folder], tmp_path / "report"))
    assert "mine: mean Dice 0.50 over 1 case." in html
    assert "Learning curves" not in html


def test_the_output_is_signed_and_made_once(written: Path, compared: list[Path]) -> None:
    signature = json.loads((written / "made_by.json").read_text())
    assert signature["verb"] == "report"
    assert signature["source"] is None
    with pytest.raises(EquiregError, match=f"{written}.*exists already"):
        report(compared, written)


def test_the_same_sources_give_the_same_page(compared: list[Path], tmp_path: Path) -> None:
    one, other = (text_of(report(compared[:1], tmp_path / name)) for name in ("one", "other"))
    assert one == other


def test_a_failed_report_leaves_nothing(compared: list[Path], tmp_path: Path) -> None:
    with pytest.raises(EquiregError, match="absent"):
        report([*compared, tmp_path / "absent"], tmp_path / "out" / "report")
    assert not (tmp_path / "out").exists()


def test_no_torch_is_imported() -> None:
    code = "import sys, equireg.reporting; print({'torch', 'monai', 'lightning'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

"""Names from data that would run as script, leave their place in the page, or compute in a spreadsheet."""

import csv
import getpass
from html.parser import HTMLParser
from pathlib import Path

import pytest

from equireg.comparing.naming import distinct_titles, printable
from equireg.drawing.templating import content_policy
from equireg.imaging.labels import LabelTable
from equireg.reporting.build import report
from reporting_made_up import Training, write_evaluation, write_picture, write_run

NAMES = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "=cmd|' &C!A0'",
    "+1+1",
    "@SUM(A1)",
    "-2+3",
    "</svg></style></title><b>",
    "{{ 7 * 7 }}",
    "$\\frac{1}{2}$",
    "line\nbreak\ttab\x1b[31m\x00",
    '&lt;b&gt; ]]> <!-- url(#a) id="x"',
)


class Elements(HTMLParser):
    """Collects the elements of a page and what their attributes are called."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page whose every name is hostile: of cases, regions, channels, methods, data sets and runs."""
    root = tmp_path_factory.mktemp("hostile")
    labels = LabelTable((0, 1, 2), ("background", NAMES[0], NAMES[3]), {NAMES[0]: (1, 2), NAMES[3]: (2,)})
    sources = []
    for place, seed in ((0, 1), (0, 2), (1, 1), (1, 2), (2, 1)):
        training = Training(f"{NAMES[place]}{seed}", ("supervised", "equireg", NAMES[7])[place], seed=seed, masked=3)
        sources.append(write_run(root / f"run{place}{seed}", training))
        facts = {**training.facts(), "dataset": NAMES[1], "split": NAMES[8]}
        scores = {
            (name, region): {"dice": 0.5 + 0.1 * place, "volume_ml": 1.0, "reference_volume_ml": 2.0}
            for name in (name for name in NAMES if "\n" not in name)
            for region in labels.regions
        }
        folder = write_evaluation(root / f"e{place}{seed}", facts, {}, labels)
        with (folder / "metrics.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("case", "region", "metric", "value"))
            for (case, region), metrics in scores.items():
                writer.writerows((case, region, metric, value) for metric, value in metrics.items())
        write_picture(folder / "pictures", NAMES[3], NAMES[5], 0.5)
        sources.append(folder)
    return report(sources, root / "report")


def test_a_page_of_hostile_names_holds_nothing_but_its_own_elements(hostile: Path) -> None:
    html = hostile.read_text(encoding="utf-8")
    found = Elements(html)
    assert not found.tags & {"script", "b", "iframe", "object", "link", "base", "form"}
    assert not {name for name in found.attributes if name.startswith("on")}
    assert "&lt;script&gt;alert(1)" in html
    assert "{{ 7 * 7 }}" in html
    assert "49" not in html.split("<main>")[0].split("<body>")[1]
    assert html.count("</html>") == html.count("</title>") == html.count("</style>") - html.count("<style type") == 1


def test_no_cell_of_a_table_is_a_formula(hostile: Path) -> None:
    tables = sorted((hostile.parent / "tables").glob("*.csv"))
    assert [table.name for table in tables][:2] == ["cases.csv", "differences.csv"]
    for table in tables:
        with table.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                for cell in row.values():
                    assert cell[:1] not in "=+-@\t\r" or not cell or float(cell) == float(cell), (table.name, cell)


def test_every_page_says_what_it_may_do(hostile: Path) -> None:
    head = hostile.read_text(encoding="utf-8").split("</head>")[0]
    assert '<meta http-equiv="Content-Security-Policy" content="default-src \'none\';' in head
    assert "script-src" not in head
    # Before the style: what stands ahead of the policy is not under it.
    assert head.index("Content-Security-Policy") < head.index("<style>")


def test_a_script_is_allowed_by_its_digest_alone() -> None:
    # printf 'alert(1)' | openssl dgst -sha256 -binary | base64
    assert "script-src 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='" in content_policy("alert(1)")
    assert "unsafe-inline'; script" in content_policy("alert(1)")


def test_names_stand_on_one_line_and_hide_nothing() -> None:
    assert printable("a\nb\tc\x1b[31m\u202e\x00d") == "a b c[31md"


def test_a_users_name_tells_no_runs_apart() -> None:
    home = Path("/home") / getpass.getuser()
    titles = distinct_titles([("run", home / "run"), ("run", Path("/data/two/run")), ("run", Path.home() / "run")])
    assert titles == ["run", "two/run", "run #2"]

"""List every figure in the tables of README and docs with its command and result file; fail where they differ.

Figures in the running text are looked at too: ``running_text.py`` says how.

    python benchmarks/figures/check.py [--list]

A table of a page below is compared with its result file, or it is named among those that were taken by hand, with the
command beside it on the page. A table that is neither is an error, so a new one must say where its figures come from.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import label_efficiency
import running_text
import small_test
import sources
from pages import Table, agrees, tables_of

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


@dataclass(frozen=True)
class Source:
    """Where a table's figures come from."""

    page: str
    section: str
    """regular expression of the heading above the table"""
    command: str
    file: str
    expected: Callable[[], Mapping[str, sources.Row]] | None = None
    """rows that the table must have; None where ``check`` looks at it"""
    check: Callable[[Table], Iterator[str]] | None = None
    header: str = ""
    """first cell of the table's header, where a section has several tables"""

    def fits(self, table: Table) -> bool:
        """Whether it is this table's source."""
        there = table.page == self.page and re.fullmatch(self.section, table.section)
        return bool(there and self.header in ("", table.header[0]))


_SPEED, _LABELS = "benchmarks/speed", "benchmarks/label_efficiency/results.csv"
_TABLES = f"python benchmarks/label_efficiency/tables.py {_LABELS}"
_CASES = "benchmarks/strength/test_cases.py"
BENCHMARKS, PERFORMANCE = "docs/benchmarks.md", "docs/performance.md"
SOURCES = (
    Source(
        "README.md",
        ".*",
        _CASES,
        small_test.LONGER,
        partial(small_test.dice, small_test.LONGER),
        header="test cases, 4,000 steps",
    ),
    *(
        Source(BENCHMARKS, ".*", _CASES, small_test.RESULTS, rows, header=header)
        for rows, header in ((small_test.dice, "test cases, 800 steps"), (small_test.leads, "EquiReg's lead over"))
    ),
    *(
        Source(BENCHMARKS, ".*", _CASES, small_test.LONGER, rows, header=header)
        for rows, header in (
            (partial(small_test.dice, small_test.LONGER), "test cases, 4,000 steps"),
            (partial(small_test.leads, small_test.LONGER), "EquiReg's lead after 4,000 steps over"),
        )
    ),
    *(
        Source(BENCHMARKS, ".*", _CASES, small_test.ALL, rows, header=header)
        for rows, header in (
            (partial(small_test.dice, small_test.ALL), "test cases, all labels"),
            (partial(small_test.leads, small_test.ALL), "EquiReg, all labels, less"),
        )
    ),
    Source("docs/few_labels.md", "How many labels", _TABLES, _LABELS, check=label_efficiency.chosen),
    Source(
        BENCHMARKS,
        ".*",
        "benchmarks/strength/README.md",
        "benchmarks/strength/results/short-today.csv",
        sources.first_try,
        header="labelled, steps",
    ),
    Source(
        BENCHMARKS,
        ".*",
        "benchmarks/strength/choose.py",
        "benchmarks/strength/results/rivals-*.csv",
        sources.against_rivals,
        header="labelled, 800 steps",
    ),
    Source(
        BENCHMARKS,
        ".*",
        "benchmarks/strength/choose.py",
        "benchmarks/strength/results/rivals-*.csv",
        sources.less_rivals,
        header="EquiReg less",
    ),
    Source(
        BENCHMARKS,
        ".*",
        "benchmarks/strength/README.md",
        "benchmarks/strength/results/equal-time.csv",
        sources.equal_time,
        header="labelled, the time of 800 steps",
    ),
    Source(
        BENCHMARKS,
        ".*",
        "benchmarks/strength/README.md",
        "benchmarks/strength/results/equal-time.csv",
        sources.equal_long_time,
        header="labelled, the time of 4,000 steps",
    ),
    Source("docs/ten_methods.md", "Twice the steps", _TABLES, _LABELS, check=label_efficiency.longer, header="method"),
    Source("docs/ten_methods.md", ".*", _TABLES, _LABELS, check=label_efficiency.as_printed, header="method"),
    Source(PERFORMANCE, "A training step", f"{_SPEED}/step.py", f"{_SPEED}/step-*.json", sources.step, header="part"),
    Source(
        PERFORMANCE,
        "Transforms.*",
        f"{_SPEED}/transforms.py",
        f"{_SPEED}/transforms.json",
        sources.whole_views,
        header="weak and strong image and warped prediction, 224 x 224 x 4",
    ),
    Source(PERFORMANCE, "Transforms.*", f"{_SPEED}/transforms.py", f"{_SPEED}/transforms.json", sources.spatial_work),
    Source(PERFORMANCE, "prepare", f"{_SPEED}/prepare.py", f"{_SPEED}/prepare.json", sources.preparing),
    Source(PERFORMANCE, "predict", f"{_SPEED}/predict.py", f"{_SPEED}/predict*.json", sources.predicting),
    Source(PERFORMANCE, "Beside other programs", f"{_SPEED}/waiting.py", f"{_SPEED}/waiting.json", sources.waiting),
    Source(PERFORMANCE, "From the command.*", f"{_SPEED}/start.py", f"{_SPEED}/start*.json", sources.start),
    Source(PERFORMANCE, "Memory", "benchmarks/memory/verbs.py", "benchmarks/memory/verbs.json", sources.memory),
    Source(
        "docs/out_of_memory.md",
        "In prepare, predict and evaluate",
        "benchmarks/memory/verbs.py",
        "benchmarks/memory/verbs.json",
        sources.memory_in_short,
    ),
    Source(
        "docs/plan.md",
        "Does it win.*",
        "benchmarks/plan/choose.py",
        "benchmarks/plan/results-600.csv",
        sources.plans_and_hands,
        header="labelled",
    ),
    Source(
        "docs/plan.md",
        "Does it win.*",
        "benchmarks/plan/choose.py",
        "benchmarks/plan/results.csv",
        sources.planning,
    ),
    *(
        Source(
            "docs/quality.md",
            "How well it ranks",
            "benchmarks/quality/measure.py",
            f"benchmarks/quality/{results}.csv",
            partial(sources.quality, f"benchmarks/quality/{results}.csv"),
            header=f"Spearman, way, {steps} steps",
        )
        for results, steps in (("results-test", "400"), ("results-long", "4,000"))
    ),
    Source(
        "docs/reliability.md",
        "A long run does not grow",
        "benchmarks/memory/growth.py",
        "benchmarks/memory/growth.json",
        sources.growth,
    ),
    Source(
        "docs/results.md",
        "Geometry.*",
        "benchmarks/geometry/run.py",
        "benchmarks/geometry/hippocampus.json",
        sources.geometry,
    ),
)
BY_HAND = {
    (
        "docs/ten_methods.md",
        ".*",
    ): "of `equireg report` on the sweeps' runs, which are not kept here; the page says how",
    ("docs/performance.md", "A training step"): "timed while the changes were made; the page says so",
    ("docs/reliability.md", "Starved and in a race"): "limits that tests/robustness/test_chaos.py sets",
    ("docs/reliability.md", "Reliability"): "written by `make attack` itself",
    ("docs/results.md", ".*"): "of runs that are not kept here; the page has the commands",
    ("docs/budget.md", "Measured"): "of two runs whose commands are on the page",
    ("docs/budget.md", "Options"): "options, not figures",
    ("docs/out_of_memory.md", "In train"): "options, not figures",
    ("docs/quality.md", "How far a prediction is to be trusted"): "files, not figures",
    ("docs/plan.md", "How it decides"): "thresholds in planning/rules.py, not figures",
    ("README.md", ".*"): "no figures of a measurement",
}
"""Page and section to why no result file stands behind its other tables."""


def problems(table: Table) -> tuple[str, list[str]]:
    """Return where a table's figures come from, and what is wrong with them."""
    for source in SOURCES:
        if source.fits(table):
            found = list(source.check(table)) if source.check else list(_compared(table, source.expected))
            return f"{source.command} -> {source.file}", found
    for (page, section), why in BY_HAND.items():
        if page == table.page and re.fullmatch(section, table.section):
            return f"by hand: {why}", []
    return "nowhere", ["names no source in benchmarks/figures/check.py"]


def _compared(table: Table, expected: Callable[[], Mapping[str, sources.Row]] | None) -> Iterator[str]:
    wanted = dict(expected()) if expected else {}
    for row in table.rows:
        if row[0] not in wanted:
            yield f"{row[0]}: no result file has such a row"
            continue
        values = [[value] if isinstance(value, int | float) else list(value) for value in wanted.pop(row[0])]
        for cell, numbers in zip(row[1:], values, strict=False):
            shown = _NUMBER.findall(cell)
            if len(shown) != len(numbers) or not all(map(agrees, shown, numbers)):
                yield f"{row[0]}: {cell!r} is shown, {numbers} was measured"
    yield from (f"{name}: is missing" for name in wanted)


def pages() -> list[str]:
    """Return the pages whose tables hold figures of measurements."""
    return sorted({source.page for source in SOURCES} | {page for page, _ in BY_HAND})


def main() -> int:
    """Print a line a table, and a line a figure in running text that differs; return 1 where one differs."""
    failed = 0
    for table in (table for page in pages() for table in tables_of(sources.ROOT, page) if table.has_figures):
        origin, found = problems(table)
        failed += bool(found)
        if found or "--list" in sys.argv:
            print(f"{table.page}, {table.section}, {table.header[0] or 'table'}: {origin}")
        for problem in found:
            print(f"  differs: {problem}")
    in_text = list(running_text.problems())
    for problem in in_text:
        print(problem)
    bad = f"{failed} tables and {len(in_text)} figures in running text differ"
    print(bad if failed or in_text else "every figure is that of its source")
    return int(bool(failed or in_text))


if __name__ == "__main__":
    sys.exit(main())

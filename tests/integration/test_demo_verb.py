"""`equireg demo`: the whole line from nothing to a page."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from equireg.pipeline.sweep import do_sweep
from planted_names import found_in

Command = Callable[..., Any]


@pytest.fixture
def small_phantoms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the demo write phantoms of a few voxels."""
    from equireg.phantom import PhantomConfig

    def small(**options: Any) -> PhantomConfig:
        return PhantomConfig(**{**options, "shape": (32, 32, 16), "spacing_mm": (6.0, 6.0, 8.0)})

    monkeypatch.setattr("equireg.pipeline.demo.PhantomConfig", small)


@pytest.fixture(params=["one process", pytest.param("two processes", marks=pytest.mark.slow)])
def processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the two trainings follow each other in this process, or go on in two at once as a user's do."""
    if request.param == "one process":
        monkeypatch.setattr(
            "equireg.pipeline.demo.do_sweep", lambda plan, out, base, jobs: do_sweep(plan, out, base, min(jobs, 1))
        )


@pytest.mark.usefixtures("small_phantoms", "processes")
def test_the_demo_ends_with_a_table_and_a_page(equireg: Command, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    sizes = ("--cases", 4, "--labelled", 1, "--test_cases", 2, "--max_steps", 2, "--features", 4)
    outcome = equireg("demo", "--out", out, *sizes)
    assert outcome.code == 0, outcome.err
    page = out / "report" / "index.html"
    assert outcome.out.splitlines()[-1].endswith(str(page))
    html = page.read_text()
    assert str(tmp_path) not in html
    assert os.getcwd() not in html
    assert "equireg" in html
    assert "supervised" in html
    table = pd.read_csv(out / "results.csv")
    assert table["method"].tolist() == ["supervised", "equireg"]
    assert table["cases"].tolist() == [2, 2]
    assert table["labelled_cases"].tolist() == [1, 1]
    assert table["unlabelled_cases"].tolist() == [0, 4]
    assert [f"[{part} of 5]" in outcome.err for part in range(1, 6)] == [True] * 5
    assert "rank correlation of quality with Dice" in outcome.out
    assert len((out / "next" / "suggestions.csv").read_text().splitlines()) == 4
    assert (out / "view.html").is_file()
    assert all(word in outcome.out for word in ("method", "dice", "hd95_mm", "nsd"))
    assert len(list(out.rglob("*_seg.nii.gz"))) == 3
    assert found_in(out, (str(tmp_path), os.getcwd())) == []

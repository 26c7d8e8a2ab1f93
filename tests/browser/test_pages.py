"""Every page in a real browser: no word in the console, pictures that show something, and what a click does."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chromium import Page
from equireg.reporting.build import report
from equireg.viewing.view import view
from reporting_made_up import Training, write_evaluation, write_picture, write_run
from viewing_made_up import predictions, prepared

Look = Callable[[str], Page]
QUALITIES = {"a": 0.9, "b": 0.3, "c": 0.6, "d": 0.7, "e": 0.8}
SHOWN = "document.body?.dataset.shown"
NO_WEBGL = """const asked = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
  return kind === "webgl2" ? null : asked.call(this, kind, ...more);
};"""


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Predictions of five cases with all that can be looked at, and an evaluation of them with a picture."""
    root = tmp_path_factory.mktemp("judged")
    source = prepared(root / "p", tuple(QUALITIES))
    q = predictions(root / "q", source, qualities=QUALITIES, equivariance=True)
    scores = {(case, "whole"): {"dice": 1 - value} for case, value in QUALITIES.items()}
    evaluation = write_evaluation(root / "e", Training().facts(), scores, source=q)
    write_picture(evaluation / "pictures", "a", "best", 0.95)
    write_run(root / "run", Training())
    return root


@pytest.fixture(scope="module")
def page(judged: Path) -> str:
    return view(judged / "q", judged / "v.html").as_uri()


@pytest.fixture(scope="module")
def reported(judged: Path) -> str:
    return report([judged / "run", judged / "e"], judged / "w").as_uri()


def pixels(tab: Page, selector: str) -> np.ndarray:
    """Return what an element looks like, [h, w, 3]."""
    picture = Image.open(io.BytesIO(tab.screenshot(tab.box(selector)))).convert("RGB")
    return np.asarray(picture)


def assert_not_blank(picture: np.ndarray) -> None:
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20
    assert picture.std() > 8


def test_the_viewer_draws_and_a_click_on_a_case_changes_the_picture(look: Look, page: str) -> None:
    tab = look(page)
    tab.wait(f"{SHOWN} === '0-0'")
    first = pixels(tab, "#panels canvas")
    assert_not_blank(first)
    assert tab.run("document.getElementById('case').textContent") == "b"
    tab.click("#cases li:nth-child(2) button")
    tab.wait(f"{SHOWN} === '1-0'")
    assert tab.run("document.getElementById('case').textContent") == "c"
    second = pixels(tab, "#panels canvas")
    assert_not_blank(second)
    assert (first != second).any()


def test_small_volumes_are_not_rounded_away(tab: Page, page: str) -> None:
    tab.open(page, 1280)
    tab.wait(f"{SHOWN} === '0-0'")
    cells = "[...document.querySelectorAll('#scores tr')].map((row) => row.lastChild.textContent)"
    assert tab.run(f"{cells}.join(' ')") == "0.108 0.0120 0.0120"


def test_the_viewer_follows_keys_controls_and_the_address(tab: Page, page: str) -> None:
    tab.open(page + "#case=e", 1280)
    tab.wait(f"{SHOWN} === '3-0'")
    with_masks = pixels(tab, "#panels canvas")
    tab.press("m")
    assert (pixels(tab, "#panels canvas") != with_masks).any()
    tab.press("m")
    np.testing.assert_array_equal(pixels(tab, "#panels canvas"), with_masks)
    tab.slide("#zoom", 3)
    assert (pixels(tab, "#panels canvas") != with_masks).any()
    tab.press("n")
    tab.wait(f"{SHOWN} === '4-0'")
    tab.press("3")
    tab.wait(f"{SHOWN} === '4-2'")
    assert tab.run("[...document.querySelectorAll('#panels figure')].filter((one) => !one.hidden).length") == 3
    assert tab.run("document.getElementById('legend').textContent").strip().endswith("f(T x) and T f(x) differ")
    # A click in a plane moves the crosshair, in all pictures alike.
    before, told = (
        pixels(tab, "#panels figure:nth-child(2) canvas"),
        tab.run("document.getElementById('where').textContent"),
    )
    tab.click("#panels figure:nth-child(1) .screen")
    tab.wait(f"document.getElementById('where').textContent !== {told!r}")
    assert (pixels(tab, "#panels figure:nth-child(2) canvas") != before).any()


def test_the_viewer_shows_slices_without_webgl(tab: Page, page: str) -> None:
    tab.open(page, 390, before=NO_WEBGL)
    tab.wait(f"{SHOWN} === '0-0'")
    assert "WebGL2 is missing" in tab.run("document.querySelector('p.without').textContent")
    first = pixels(tab, "#panels canvas")
    assert first.std() > 8
    tab.slide("#slice", 0)
    assert (pixels(tab, "#panels canvas") != first).any()


def test_the_report_shows_its_pictures_and_leads_to_the_viewer(look: Look, reported: str) -> None:
    tab = look(reported)
    for part in ("section svg", ".case img"):
        tab.wait("[...document.images].slice(0, 3).every((one) => (one.loading = 'eager', one.complete))")
        assert_not_blank(pixels(tab, part))
    tab.run("document.querySelector('a[href$=\"#case=c\"]').click()")
    tab.wait(f"{SHOWN} === '1-0'")
    assert tab.run("document.getElementById('case').textContent") == "c"


def test_the_suggestions_show_scans(look: Look, phantom_prepared: Path, tmp_path: Path) -> None:
    from equireg.annotation.suggest import suggest

    suggest(phantom_prepared, tmp_path / "s", count=1)
    tab = look((tmp_path / "s" / "index.html").as_uri())
    assert_not_blank(pixels(tab, ".planes img"))


def test_the_server_segments_a_dropped_scan(look: Look, server: str, phantom_raw: Path) -> None:
    tab = look(server)
    files = sorted(str(path) for path in phantom_raw.rglob("*_0001_1_*.nii.gz") if "seg" not in path.name)
    assert len(files) == 4
    tab.choose("#files", files)
    tab.wait("!document.getElementById('found').hidden && document.querySelectorAll('#planes img').length === 3")
    tab.wait("[...document.images].every((one) => one.complete)")
    assert_not_blank(pixels(tab, "#planes img"))
    assert tab.run("document.getElementById('mask').href").startswith("data:application/gzip")

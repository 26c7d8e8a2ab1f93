"""The browser, and pages to open in it."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import chromium
from chromium import Page


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Return the address of a running browser's protocol."""
    program = chromium.find()
    if program is None:
        pytest.skip("there is no Chromium to open pages with; install one, such as Debian's package chromium")
    with chromium.browser(program) as found:
        yield found


@pytest.fixture(params=["phone", "desktop"])
def width(request: pytest.FixtureRequest) -> int:
    """Return the width of a page, CSS pixels."""
    return {"phone": 390, "desktop": 1280}[request.param]


@pytest.fixture
def tab(address: str) -> Iterator[Page]:
    """Return an empty page, whose console must have stayed empty in the end."""
    with chromium.new_page(address) as page:
        yield page
        assert page.problems == []


@pytest.fixture(params=["light", "dark"])
def look(tab: Page, width: int, request: pytest.FixtureRequest) -> Callable[[str], Page]:
    """Return what opens an address at each width in each colour scheme, and checks that it fits and has its colours."""

    def opened(url: str) -> Page:
        tab.open(url, width, request.param)
        red, green, blue = tab.colour("document.body", "backgroundColor")
        assert (red + green + blue > 3 * 128) is (request.param == "light")
        assert tab.run("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the window"
        return tab

    return opened


@pytest.fixture(scope="session")
def server(phantom_prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a started `equireg serve`, whose model was hardly trained."""
    for package in ("fastapi", "uvicorn", "python_multipart"):
        pytest.importorskip(package, reason="the extra serve is not installed")
    from equireg.config import ServeConfig
    from equireg.serving.serve import opened
    from equireg.training.train import train

    here: dict[str, Any] = {"device": "cpu", "precision": "32"}
    tiny: dict[str, Any] = {"network.features": 4, "max_steps": 2, "val_every": 2, "batch_size": 2, **here}
    run = train(phantom_prepared, tmp_path_factory.mktemp("served") / "run", method="supervised", **tiny)
    config = ServeConfig(port=0, test_time="none", **here)
    with opened(run, config) as at:
        thread = threading.Thread(target=at.run)
        thread.start()
        try:
            yield at.url
        finally:
            at.stop()
            thread.join()

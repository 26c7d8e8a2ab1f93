"""Every kind of bad input is one line with file, finding and remedy, and leaves nothing half-written."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inputs import INPUTS
from targets import TARGETS


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with healthy inputs of all verbs."""
    root = tmp_path_factory.mktemp("inputs")
    for name in ("prepared: manifest.json", "run: checkpoint", "evaluation: labels.json"):
        TARGETS[name].make(root)
    (root / "files").mkdir()
    return root


@pytest.mark.parametrize("name", INPUTS)
def test_bad_input_is_told(equireg: Callable[..., Any], healthy: Path, tmp_path: Path, name: str) -> None:
    bad, root = INPUTS[name], tmp_path / "all"
    shutil.copytree(healthy, root)
    bad.spoil(root)
    out = root / "out"
    allowed = bad.code == 0 or out.exists()
    places = ("raw", "prepared", "run", "predictions", "masks", "evaluation", "files", "out")
    outcome = equireg(*bad.command.format(root=root, **{place: root / place for place in places}).split())
    assert outcome.code == bad.code, outcome.err
    assert "Traceback" not in outcome.err
    refused = [line for line in outcome.err.splitlines() if line.startswith("warning: refused")]
    told = outcome.error if bad.code else (refused or [outcome.err])[0]
    assert [word for word in bad.words if word not in told] == [], told
    assert allowed or not out.exists()
    assert [path for path in root.rglob("*") if "partial" in path.name or path.name.endswith(".lock")] == []

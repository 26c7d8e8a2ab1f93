"""Tables that others can add to: by registering, by an environment variable, by entry points."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import equireg
from equireg import registry
from equireg.errors import EquiregError, UsageError
from equireg.registry import Table, table


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_registered", {kind: {} for kind in registry.TABLES})
    registry._entry_points.cache_clear()
    yield
    registry._entry_points.cache_clear()


def first(root: Path) -> None:
    """A layout, say."""


def second(root: Path) -> None:
    """Another."""


def test_what_is_registered_is_in_the_table_after_our_own() -> None:
    assert equireg.register("layout", "mine", first) is first
    layouts = table("layout")
    assert list(layouts)[-1] == "mine"
    assert layouts["mine"] is first
    assert layouts.find("mine") is first
    assert "mine" in layouts
    assert len(layouts) == len(list(layouts))


def test_register_decorates() -> None:
    @equireg.register("layout", "decorated")
    def find(root: Path) -> None:
        """A layout."""

    assert table("layout")["decorated"] is find


def test_the_same_again_changes_nothing_and_another_of_the_name_is_refused() -> None:
    for _ in range(2):
        equireg.register("layout", "mine", first)
    with pytest.raises(EquiregError, match="a layout 'mine' is registered already"):
        equireg.register("layout", "mine", second)
    with pytest.raises(EquiregError, match="'plain' is a layout of equireg itself"):
        equireg.register("layout", "plain", first)


@pytest.mark.parametrize(("kind", "name"), [("layouts", "x"), ("layout", ""), ("layout", "a b"), ("method", "auto")])
def test_an_impossible_kind_or_name_is_refused(kind: Any, name: str) -> None:
    with pytest.raises(EquiregError, match="expected"):
        equireg.register(kind, name, first)


def test_an_unknown_name_names_the_nearest() -> None:
    equireg.register("method", "gentle", "nowhere:Gentle")
    with pytest.raises(UsageError, match=r"--method is gentel; expected one of supervised, .*, gentle\. Did you mean"):
        table("method").find("gentel")


def test_text_is_imported_when_it_is_asked_for() -> None:
    own: Table[Any] = Table("layout", {"path": "pathlib:Path"})
    assert own["path"] is Path
    own["other"] = first
    assert (own["other"], list(own)[:2]) == (first, ["path", "other"])
    del own["other"]
    assert "other" not in own


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "adds_a_layout.py").write_text(
        "import equireg\n\ndef find(root):\n    return None\n\nequireg.register('layout', 'by_variable', find)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_imported", set())
    monkeypatch.delitem(sys.modules, "adds_a_layout", raising=False)
    return "adds_a_layout"


def test_the_variable_names_modules_that_register(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "by_variable" not in table("layout")
    monkeypatch.setenv(registry.PLUGINS, f" {module} ,")
    assert "by_variable" in table("layout")
    monkeypatch.setenv(registry.PLUGINS, "no_such_module")
    for _ in range(2):
        with pytest.raises(EquiregError, match="EQUIREG_PLUGINS names the module no_such_module, which cannot be imp"):
            list(table("layout"))


def test_a_broken_entry_point_is_named_when_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "broken-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[equireg.layouts]\nbroken = no_such_module:find\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert list(table("layout"))[-1] == "broken"
    with pytest.raises(
        EquiregError, match=r"entry point broken = no_such_module:find of equireg.layouts cannot be imp"
    ):
        table("layout")["broken"]

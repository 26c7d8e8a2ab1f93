"""The docs: every page has its place, every link an end, and the example method works."""

import re
import tomllib
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

import equireg
import reference
from equireg import registry
from equireg.cli.verbs import VERBS
from equireg.config import TrainConfig
from methods_made_up import some_batch

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
MADE = ("reference/", "changelog.md", "contributing.md", "tutorials/")
"""Pages that the build makes: the menu names them, and no page links to them, as GitHub shows the pages without."""


def nav() -> list[str]:
    """Return the pages that the site's menu names."""
    content = re.sub(r"!!python\S*", "", (ROOT / "mkdocs.yml").read_text())
    return [page for page in leaves(yaml.safe_load(content)["nav"]) if page.endswith(".md")]


def leaves(tree: Any) -> list[str]:
    if isinstance(tree, str):
        return [tree]
    parts = tree.values() if isinstance(tree, dict) else tree
    return [leaf for part in parts for leaf in leaves(part)]


def anchors(path: Path) -> set[str]:
    """Return the names that the headings of a page have, as GitHub and the site make them."""
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    return {anchor(title) for title in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)}


def anchor(title: str) -> str:
    plain = unicodedata.normalize("NFKD", re.sub(r"[`*]", "", title)).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


def test_every_page_has_its_place_in_the_menu_once() -> None:
    named = nav()
    assert len(named) == len(set(named))
    written = [page for page in named if not page.startswith(MADE) and page != "index.md"]
    assert sorted(written) == [page.name for page in PAGES]


@pytest.mark.parametrize(
    "page", [*PAGES, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md"))], ids=lambda path: path.name
)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("http"):
            continue
        file, _, heading = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        assert found.exists(), f"{page.name} links to {target}"
        assert not heading or heading in anchors(found), f"{page.name} links to {target}"


@pytest.mark.parametrize(
    ("kind", "page"),
    [("method", "method.md"), ("layout", "folders.md"), ("metric", "folders.md"), ("logger", "folders.md")],
)
def test_every_name_has_its_place_in_the_docs(kind: str, page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    ours = [name for name in registry.table(kind) if registry.table(kind).is_own(name)]
    assert [name for name in ours if not re.search(rf"[`,]{name}[`,]", text)] == []


def test_every_extra_has_its_place_in_the_docs() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    text = (ROOT / "docs" / "versions.md").read_text().partition("## Extras")[2]
    assert [name for name in extras if f"`{name}`" not in text] == []


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == equireg.__version__
    assert {"cff-version", "title", "message", "authors"} <= set(citation)


def test_the_example_of_a_method_works() -> None:
    text = (ROOT / "docs" / "write_a_method.md").read_text()
    names: dict[str, Any] = {"__name__": "mine"}
    exec(re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)[0], names)
    config = TrainConfig(method=names["MineConfig"](threshold=0.0))
    method = names["Mine"](config, lambda: nn.Conv2d(1, 3, 3, padding=1), max_steps=100)
    losses = method.losses(some_batch(), 30)
    losses["total"].backward()
    assert losses["weight"] == 1
    assert losses["counted"] == 1
    assert losses["unsupervised"] > 0
    assert all(torch.isfinite(weight.grad).all() for weight in method.student.parameters())


def test_the_reference_lists_every_option() -> None:
    made = reference.pages()
    assert {name.removesuffix(".md") for name in made} == {*VERBS, "command_line", "methods", "networks", "python_api"}
    assert "| `--max_minutes` | a number or null | `none` | minutes that the whole run may take" in made["train.md"]
    assert "| `--method.ema_span` | a number | `0.1` |" in made["methods.md"]
    assert "## resenc" in made["networks.md"]
    for name in set(equireg.__all__) & set(VERBS):
        assert f"heading: equireg.{name}\n" in made["python_api.md"]
        if VERBS[name].config is not None and name != "demo":
            assert "| option | values | default | what it is |" in made[f"{name}.md"]

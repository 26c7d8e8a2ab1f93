"""Hooks of the docs site (mkdocs.yml): pages made at build, links that leave docs/, and checks of what was built."""

import importlib
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError  # pyright: ignore[reportMissingImports]  # extra `docs`
from mkdocs.structure.files import File, Files  # pyright: ignore[reportMissingImports]

from equireg.cli.verbs import VERBS

_ROOT = Path(__file__).resolve().parents[2]
_FROM_ROOT = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_AS_THEY_ARE = ("LICENSE", "CITATION.cff")
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]*)\]\((?P<target>\.\./[^)]*)\)")
_LOADED = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src"}
"""HTML element to the attribute by which a browser loads something without being asked."""


def on_config(config: Any) -> Any:
    """Let the menu name every verb."""
    menu = next(section["Reference"] for section in config["nav"] if "Reference" in section)
    next(entry for entry in menu if "Verbs" in entry)["Verbs"] = [{name: f"reference/{name}.md"} for name in VERBS]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made from the code and from files beside docs/."""
    sys.path.insert(0, str(Path(__file__).parent))
    reference, notebook = importlib.import_module("reference"), importlib.import_module("notebook")
    made: dict[str, str | bytes] = {to: _moved((_ROOT / name).read_text("utf-8")) for name, to in _FROM_ROOT.items()}
    made |= {name: (_ROOT / name).read_text("utf-8") for name in _AS_THEY_ARE}
    made |= {f"reference/{name}": text for name, text in reference.pages().items()}
    for path in sorted((_ROOT / "docs" / "tutorials").glob("*.ipynb")):
        page, pictures = notebook.as_page(path)
        made |= {f"tutorials/{path.stem}.md": page}
        made |= {f"tutorials/{name}": content for name, content in pictures.items()}
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    return files


def _moved(text: str) -> str:
    """Return a file from beside docs/ with its links as they are inside."""
    text = text.replace("](docs/", "](").replace('src="docs/', 'src="')
    for name, to in _FROM_ROOT.items():
        text = text.replace(f"]({name}", f"]({to}")
    return text


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Write links to files outside docs/ as their paths: the site does not hold them."""
    folder = (_ROOT / "docs" / page.file.src_uri).parent

    def as_path(match: re.Match[str]) -> str:
        target, text = match["target"].partition("#")[0], match["text"].strip("`")
        path = (folder / target).resolve()
        if path.is_relative_to(_ROOT / "docs"):
            return match[0]
        if not path.exists():
            raise PluginError(f"{page.file.src_uri} links to {target}, which is not there")
        shown = path.relative_to(_ROOT).as_posix()
        return f"`{shown}`" if text == shown else f"{text} (`{shown}`)"

    for name, to in _FROM_ROOT.items():
        markdown = markdown.replace(f"](../{name}", f"]({to}")
    return _LINK.sub(as_path, markdown)


class _Links(HTMLParser):
    """What a page loads from elsewhere, and what it links to elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: set[str] = set()
        self.linked: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element's target where it lies on another machine."""
        values = dict(attrs)
        target = values.get(_LOADED.get(tag, "href")) or ""
        if not re.match(r"(https?:)?//", target):
            return
        is_link = tag == "a" or values.get("rel") in ("canonical", "edit")
        (self.linked if is_link else self.loaded).add(target)


def on_post_build(config: Any) -> None:
    """Refuse pages that load anything from elsewhere; list the links to elsewhere, which are not fetched."""
    site = Path(config["site_dir"])
    linked: set[str] = set()
    for page in sorted(site.rglob("*.html")):
        links = _Links()
        links.feed(page.read_text("utf-8"))
        if links.loaded:
            raise PluginError(
                f"{page.relative_to(site)} loads {', '.join(sorted(links.loaded))}; the site must do without"
            )
        linked |= links.linked
    (site / "external-links.txt").write_text("".join(f"{link}\n" for link in sorted(linked)))

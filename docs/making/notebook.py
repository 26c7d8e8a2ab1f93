"""A notebook as a page: its text, its code, and what it printed and drew when it was last run."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat  # pyright: ignore[reportMissingImports]  # extra `docs`


def as_page(path: Path) -> tuple[str, dict[str, bytes]]:
    """Return a notebook as Markdown, and the pictures that it links to by their file names."""
    pictures: dict[str, bytes] = {}
    cells = nbformat.read(path, as_version=4).cells
    parts = [part for cell in cells for part in _parts(cell, path.stem, pictures)]
    return "\n\n".join(parts) + "\n", pictures


def _parts(cell: Any, stem: str, pictures: dict[str, bytes]) -> Iterator[str]:
    if cell.cell_type == "markdown":
        yield cell.source
        return
    yield f"```python\n{cell.source}\n```"
    for output in cell.get("outputs", ()):
        data = output.get("data", {})
        if "image/png" in data:
            name = f"{stem}-{len(pictures) + 1}.png"
            pictures[name] = base64.b64decode(data["image/png"])
            yield f"![What this cell draws]({name})"
        elif output.get("name") != "stderr" and (text := output.get("text") or data.get("text/plain")):
            yield f"```text\n{text.rstrip()}\n```"

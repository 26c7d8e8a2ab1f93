"""Titles that tell the sources of a page apart."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path


def distinct_titles(sources: Sequence[tuple[str, Path]]) -> list[str]:
    """Give each source a title of its own: its name, and where names repeat as few folder names as it takes.

    Args:
        sources: name and folder of each.

    Returns:
        A title each; no whole path, at most the folder's name and its parent's.
    """
    attempts: list[Callable[[str, Path], str]] = [
        lambda name, folder: name if folder.name == name else f"{name} ({folder.name})",
        lambda name, folder: (
            f"{folder.parent.name}/{name}" if folder.name == name else f"{name} ({folder.parent.name}/{folder.name})"
        ),
    ]
    titles = [name for name, _ in sources]
    for attempt in attempts:
        repeated = {title for title, count in Counter(titles).items() if count > 1}
        titles = [
            attempt(name, folder) if title in repeated else title
            for title, (name, folder) in zip(titles, sources, strict=True)
        ]
    seen: Counter[str] = Counter()
    numbered = []
    for title in titles:
        seen[title] += 1
        numbered.append(title if seen[title] == 1 else f"{title} #{seen[title]}")
    return numbered

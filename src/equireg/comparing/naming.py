"""Names to show: titles that distinguish sources, and names that hold nothing but text."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from equireg.folders.origin import is_user


def distinct_titles(sources: Sequence[tuple[str, Path]]) -> list[str]:
    """Give each source a title of its own: its name, and where names repeat as few folder names as it takes.

    Args:
        sources: name and folder of each.

    Returns:
        A title each; no whole path, at most the folder's name and its parent's, and no home folder's name.
    """
    attempts: tuple[Callable[[str, Path], str], ...] = (
        lambda name, folder: name if folder.name == name else f"{name} ({printable(folder.name)})",
        lambda name, folder: (
            f"{_parent(folder)}{name}" if folder.name == name else f"{name} ({_parent(folder)}{printable(folder.name)})"
        ),
    )
    titles = [name for name, _ in sources]
    for attempt in attempts:
        repeated = {title for title, count in Counter(titles).items() if count > 1}
        titles = [
            attempt(*source) if title in repeated else title for title, source in zip(titles, sources, strict=True)
        ]
    seen: Counter[str] = Counter()
    numbered = []
    for title in titles:
        seen[title] += 1
        numbered.append(title if seen[title] == 1 else f"{title} #{seen[title]}")
    return numbered


def _parent(folder: Path) -> str:
    """Return the name of a folder's parent with a slash; nothing where it is a home folder, whose name is a user's."""
    parent = folder.parent
    private = parent == Path.home() or is_user(parent.name) or parent.parent == Path.home().parent
    return "" if private else f"{printable(parent.name)}/"


def printable(name: str) -> str:
    """Return a name on one line, without characters that cannot be seen."""
    return "".join(sign for sign in " ".join(name.split()) if sign.isprintable())

"""Names of cases: what every verb may turn into a file name, said in this one place."""

import unicodedata

_MOST_BYTES = 200
"""A file system takes 255 bytes; endings such as ``_probabilities.nii.gz`` and a temporary's mark come on top."""


def problem_of(name: object) -> str | None:
    """Return why a name cannot be a case's, or None where it can.

    A case's name becomes the name of files and folders. It therefore is one part of a path, shows up in a
    listing, and is short enough for what is added to it.
    """
    if not isinstance(name, str) or not name.strip():
        return f"the name {name!r} is empty or no text"
    if "/" in name or "\\" in name:
        return f"the name {_shown(name)} holds a separator of folders"
    if name.startswith("."):
        return f"the name {_shown(name)} begins with a dot, which hides files or leaves the folder"
    if _unprintable(name):
        return f"the name {_shown(name)} holds control characters or is not UTF-8"
    size = len(name.encode("utf-8"))
    if size > _MOST_BYTES:
        return f"the name {_shown(name)} has {size} bytes, expected at most {_MOST_BYTES}"
    return None


REMEDY = "Rename the case: letters, digits, spaces, '-', '_' and '.' are fine, a leading dot is not."


def safe(name: object) -> str:
    """Return a name that can be shown and kept in a list of refusals, whatever it was."""
    return _shown(name).strip("'\"")


def _unprintable(name: str) -> bool:
    """Whether a name holds control characters, marks that turn the direction of writing, or broken UTF-8."""
    return any(unicodedata.category(letter).startswith("C") for letter in name)


def _shown(name: object) -> str:
    text = ascii(name) if isinstance(name, str) and _unprintable(name) else repr(name)
    return text if len(text) <= 80 else f"{text[:60]}...{text[-10:]}"

"""Which ends of an anatomical axis the names of labels distinguish: mirrored there, a label would be wrong."""

import re
from collections.abc import Iterable, Sequence

_ENDS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "x": (
        frozenset(
            [
                "left",
                "lh",
                "lt",
                "links",
                "linke",
                "linker",
                "gauche",
                "izquierdo",
                "izquierda",
                "sinistra",
                "sinister",
                "sin",
                "esquerdo",
            ]
        ),
        frozenset(
            [
                "right",
                "rh",
                "rt",
                "rechts",
                "rechte",
                "rechter",
                "droit",
                "droite",
                "derecho",
                "derecha",
                "destra",
                "dexter",
                "dext",
                "direito",
            ]
        ),
    ),
    "y": (frozenset(["anterior", "ant", "front", "ventral"]), frozenset(["posterior", "post", "back", "dorsal"])),
    "z": (
        frozenset(["superior", "sup", "upper", "top", "cranial"]),
        frozenset(["inferior", "inf", "lower", "bottom", "caudal"]),
    ),
}
"""Words for the two ends of an axis."""
_ONLY_IN_PAIRS = frozenset(
    ["lt", "rt", "sin", "dext", "ant", "post", "sup", "inf", "top", "bottom", "ventral", "dorsal", "cranial", "caudal"]
)
"""Words that mean other things too: they count where both ends are named of one thing."""
_LETTERS = {"x": ("l", "r"), "y": ("a", "p"), "z": ("s", "i")}
_GLUED = re.compile(r"^(left(?!over)|right)|(?<!c)(?<!f)(?:left|(?<!b)(?<!w)(?<!f)(?<!up)(?<!out)right)$")
"""``leftkidney`` and ``kidneyright``; not bright, upright, cleft or leftover."""
_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+[0-9]*|[A-Z]+[0-9]*|[0-9]+")


def distinguished_axes(names: Iterable[str]) -> str:
    """Return the axes of x, y and z whose ends the names distinguish.

    Known spellings: whole words (``left_kidney``, ``Left-Thalamus``, ``leftKidney``, ``kidney(left)``), words glued
    to others (``leftkidney``), ``lh`` and ``rh``, one letter first or last (``Kidney_L``, ``R_hippocampus``), and
    pairs that differ in one letter or word alone (``LV`` and ``RV``, ``lkidney`` and ``rkidney``, ``lobe_a`` and
    ``lobe_p``). A heart's ventricles count as sides: a mirrored heart is no plausible one.
    """
    words = [_words(name) for name in names]
    return "".join(axis for axis in "xyz" if any(_names_end(parts, axis) for parts in words) or _paired(words, axis))


def _words(name: str) -> tuple[str, ...]:
    return tuple(part.lower() for part in _PART.findall(name))


def _names_end(parts: Sequence[str], axis: str) -> bool:
    """Return whether a name alone says an end."""
    one, other = _ENDS[axis]
    if ((one | other) - _ONLY_IN_PAIRS) & set(parts):
        return True
    if axis != "x":
        return False
    lettered = len(parts) > 1 and (parts[0] in ("l", "r") or parts[-1] in ("l", "r"))
    return lettered or any(_GLUED.search(part) for part in parts)


def _paired(words: Sequence[tuple[str, ...]], axis: str) -> bool:
    """Return whether two names differ only in the end of the axis that they name."""
    known = set(words)
    return any(swapped in known for parts in words for swapped in _swapped(parts, axis))


def _swapped(parts: tuple[str, ...], axis: str) -> Iterable[tuple[str, ...]]:
    """Yield a name with one of its words, or a word's first or last letter, turned to the other end."""
    one, other = _LETTERS[axis]
    for place, word in enumerate(parts):
        before, after = parts[:place], parts[place + 1 :]
        if word in _ENDS[axis][0]:
            for opposite in _ENDS[axis][1]:
                yield (*before, opposite, *after)
        if word == one:
            yield (*before, other, *after)
        # Letters glued to a word are too short a sign along y and z: "ap" and "pp" say nothing.
        elif axis == "x" and len(word) > 1:
            if word.startswith(one):
                yield (*before, other + word[1:], *after)
            if word.endswith(one):
                yield (*before, word[:-1] + other, *after)

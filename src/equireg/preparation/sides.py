"""Which ends of an anatomical axis the names of labels distinguish: mirrored there, a label would be wrong."""

import itertools
import re
import unicodedata
from collections.abc import Iterable, Sequence

_LEFT = """
    left lh lt sinister sin links linke linker linkes linken li gauche gauches sinistro sinistra sinistri sinistre sx
    izquierdo izquierda izquierdos izquierdas izq esquerdo esquerda esquerdos esquerdas esq venstre vanster vanstra
    lewy lewa lewe vasen левыи левая левое левые
"""
_RIGHT = """
    right rh rt dexter dext rechts rechte rechter rechtes rechten re droit droite droits droites destro destra destri
    destre dx derecho derecha derechos derechas der direito direita direitos direitas dir hoyre hojre hoejre hoger hogra
    prawy prawa prawe oikea правыи правая правое правые
"""
_ENDS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "x": (frozenset(_LEFT.split()), frozenset(_RIGHT.split())),
    "y": (frozenset(["anterior", "ant", "front", "ventral"]), frozenset(["posterior", "post", "back", "dorsal"])),
    "z": (
        frozenset(["superior", "sup", "upper", "top", "cranial"]),
        frozenset(["inferior", "inf", "lower", "bottom", "caudal"]),
    ),
}
"""Words for the two ends of an axis, as ``_plain`` writes them."""
_ALSO_OTHERS = "lt rt li re sin dext sx dx der esq dir ant post sup inf top bottom ventral dorsal cranial caudal"
_ONLY_IN_PAIRS = frozenset(_ALSO_OTHERS.split())
"""Words that mean other things too: they count where both ends are named of one thing."""
_LETTERS = {"x": ("l", "r"), "y": ("a", "p"), "z": ("s", "i")}
_FRENCH = ("g", "d")
"""Letters for left and right in French; they count where no other letter stands in their place."""
_GLUED = re.compile(
    r"^(left(?!over)|right|links|rechts)|(?<!c)(?<!f)(?:left|(?<!b)(?<!w)(?<!f)(?<!up)(?<!out)right)$|[左右]"
)
"""``leftkidney`` and ``kidneyright``; not bright, upright, cleft or leftover."""
_RUN = re.compile(r"[^\W_]+")
_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+[0-9]*|[A-Z]+[0-9]*|[0-9]+")
_ARTICLE = re.compile(r"\b[LlDd]['’](?=\w)")
_WITHOUT_MARKS = str.maketrans(
    {"ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "æ": "ae", "œ": "oe", "Æ": "Ae", "Œ": "Oe", "ß": "ss", "ẞ": "SS"}
    | {"đ": "d", "Đ": "D", "ð": "d", "þ": "th", "ı": "i"}
)


def distinguished_axes(names: Iterable[str]) -> str:
    """Return the axes of x, y and z whose ends the names distinguish, in the languages of ``_LEFT`` and ``_RIGHT``.

    Known spellings: whole words (``left_kidney``, ``Left-Thalamus``, ``leftKidney``, ``kidney(left)``), words glued
    to others (``leftkidney``), ``lh`` and ``rh``, one letter first or last (``Kidney_L``, ``R_hippocampus``), and
    pairs that differ in one letter or word alone (``LV`` and ``RV``, ``lkidney`` and ``rkidney``, ``lobe_a`` and
    ``lobe_p``). A heart's ventricles count as sides: a mirrored heart is no plausible one.
    """
    words = [_words(name) for name in names]
    return "".join(axis for axis in "xyz" if any(_names_end(parts, axis) for parts in words) or _paired(words, axis))


def sided_names(names: Iterable[str], axis: str) -> tuple[str, ...]:
    """Return two names, or one, that say the ends of an axis; none where ``distinguished_axes`` does not name it."""
    words = {name: _words(name) for name in names}
    if axis not in distinguished_axes(words):
        return ()
    pairs = (pair for pair in itertools.combinations(words, 2) if _paired([words[name] for name in pair], axis))
    alone = ((name,) for name, parts in words.items() if _names_end(parts, axis))
    return next(itertools.chain(pairs, alone), ())


def _words(name: str) -> tuple[str, ...]:
    """Return the words of a name, parted at marks and, in letters without accents, at capitals and numbers."""
    runs = _RUN.findall(_ARTICLE.sub("", _plain(name)))
    return tuple(part.lower() for run in runs for part in (_PART.findall(run) if run.isascii() else [run]))


def _plain(name: str) -> str:
    """Return a name without accents: ``Lasion`` of ``Läsion``."""
    letters = unicodedata.normalize("NFKD", name).translate(_WITHOUT_MARKS)
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


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
    if any(swapped in known for parts in words for swapped in _swapped(parts, axis)):
        return True
    return axis == "x" and any(_of_french(parts, place, known) for parts in words for place in range(len(parts)))


def _of_french(parts: tuple[str, ...], place: int, known: set[tuple[str, ...]]) -> bool:
    """Return whether a word of a name is ``g`` or ``d`` where another name has the other, and none another letter."""
    if len(parts) < 2 or parts[place] not in _FRENCH:
        return False
    swapped = ((*parts[:place], letter, *parts[place + 1 :]) for letter in "abcdefghijklmnopqrstuvwxyz")
    return {other[place] for other in swapped if other in known} == set(_FRENCH)


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

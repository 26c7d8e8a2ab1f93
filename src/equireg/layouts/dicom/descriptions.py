"""Which channel the description of a series names."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from equireg.layouts.channels import ALIASES, meaning

_WORD = re.compile(r"[a-z0-9*]+")
_WINS = (("flair", "t2"), ("t1ce", "t1"), ("adc", "dwi"), ("swi", "t2star"))
"""Of two channels that a description names, the one that is meant first."""
_AGENTS = (
    *("clariscan", "dotarem", "elucirem", "eovist", "gadavist", "gadobutrol", "gadoterate", "gadovist", "magnevist"),
    *("multihance", "omniscan", "primovist", "prohance", "vueway"),
)
_ENHANCED = frozenset((
    *("post", "postcontrast", "contrast", "contraste", "contrasto", "kontrast", "kontrastmittel", "enhanced"),
    *("ce", "km", "gd", "gad", "gado", "gadolinium", "inject", "injected", "injection", *_AGENTS),
))  # fmt: skip
_PLAIN = frozenset(("pre", "native", "nativ", "precontrast"))
"""Say that no agent was given, wherever they stand."""
_WITHOUT = frozenset((
    *("without", "wo", "o", "no", "non", "not", "ohne", "vor", "sans", "sin", "senza", "before", "avant", "antes"),
    *("sem", "nao", "kein", "keine", "zonder", "uden", "uten", "utan", "bez"),
    *_PLAIN,
))  # fmt: skip
"""Say the same before a word for contrast, or after it at the end; elsewhere of another thing (``NO FS``)."""
_BETWEEN = frozenset(("i", "v", "iv", "any"))
"""Words that may stand between the two."""
_SIGNS = (
    (re.compile(r"(?<![a-z0-9])(?:w/o(?:ut)?(?![a-z0-9])|s/)"), " without "),
    (
        re.compile(r"(?:(?<![a-z0-9])|(?<=t1)|(?<=t1w))(?:c|gd|km)-(?![a-z0-9])|(?<=\s)-(?:c|gd|km)(?![a-z0-9])"),
        " pre ",
    ),
    (re.compile(r"(?<![a-z0-9])c\+|\+c(?![a-z0-9])"), " contrast "),
)
"""Ways to write with and without contrast that are no words."""
_BOTH = re.compile(
    r"(?<![a-z0-9])(?:w|with)\W{0,3}(?:and\W)?(?:wo|w/o|without)(?![a-z0-9])(?:\W+(?:contrast|gad\w*|gd)\b)?"
)
_DARK_FLUID = re.compile(r"dark[ _-]?fluid")


def contrast_of(description: str) -> str | None:
    """Return the known channel that a description names, or None where it names none or several."""
    text = description.lower()
    without_both = _BOTH.sub(" ", text)
    if without_both != text:  # of a study with both; the series may be told by what stands beside
        known = contrast_of(without_both)
        return known if known != "t1" or _PLAIN & {*_WORD.findall(without_both)} else None
    for sign, words in _SIGNS:
        text = sign.sub(words, text)
    words = list(_affirmed([word for word in _WORD.findall(text) if word not in _BETWEEN]))
    pairs = [first + second for first, second in pairwise(words)]
    found = {name for word in (*pairs, *words) if (name := meaning(word)) in ALIASES}
    if "t1" in found and _ENHANCED & set(words) and not _PLAIN & set(words):
        found.add("t1ce")
    if "t1" not in found and _DARK_FLUID.search(text):
        found.add("flair")
    for winner, loser in _WINS:
        if winner in found:
            found.discard(loser)
    return found.pop() if len(found) == 1 else None


def _affirmed(words: Sequence[str]) -> Iterator[str]:
    """Yield the words but those for contrast that are negated by a word before them, or at the end."""
    negated = False
    last = len(words) > 1 and words[-1] in _WITHOUT
    for index, word in enumerate(words):
        negated = word in _WITHOUT or (negated and word in _ENHANCED)
        ends = last and all(other in _ENHANCED for other in words[index:-1])
        if not (word in _ENHANCED and (negated or ends)):
            yield word

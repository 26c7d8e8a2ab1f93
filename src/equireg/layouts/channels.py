"""What channel names mean: the one table of the names that the same contrast goes by."""

import re
from collections import Counter
from collections.abc import Callable, Sequence

from equireg.errors import EquiregError
from equireg.layouts.files import MARKS

ALIASES: dict[str, tuple[str, ...]] = {
    "t1": ("t1", "t1n", "t1w", "t1native", "t1pre", "t1weighted", "mprage", "t1mprage", "t1mpr"),
    "t1ce": (
        "t1ce",
        "t1c",
        "t1gd",
        "t1wgd",
        "t1wce",
        "t1post",
        "t1gado",
        "t1contrast",
        "t1km",
        "ct1",
        "cet1",
        "gdt1",
    ),
    "t2": ("t2", "t2w", "t2weighted", "hrt2"),
    "flair": ("flair", "t2f", "t2flair", "fla"),
    "pd": ("pd", "pdw"),
    "t2star": ("t2star", "t2starw"),
    "swi": ("swi",),
    "adc": ("adc",),
    "dwi": ("dwi",),
    "hbv": ("hbv",),
    "ct": ("ct", "cta", "cect", "ncct", "ctres"),
    "pet": ("pet", "suv", "pt"),
}
"""Canonical name to the names that mean it, lower case without separators; the order is that of channels."""

NUMBERED = re.compile(r"(.+)_(\d{4})")
"""A stem with nnU-Net's channel number."""
_MEANING = {alias: name for name, aliases in ALIASES.items() for alias in aliases}
_MRI = ("t1", "t1ce", "t2", "flair", "pd", "t2star", "swi", "adc", "dwi", "hbv", "mri", "mr", "mrt")
_PROCESSED = (
    *("pp", "preproc", "preprocessed", "deface", "defaced", "reg", "registered", "coreg", "n4", "bfc", "biascorrected"),
    *("bet", "brain", "stripped", "skullstripped", "ss", "norm", "normalized", "normalised", "resampled", "mni"),
)
"""Last words of names that say what was done to a scan, after its channel."""
_SURER = re.compile(r"(?:.*[_\-. ])?(?:suv|ctres)", re.IGNORECASE)
"""Names of files that go before others of their channel: of autoPET, SUV before PET, and CT on its grid before CT."""
_TOKEN = re.compile(r"[^_\-. ]+")


def meaning(name: str) -> str:
    """Return the canonical name of a channel, or the plain lower-case name where it is not a known one."""
    plain = plain_name(name)
    known = _MEANING.get(plain.strip("<>+-"))
    return "t1ce" if known == "t1" and plain.endswith("+") else known or plain


def plain_name(name: str) -> str:
    """Return a name in lower case without separators. What it begins or ends with may matter: ``ER+`` is not ``ER-``.

    A star is spelled out, so that ``T2*`` is ``t2star``.
    """
    text = re.sub(r"[\s_]", "", name.lower().replace("*", "star"))
    first, last = text[:1] if text[:1] in "<>" else "", text[-1:] if text[-1:] in "+-" else ""
    return first + re.sub(r"\W", "", text) + last


def pair_names(here: Sequence[str], there: Sequence[str], alike: Callable[[str], str] = plain_name) -> dict[int, int]:
    """Pair what is called the same on two sides, by index.

    Names go first as they are written, then in lower case, then without separators, and last as ``alike`` reads them.
    Where several on a side are alike, only those that are written the same are paired, in their order.
    """
    pairs: dict[int, int] = {}
    for key in (str, str.lower, plain_name, alike):
        free = [index for index in range(len(here)) if index not in pairs]
        others = [index for index in range(len(there)) if index not in pairs.values()]
        count, other = Counter(key(here[index]) for index in free), Counter(key(there[index]) for index in others)
        same = {name for name in count if count[name] == other[name] and (key is str or count[name] == 1)}
        for name in same:
            mine, theirs = [i for i in free if key(here[i]) == name], [i for i in others if key(there[i]) == name]
            pairs |= zip(mine, theirs, strict=True)
    return pairs


def goes_first(stem: str, other: str) -> bool | None:
    """Whether a file goes before another for the same channel; None where nothing tells."""
    first, second = (_SURER.fullmatch(name) is not None for name in (stem, other))
    return first if first != second else None


def is_known(name: str) -> bool:
    """Whether a channel's name says what it shows."""
    return meaning(name) in ALIASES


def in_channel_order(names: set[str]) -> tuple[str, ...]:
    """Sort canonical names: those of the table in its order, then others by the alphabet."""
    order = list(ALIASES)
    return tuple(sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name)))


def split_channel(stem: str) -> tuple[str, str] | None:
    """Split a file's stem into the case's part and the canonical channel that it ends with.

    ``"P01_T2_FLAIR"`` gives ``("P01", "flair")``, ``"t1"`` gives ``("", "t1")``, and a stem that ends with no
    known channel gives None. Words for what was done to the scan (``"P01_T1_brain"``) may follow the channel.
    """
    tokens = list(_TOKEN.finditer(stem))
    while len(tokens) > 1 and tokens[-1][0].lower() in _PROCESSED:
        tokens.pop()
    for count in (2, 1):
        if len(tokens) >= count:
            start = tokens[-count].start()
            name = "".join(token[0] for token in tokens[-count:]).lower()
            if name in _MEANING:
                return stem[:start].rstrip(MARKS), _MEANING[name]
    return None


def without_numbers(channels: Sequence[str]) -> list[str]:
    """Return names without the numbers that tell channels of one name apart: ``CT_0`` and ``CT_1`` are both ``CT``."""
    numbered = [name[: -len(end)] for index, name in enumerate(channels) if name.endswith(end := f"_{index}")]
    plain = [name.removesuffix(f"_{index}") for index, name in enumerate(channels)]
    return [own if numbered.count(own) > 1 else name for own, name in zip(plain, channels, strict=True)]


def modality_of(channels: Sequence[str], otherwise: str) -> str:
    """Return ``"ct"`` or ``"mri"`` where a channel's name shows it, or else ``otherwise``."""
    meanings = {meaning(name) for name in without_numbers(channels)}
    if "ct" in meanings:
        return "ct"
    return "mri" if meanings & set(_MRI) else otherwise


def match_channels(found: Sequence[str], wanted: Sequence[str], where: str) -> tuple[int, ...]:
    """Choose which of the channels found serve as the channels wanted.

    Names are compared by meaning, and those of one meaning (``T1w`` and ``T1n``) as they are written. Names without
    meaning (``channel_0``) are taken in order where the numbers agree and no known name speaks against it.

    Args:
        found: channel names of the input, in its order.
        wanted: channel names that the model was trained on, in its order.
        where: the file or folder, to begin the message with.

    Returns:
        An index into ``found`` for each of ``wanted``.

    Raises:
        EquiregError: if they do not fit.
    """
    have = [meaning(name) for name in found]
    need = [meaning(name) for name in wanted]
    picks = pair_names(wanted, found, meaning)
    free = [index for index in range(len(have)) if index not in picks.values()]
    rest = [index for index in range(len(need)) if index not in picks]
    strange_have = any(name not in need for name in have if name in ALIASES)
    strange_need = any(name not in have for name in need if name in ALIASES)
    unsure = {have[index] for index in free} & {need[index] for index in rest}
    if not rest or (len(have) == len(need) and not (strange_have and strange_need) and not unsure):
        picks |= zip(rest, free, strict=False)
        return tuple(picks[index] for index in range(len(need)))
    remedy = "Give a file for each, named after its channel."
    if len(need) == 1 and len(have) > 1:
        remedy = "If they are times or other scans, save each as a file of its own, without a fourth axis."
    raise EquiregError(
        f"{where}: has {len(found)} channel{'s' * (len(found) != 1)} ({', '.join(found)}); expected "
        f"{len(wanted)} ({', '.join(wanted)}) as the model was trained on. {remedy}"
    )

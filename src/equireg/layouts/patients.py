"""Which scans are of one patient: known naming schemes, and what the user says about it.

A split that separates two scans of one patient reports scores that are too good. A split that keeps two patients
together costs nothing but a little variety. Schemes here are therefore those that are sure; names that look like
groups and fit no scheme are reported to the user, who answers with ``--patients``.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from equireg.layouts.by_key import by_key
from equireg.layouts.channels import split_channel
from equireg.layouts.dates import DATE_AND_TIME, DATES, MAYBE_DATES
from equireg.layouts.files import MARKS

_NUMBER = r"[_\-. ]?\d+[a-z]?"
_MOST_SCANS = 10
"""Scans of one patient, at most, that a word such as ``scan`` may count; more are a data set's scans."""
_FEW = 4
"""From this many cases on, all of them under one name without a number are a data set, not a patient."""


SCHEMES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # BIDS
        r"(?P<patient>(?:.*[_\-. ])?sub-[a-z0-9]+)(?:_.*)?",
        # BraTS, 2023 on: BraTS-GLI-00000-000, BraTS-MEN-RT-0000-1
        r"(?P<patient>BraTS(?:-[a-z]+)+-\d+)-\d+",
        # BraTS, 2017 to 2019: BraTS19_2013_2_1, Brats18_CBICA_AAM_1
        r"(?P<patient>BraTS1\d_.+)_\d+",
        # TCGA
        r"(?P<patient>TCGA[-_]\w\w[-_]\w{4})(?:[_\-. ].*)?",
        # UPENN-GBM
        r"(?P<patient>UPENN-GBM-\d+)_\d+.*",
        # ADNI
        r"(?P<patient>(?:.*[_\-. ])?\d{3}_S_\d{4})(?:[_\-. ].*)?",
        # OASIS
        r"(?P<patient>OAS(?:\d_\d{4}|\d{5}))_MR.*",
        # ISBI 2015
        r"(?P<patient>(?:training|test)\d\d)_\d\d",
        # a patient's number
        r"(?P<patient>(?:.*[_\-. ])?(?:patient(?:id)?|subject|subj|pat|sub)[_\-. ]?\d+)"
        r"(?:[a-z]?[_\-. ].*|(?:frame|ses|scan|visit|time|tp|week|fu).*)?",
    )
)
"""Patterns of case names, tried in this order; the group ``patient`` is equal for all scans of one patient."""

_TIMES = (
    rf"(?:frames?|phase|ses|sess|session|visit|timepoint|time[_\-. ]?point|time|tp|month|day|year){_NUMBER}",
    r"(?:ses|session|visit)[_\-. ]?[a-z0-9]+",
    rf"(?:week|wk){_NUMBER}(?:[_\-]\d+)?",
    r"t\d{1,2}",
    rf"(?:follow[_\-. ]?up|fu|baseline|bl|rescan|retest|repeat)(?:{_NUMBER})?",
    r"(?:pre|post)(?:[_\-. ]?op)?",
    rf"slice{_NUMBER}",
)
"""Words that distinguish the scans of a patient, whatever stands before."""

_COUNTS = (
    rf"(?:scan|image|study|exam|series|run|acq|mri|mr|ct|rep|echo|sl|v|y|m){_NUMBER}",
    r"d\d{3,}",
    DATE_AND_TIME,
    *MAYBE_DATES,
)
_VARIANTS = (
    *DATES,
    r"(?:ed|es|systole|diastole|inhale|exhale|insp|exp|supine|prone|arterial|venous|portal|delayed|native)",
    r"(?:left|right|l|r|lh|rh|od|os)",
    r"(?:eq|tilt)(?:_\d+)?",  # dcm2niix: slices made equidistant, the gantry's tilt removed
    r"(?:before|after|prior|current|previous|initial|final|first|second|third|screening|intra(?:[_\-. ]?op)?)",
    r"(?:\d+[_\-. ]?(?:months?|mo|m|weeks?|wks?|days?|years?|yrs?)|\d\d+d|(?:19|20)\d\d)",
)
"""Words that do so where a number stands before, which is the patient's."""
_VIEWS = r"(?:sa|la|sax|lax|[234]ch|ax|axial|cor|coronal|sag|sagittal|tra|transversal)"
"""Views of one organ, which alone are no time points."""
_OTHERS = ("test", _VIEWS)


def _ending(words: Sequence[str], before: str = ".*?") -> re.Pattern[str]:
    return re.compile(rf"(?P<rest>{before})(?:^|[{re.escape(MARKS)}]+)(?:{'|'.join(words)})", re.IGNORECASE)


_NUMBERED_BEFORE = r"\D*\d.*?"
_TIME = _ending(_TIMES)
_COUNT = _ending(_COUNTS, _NUMBERED_BEFORE)
_VISIT = _ending((rf"(?:v|visit|scan|study|exam|session|mri|mr|ct){_NUMBER}",))
_VARIANT = _ending((*_VARIANTS, *_OTHERS), _NUMBERED_BEFORE)
_ALONE = re.compile("|".join((*_TIMES, *_VARIANTS, DATE_AND_TIME)), re.IGNORECASE)
_STAMP = re.compile(DATE_AND_TIME, re.IGNORECASE)
_YEAR_ALONE = re.compile(r"(?:19|20)\d\d")
_COUNT_ALONE = re.compile("|".join(_COUNTS), re.IGNORECASE)
_FRONTS = "|".join((DATE_AND_TIME, *_TIMES, *_VARIANTS, *MAYBE_DATES, _VIEWS))
_FRONT = re.compile(rf"(?!ses(?!s?[_\-. ]|s?\d|sion)[a-z])(?P<word>{_FRONTS})[_\-. ]+(?P<rest>.*\d.*)", re.IGNORECASE)
_SIMPLE = re.compile(r"[a-z]+\d{0,2}|\d{1,2}[a-z]+", re.IGNORECASE)
"""Words that may stand before any number: ``left``, ``t0``, ``visit1``, ``12m``."""
_CALLED = re.compile(r"[a-z]+[_\-. ]*\d.*|[1-9]\d{4,}.*", re.IGNORECASE)
"""What is a patient also behind a date or ``visit_01``, where a short number may be one of that day's scans."""
_COUNTER = re.compile(
    r"(?:im|img|imgs|image|dsc[nf]?|pic|picture|photo|slide|cell|tile|patch|vol|volume|frame|file|cap|capture|rec|"
    r"recording|fundus|oct|sample|stack|fov|roi|crop|field|pos|position|se|t[12]|tse|flair|dwi|adc)[_\-. ]*\d.*|"
    r"t[12][_\-. ].*|[a-h](?:0\d|1[0-2])",
    re.IGNORECASE,
)
"""What may count the pictures of one day or visit, anew for each: ``IMG1``, ``DSC00001``, the well ``A01``."""
_SESSION = re.compile(r"(?:ses|sess|session|visit|day)[_\-. ]*\d.*", re.IGNORECASE)
_SIDES = ("left", "right", "l", "r", "lh", "rh", "od", "os", "arterial", "venous", "portal", "delayed", "native")
"""Words that may distinguish channels of one scan, or parts of it."""
_NUMBERED = re.compile(r"(?P<rest>.*[^_\-. ])(?:[_\-. ]+(?:\d{1,3}|[a-z])|(?<=\d)[a-d])", re.IGNORECASE)
_WORD = re.compile(
    r"(?P<rest>.*\d[^_\-. ]*)[_\-. ]+(?P<last>[^_\-. ]+)|(?P<before>.*\d)(?P<after>[a-z]+\d*)", re.IGNORECASE
)
"""A name with a word after what may be a patient's number: ``P01_s2``, ``P01T2``."""
_FIRST = re.compile(r"(?P<first>\D*\d[^_\-. ]*)[_\-. ]+(?:.*\d.*|[a-z]+[_\-. ]+[a-z]+)", re.IGNORECASE)
_NO_PATIENT = re.compile(
    r"(?i:(?:.*[_\-. ])?(?:site|cent(?:er|re)|hospital|scanner|vendor|camera|domain|cohort|group|batch|fold|split|part|"
    r"class|type|grade|stage|level|birads|(?:data|sub|train|test)?set)[_\-. ]*\w?\d+(?:[_\-. ].*)?|(?:19|20)\d\d)"
)
_SETS = re.compile(r"(?:tr|train|training|ts|test|testing|val|valid|validation|un|(?:un)?labell?ed)", re.IGNORECASE)


def is_time_point(word: str) -> bool:
    """Whether a word alone names one scan of several (``baseline``, ``ses-01``, ``tp2``, a date), not a patient."""
    return _ALONE.fullmatch(word) is not None


def is_visit(word: str) -> bool:
    """Whether a word alone counts a patient's visits (``V1``, ``scan_2``), where something else names the patient."""
    match = _VISIT.fullmatch(word)
    return match is not None and not match["rest"]


def differ_by_time(names: Sequence[str]) -> bool:
    """Whether two of the names differ by a word for a time point alone, wherever it stands (``flair_time01_reg``)."""
    left = {
        () if _is_sure_time(name) else tuple(word for word in re.split(r"[_\-. ]+", name) if not _is_sure_time(word))
        for name in set(names)
    }
    return len(left) < len(set(names))


def _is_sure_time(word: str) -> bool:
    return is_visit(word) or (is_time_point(word) and word.lower() not in ("t1", "t2", "pre", "post", *_SIDES))


def split_time(name: str) -> tuple[str, str] | None:
    """Split a name into what stands before the word for a time point, and that word; None where it ends otherwise."""
    match = _TIME.fullmatch(name) or _VISIT.fullmatch(name)
    if match is None or not match["rest"]:
        return None
    return match["rest"], name[len(match["rest"]) :].lstrip(MARKS)


def patients_of(names: Iterable[str]) -> dict[str, str]:
    """Return the patient of each case: its name without the part that distinguishes the scans of one patient."""
    names = list(names)
    result: dict[str, str] = {}
    groups: defaultdict[tuple[str, bool], list[str]] = defaultdict(list)
    for name in names:
        scheme = next((match for scheme in SCHEMES if (match := scheme.fullmatch(name))), None)
        if scheme is not None:
            result[name] = scheme["patient"]
        else:
            rest, counted = _without_scan(name)
            groups[rest, counted].append(name)
    for (rest, counted), several in groups.items():
        too_many = counted and len(several) > _MOST_SCANS
        is_set = not has_number(rest) and len(several) == len(names) >= _FEW
        for name in several:
            trusted = _without_scan(name, counts=False)[0] if too_many else rest
            result[name] = name if is_set else trusted
    return _joined(result)


def _joined(patients: Mapping[str, str]) -> dict[str, str]:
    """Join patients that differ by a word in front alone: ``left_P1`` and ``right_P1``, ``t0_P1`` and ``P1``."""
    alike = by_key(set(patients.values()), _without_front)
    joined = {
        patient: rest for rest, several in alike.items() if 1 < len(several) <= _MOST_SCANS for patient in several
    }
    return {name: joined.get(patient, patient) for name, patient in patients.items()}


def _without_front(patient: str) -> str:
    """Strip words that distinguish the scans of a patient from the beginning, where a number is left."""
    while match := _FRONT.fullmatch(patient):
        word, rest = match["word"], match["rest"]
        if _STAMP.fullmatch(patient) or _YEAR_ALONE.fullmatch(word):  # a time, or the year of a cohort
            break
        simple = _SIMPLE.fullmatch(word)
        if not simple and (not _CALLED.fullmatch(rest) or _COUNT_ALONE.fullmatch(rest)):
            break
        if (not simple or _SESSION.fullmatch(word)) and _COUNTER.fullmatch(rest):
            break
        patient = rest
    return patient


def _without_scan(name: str, counts: bool = True) -> tuple[str, bool]:
    """Strip from a name what distinguishes the scan, the most first; say too whether a mere count was among it."""
    rest, counted = name, False
    endings = (_TIME, _VARIANT, _COUNT) if counts else (_TIME, _VARIANT)
    while True:
        matches = [match for ending in endings if (match := ending.fullmatch(rest)) and match["rest"]]
        channel = split_channel(rest)
        if matches:
            most = min(matches, key=lambda match: len(match["rest"]))
            rest, counted = most["rest"], counted or most.re is _COUNT
        elif channel and has_number(channel[0]):
            rest = channel[0]
        else:
            return rest, counted


def has_number(text: str) -> bool:
    """Whether a digit is in a text."""
    return any(letter.isdigit() for letter in text)


def look_alike(patients: Mapping[str, str], *, pictures: bool = False) -> list[list[str]]:
    """Return groups of names that may be scans of one patient and were not grouped, the largest first.

    Args:
        patients: case name to patient.
        pictures: whether the scans are pictures, which may be slices or tiles: many of one patient.
    """
    distrusted: defaultdict[str, list[str]] = defaultdict(list)
    groups: defaultdict[str, list[str]] = defaultdict(list)
    fronts = Counter(map(_without_front, set(patients.values())))
    for patient in sorted(set(patients.values())):
        front = _without_front(patient)
        stripped = front if fronts[front] > 1 else _without_scan(patient)[0]
        match = _NUMBERED.fullmatch(patient)
        if stripped != patient and patient in patients:
            distrusted[stripped].append(patient)  # a scheme that was not trusted here
        elif match and (stem := _without_sets(match["rest"])):
            groups[stem].append(patient)
    groups |= _with_recurring_words(set(patients.values()) - {name for names in groups.values() for name in names})
    sure = [[rest, *names] for rest, names in groups.items() if rest in patients and has_number(rest)]
    unsure = [names for names in distrusted.values() if len(names) > 1]
    several = _recurring(groups, patients, 2, pictures)
    found = unsure + (several if several or unsure else sure)
    found = found or _recurring(_by_first_number(patients.values()), patients, 3, pictures)
    return sorted((sorted(names) for names in found), key=lambda names: (-len(names), names))


def _recurring(groups: Mapping[str, list[str]], patients: Mapping[str, str], least: int, many: bool) -> list[list[str]]:
    """Return the groups of several, where there are some, most patients are in one, and five or fewer in each.

    Pictures may be more where the same endings come after many numbers: ``case1_z000``, ``case2_z000``.
    """
    several = {stem: names for stem, names in groups.items() if len(names) > 1}
    total = sum(map(len, several.values()))
    large = total > 5 * len(several) and not (many and _restart(several))
    few = len(several) < least or large or len(set(patients.values())) > 2 * total
    return [] if few else [*several.values()]


def _restart(groups: Mapping[str, Sequence[str]]) -> bool:
    """Whether numbers, none of them those of sites or years, stand before endings of which most recur in others."""
    ends = Counter(name[len(stem) :] for stem, names in groups.items() for name in names)
    numbered = all(has_number(stem) and not _NO_PATIENT.fullmatch(stem) for stem in groups)
    return numbered and 2 * sum(count for count in ends.values() if count > 1) > ends.total()


def _without_sets(stem: str) -> str:
    """Strip the words that name a set, because ``volume-1`` and ``test-volume-1`` are called alike."""
    words = re.split(r"[_\-. ]+", stem)
    kept = [word for word in words if not _SETS.fullmatch(word)]
    return stem if kept == words else "_".join(kept)


def _by_first_number(names: Iterable[str]) -> dict[str, list[str]]:
    """Group names by their beginning up to the first word with a number, where other numbers follow."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(set(names)):
        match = _FIRST.fullmatch(name)
        if match and not is_time_point(match["first"]):
            groups[match["first"]].append(name)
    return groups


def _with_recurring_words(names: Iterable[str]) -> dict[str, list[str]]:
    """Group names by what stands before their last word, where the same few words come after many numbers."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    matches = {name: match for name in sorted(names) if (match := _WORD.fullmatch(name))}
    words = Counter((match["last"] or match["after"]).lower() for match in matches.values())
    for name, match in matches.items():
        if words[(match["last"] or match["after"]).lower()] > 1:
            groups[match["rest"] or match["before"]].append(name)
    return groups

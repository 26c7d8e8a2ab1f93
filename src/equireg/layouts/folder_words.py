"""What the name of a folder says: whether scans or masks lie there, and of which part of the data set."""

import re

_SCANS = r"(?:images?|scans?|imgs?|volumes?|vols?)(?:[_\- ]?dir)?"
_SCANS_BESIDE_MASKS = (
    rf"(?:{_SCANS}|inputs?|niftis?|data|raw|cts?|mris?|originals?|pictures?|photos?|frames?|(?:jpe?g|png)[_\- ]?images)"
)
_MASKS = (
    r"(?:labels?|masks?|segmentations?|segs?|annotations?|annots?|gts?|ground[_\- ]?truths?|label[_\- ]?maps?|rois?|"
    r"contours?|lesions?|delineations?|targets?|manual|ann(?=[_\- ]?dir))(?:[_\- ]?(?:masks?|segs?|files?|class|dir))?"
)
_PARTS = r"tr|train|training|trainval|ts|test|testing|val|va|valid|validation|un|unlabell?ed"
_ENDS_LIKE_MASKS = re.compile(rf".*[_\-. ](?:{_MASKS}|st)", re.IGNORECASE)
_PART_BEHIND = re.compile(r".+[_\-. ](?:labels?|masks?|segmentations?|segs?)[_\-. ]?(tr|ts|val?)", re.IGNORECASE)
_UNLABELLED = re.compile(
    r"(?:un|non|not|no|without)[_\- ]?(?:labell?ed|annotated|masked|segmented|labels?|annotations?|masks?)"
    r"(?:[_\- ]?(?:set|data|cases?|images?|scans?|patients?))?",
    re.IGNORECASE,
)
_UNLABELLED_WORDS = {"unlabeled", "unlabelled", "unannotated"}
_LABELLED_WORDS = {"labeled", "labelled", "annotated", "labels", "label", "masks", "mask", "pseudo", "predictions"}
_TRAINING_PARTS = ("", "tr", "train", "training", "trainval")
_TEST, _VALIDATION = ("ts", "test", "testing"), ("val", "va", "valid", "validation")
HELD_OUT_PARTS = (*_TEST, *_VALIDATION)
HELD_OUT_WORDS, TRAINING_WORDS = {"test", "testing", "val", "validation"}, {"train", "training", "trainval"}
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SETS = r"({})(?:[_\- ]?(?:set|data|cases?|images?|patients?))?"
HELD_OUT_SET = re.compile(_SETS.format("|".join(HELD_OUT_PARTS)), re.IGNORECASE)
_TRAINING_SET = re.compile(
    _SETS.format("|".join(_TRAINING_PARTS[1:])) + r"(?:[_\- ]?(?:v?\d+|additional))*", re.IGNORECASE
)


def scan_part(name: str) -> str | None:
    """Return the part of a data set (``tr``, ``test``, or nothing) that a folder of scans is of; None for another."""
    return _part(name, _SCANS)


def scan_part_beside_masks(name: str) -> str | None:
    """Return what ``scan_part`` does, for names too that mean scans only where a folder of masks lies beside."""
    return _part(name, _SCANS_BESIDE_MASKS)


def mask_part(name: str) -> str | None:
    """Return the part of a data set that a folder of masks is of; None for another folder."""
    return _part(name, _MASKS)


def may_be_target_domain(name: str) -> bool:
    """Whether a folder may hold the scans of a target domain: ``training_target``, beside ``training_source``."""
    return _part(name, "targets?") not in (None, "")


def sounds_like_masks(name: str) -> bool:
    """Whether a folder's name ends or begins with a word for masks: ``Cup_Masks``, ``gtFine``; scans may lie there."""
    first = WORD.match(name)
    begins = first is not None and mask_part(first[0]) is not None
    return (begins or bool(_ENDS_LIKE_MASKS.fullmatch(name))) and not says_unlabelled(name)


def mask_part_behind(name: str) -> str | None:
    """Return the part of a data set where a folder's name ends with masks and it: ``tr`` of ``cow_seg_labelsTr``."""
    match = _PART_BEHIND.fullmatch(name)
    return match[1].lower() if match else None


def says_unlabelled(name: str) -> bool:
    """Whether a folder's name says that what lies in it has no masks: ``unlabeled``, ``X_UnlabeledCase1-9``."""
    words = words_of(name)
    return bool(_UNLABELLED.fullmatch(name)) or bool(words & _UNLABELLED_WORDS and not words & _LABELLED_WORDS)


def alike(part: str) -> tuple[str, ...]:
    """Return the parts whose masks serve, the part itself first: ``train`` and ``tr``, ``test`` and ``ts``."""
    same = next((names for names in (_TRAINING_PARTS, _TEST, _VALIDATION) if part in names), ())
    return (part, *(other for other in same if other != part))


def says_training(name: str) -> bool:
    """Whether a folder's name says training, alone or among other words."""
    called = scan_part(name) in _TRAINING_PARTS[1:] or _TRAINING_SET.fullmatch(name)
    return bool(called or words_of(name) & TRAINING_WORDS)


def set_of(name: str) -> str | None:
    """Return the part of a data set that a folder is called after: ``train``, ``validation`` of ``validation_set``."""
    match = HELD_OUT_SET.fullmatch(name) or _TRAINING_SET.fullmatch(name)
    return match[1].lower() if match else "un" if _UNLABELLED.fullmatch(name) else None


def words_of(name: str) -> set[str]:
    """Return the words of a name in small letters, which marks, numbers and capitals divide: ``TestData_v2``."""
    return {word.lower() for word in WORD.findall(name)}


def _part(name: str, kind: str) -> str | None:
    match = re.fullmatch(rf"(?P<before>(?:{_PARTS})[_\- ]?)?{kind}[_\- ]?(?P<after>{_PARTS}|)", name, re.IGNORECASE)
    return (match["after"] or (match["before"] or "").rstrip("_- ")).lower() if match else None

"""Options of the verbs that read raw scans, for those that come as DICOM."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from equireg.config.checks import require

_CHANNEL = re.compile(r"(?P<name>\w[\w.-]*)=(?P<pattern>.+)", re.DOTALL)
_FIELDS = ("channel", "keep_names", "mask_series", "segments")


@dataclass(frozen=True)
class DicomOptions:
    """How DICOM series become cases."""

    channel: tuple[str, ...] = ()
    """of DICOM: a channel's name and a regular expression for the description of its series, as NAME=PATTERN; give it
    once for each channel. A study then is a case. By default each series is one, or known contrasts are channels"""
    keep_names: bool = False
    """of DICOM: name cases after the PatientID as it is; without it, after a digest of it"""
    mask_series: str | None = None
    """of DICOM: a regular expression for the description of the masks to use, where a series has several"""
    segments: tuple[str, ...] = ()
    """of DICOM: names of the segments to use, in the order of their label values from 1 on; by default all"""

    def __post_init__(self) -> None:
        """Check the patterns."""
        for text in self.channel:
            found = _CHANNEL.fullmatch(text)
            require(found is not None, "channel", text, "NAME=PATTERN, such as flair='(?i)flair'")
            require(found is None or _is_pattern(found["pattern"]), "channel", text, "a regular expression after the =")
        names = [text.split("=")[0] for text in self.channel]
        require(len(set(names)) == len(names), "channel", ", ".join(names), "each name once")
        if self.mask_series is not None:
            require(_is_pattern(self.mask_series), "mask_series", self.mask_series, "a regular expression")

    @property
    def patterns(self) -> dict[str, re.Pattern[str]]:
        """Channel name to the pattern of its series' description, in the order given; case is ignored."""
        found = [match for text in self.channel if (match := _CHANNEL.fullmatch(text))]
        return {match["name"]: re.compile(match["pattern"], re.IGNORECASE) for match in found}

    def chosen_mask(self, description: str) -> bool:
        """Whether a mask of this description may be used."""
        return self.mask_series is None or re.search(self.mask_series, description, re.IGNORECASE) is not None

    @classmethod
    def of(cls, options: "DicomOptions") -> "DicomOptions":
        """Return these options alone, of a verb that has more."""
        found: dict[str, Any] = {name: getattr(options, name) for name in _FIELDS}
        return DicomOptions(**found)

    @classmethod
    def recorded(cls, signatures: Iterable[Mapping[str, Any]], own: "DicomOptions | None" = None) -> "DicomOptions":
        """Return the options that an earlier verb was given: the first of these folders that was.

        Args:
            signatures: content of their ``made_by.json``, that of the verb first which read the raw folder; a folder of
                another verb or version has no such options.
            own: what this verb was given, which wins where it says anything.
        """
        if own is not None and own != cls():
            return own
        for signature in signatures:
            config = signature.get("config")
            if isinstance(config, Mapping) and all(name in config for name in _FIELDS):
                found: dict[str, Any] = {name: config[name] for name in _FIELDS}
                lists: dict[str, Any] = {name: tuple(value) for name, value in found.items() if isinstance(value, list)}
                return cls(**found | lists)
        return cls()


ALL_SERIES = DicomOptions()
"""What holds where nothing is asked for."""


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True

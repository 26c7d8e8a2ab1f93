"""The series of a study as the channels of one case: by patterns, by what descriptions say, or each on its own."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from equireg.config import DicomOptions
from equireg.errors import some_of
from equireg.imaging.dicom.planes import SeriesError
from equireg.imaging.dicom.series import Series
from equireg.imaging.placing import SAME_MM
from equireg.layouts.base import Refusal
from equireg.layouts.by_key import by_key
from equireg.layouts.channels import ALIASES, in_channel_order, meaning
from equireg.layouts.dicom.scans import Scan, named

ONLY = "image"
"""Name of the only channel, where the series do not say what it shows."""
_BY_MODALITY = (ONLY, "ct", "pet")
"""Channels that no description is asked for."""
_SHOWN = 5
"""Descriptions of a channel that a line names."""


@dataclass
class Grouping:
    """Cases with the series of their channels."""

    channels: tuple[str, ...]
    cases: list[tuple[str, dict[str, Scan]]] = field(default_factory=list)
    """Name of a case, and channel name to series."""
    refused: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def group(scans: Sequence[Scan], options: DicomOptions, wanted: Sequence[str]) -> Grouping:
    """Say which series make up a case.

    Args:
        scans: all series that are no localisers and the like.
        options: with the patterns of the channels, if any.
        wanted: names of the channels that a model takes; none where that is open.
    """
    studies = by_key(scans, lambda scan: scan.study)
    patterns = options.patterns
    if patterns:
        matches = {
            name: {scan.key for scan in scans if pattern.search(scan.description)} for name, pattern in patterns.items()
        }
        return _by_study(studies, matches)
    warnings: list[str] = []
    if len(wanted) > 1:
        channels = tuple(meaning(name) for name in wanted)
    else:
        channels, warnings = ((), []) if wanted else _common_channels(studies)
    if len(channels) > 1:
        matches = {name: {scan.key for scan in scans if scan.contrast == name} for name in channels}
        return _by_study(studies, matches)
    grouping = _by_series(scans, wanted)
    grouping.warnings = warnings or grouping.warnings
    return grouping


Study = tuple[str, str]
"""Patient and study."""
Matches = Mapping[str, set[tuple[str, str]]]
"""Channel name to the series (study, series) that may be it."""


def _by_study(studies: Mapping[Study, Sequence[Scan]], matches: Matches) -> Grouping:
    """Make a case of each study that has one series for each channel."""
    grouping = Grouping(tuple(matches))
    unused: list[Path] = []
    patients = Counter(uid for _, uid in studies)
    for (_, uid), scans in studies.items():
        name = scans[0].study_case
        chosen = {
            channel: _likeliest([scan for scan in scans if scan.key in keys]) for channel, keys in matches.items()
        }
        unused += [scan.path for scan in scans if not any(scan.key in keys for keys in matches.values())]
        missing = [channel for channel, several in chosen.items() if not several]
        twice = next((channel for channel, several in chosen.items() if len(several) > 1), None)
        if len(missing) == len(matches):
            continue
        if missing:
            reason = f"{scans[0].path}: its study has no series for the channel {missing[0]} of {', '.join(matches)}."
            remedy = f"Add the series, or give --channel {missing[0]}=PATTERN that fits its description."
            if patients[uid] > 1:
                reason += f" {patients[uid]} patients (PatientID) have a study of this UID."
                remedy += " If they are one, make the PatientIDs equal."
            grouping.refused.append(Refusal(name, reason, remedy))
        elif twice is not None:
            numbers = " and ".join(str(scan.path) for scan in chosen[twice][:3])
            count = len(chosen[twice])
            reason = f"{chosen[twice][0].path}: its study has {count} series for the channel {twice} ({numbers})."
            remedy = f"Give --channel {twice}=PATTERN that fits one alone, or move the others elsewhere."
            grouping.refused.append(Refusal(name, reason, remedy))
        else:
            grouping.cases.append((name, {channel: several[0] for channel, several in chosen.items()}))
    if unused:
        grouping.notes.append(f"left out: {len(unused)} series that are none of the channels, such as {unused[0]}")
    return grouping


def _likeliest(scans: Sequence[Scan]) -> list[Scan]:
    """Return the series that were not computed from others, or all where there are only such."""
    return [scan for scan in scans if not scan.derived] or list(scans)


def _by_series(scans: Sequence[Scan], wanted: Sequence[str]) -> Grouping:
    """Make a case of each series; of another contrast than a model takes, none."""
    need = meaning(wanted[0]) if wanted else ""
    kept = [scan for scan in scans if need not in ALIASES or scan.contrast in (None, need)]
    contrasts = {scan.contrast for scan in kept}
    only = contrasts.pop() if len(contrasts) == 1 else None
    channel = only or ONLY
    grouping = Grouping((channel,), [(name, {channel: scan}) for name, scan in named(kept)])
    others = [scan.path for scan in scans if scan not in kept]
    if others:
        grouping.notes.append(f"left out: {len(others)} series of another contrast than {need}, such as {others[0]}")
    known = sorted({scan.contrast for scan in kept if scan.contrast})
    if len(known) > 1 and not wanted:
        grouping.warnings.append(
            f"each series is a case of its own, and they are of different contrasts: {', '.join(known)}. If they are "
            "channels of one case, give --channel NAME=PATTERN for each; if one is meant, give it alone."
        )
    return grouping


def _common_channels(studies: Mapping[Study, Sequence[Scan]]) -> tuple[tuple[str, ...], list[str]]:
    """Return the contrasts that at least half of the studies have once, where they lie on one grid; and a warning."""
    contrasts = (Counter(scan.contrast for scan in _likeliest(scans)) for scans in studies.values())
    counts = Counter(name for several in contrasts for name, count in several.items() if name and count == 1)
    channels = in_channel_order({name for name, count in counts.items() if 2 * count >= len(studies)})
    whole = any(set(channels) <= {scan.contrast for scan in scans} for scans in studies.values())
    if len(channels) < 2 or not whole:
        return (), []
    alike = [_same_grid(scans, channels) for scans in studies.values()]
    if 2 * sum(answer is True for answer in alike) >= sum(answer is not None for answer in alike):
        return channels, []
    return (), [
        f"studies have series of {', '.join(channels)} that lie on different grids, so each series is a case of its "
        "own. To use them as channels, resample each study to one grid first."
    ]


def _same_grid(scans: Sequence[Scan], channels: Sequence[str]) -> bool | None:
    """Whether the series of the channels lie alike; None where one is missing or no stack."""
    found = [scan.found for scan in _likeliest(scans) if scan.contrast in channels]
    usable = [one.geometry for one in found if isinstance(one, Series)]
    if len(usable) < len(channels):
        return None
    first = usable[0]
    return all(one.shape == first.shape and one.corner_distance_mm(first) <= SAME_MM for one in usable)


def told_descriptions(cases: Iterable[tuple[str, Mapping[str, Scan]]]) -> list[str]:
    """Return what the series of each channel are called, in a line if those of one are called differently."""
    said: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for _, series in cases:
        for channel, scan in series.items():
            if channel not in _BY_MODALITY:
                words = " ".join(scan.description.split())
                said[channel].setdefault(words.casefold(), words)
    told = [f"{name} {some_of(list(map(repr, words.values())), _SHOWN)}" for name, words in said.items()]
    if all(len(words) < 2 for words in said.values()):
        return []
    return [f"series are channels by their descriptions: {'; '.join(told)}"]


def broken(series: Mapping[str, Scan]) -> SeriesError | None:
    """Return why one of a case's series is no stack, if so."""
    return next((scan.found for scan in series.values() if isinstance(scan.found, SeriesError)), None)

"""Options of the verbs that choose scans and take their masks; each says its unit and checks its values."""

from dataclasses import dataclass
from typing import Literal

from equireg.config.checks import require


@dataclass(frozen=True)
class SuggestConfig:
    """Options of `equireg suggest`."""

    count: int = 1
    """scans to suggest"""
    run: tuple[str, ...] = ()
    """runs or an ensemble, with commas between, whose doubt counts and who draw drafts"""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """where the model computes"""
    precision: Literal["auto", "32", "bf16", "16"] = "auto"
    """auto: bfloat16 where the machine computes in it, 32 bits otherwise"""
    scans: str | None = None
    """raw folder of the scans, where it does not lie where `prepare` found it"""
    unlabelled_from: Literal["train", "test"] = "train"
    """test: cases without a mask that the layout calls test may be suggested too"""
    verify: bool = True
    """check the prepared folder's files against their digests when they are first opened"""

    def __post_init__(self) -> None:
        require(self.count >= 1, "count", self.count, "a count from 1")


@dataclass(frozen=True)
class AdoptConfig:
    """Options of `equireg adopt`."""

    by: str | None = None
    """who drew or corrected the masks; kept in the prepared folder"""
    drafts: str | None = None
    """folder with the drafts that were corrected; by default that of `equireg suggest`, beside its masks"""
    scans: str | None = None
    """raw folder of the scans, where it does not lie where `prepare` found it; DICOM masks refer to its series"""
    segments: tuple[str, ...] = ()
    """of DICOM masks: names of the segments to use; by default those that `prepare` was given, or all"""
    verify: bool = True
    """check the prepared folder's files against their digests when they are first opened"""

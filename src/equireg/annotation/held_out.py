"""Scans that a layout holds out without a mask: they test nothing, and train once they are annotated."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace

from equireg import folders
from equireg.folders.prepared import Manifest, PreparedSet

log = logging.getLogger("equireg")


def movable(data: PreparedSet) -> frozenset[str]:
    """Return the cases that test for no other reason than that their layout holds them out, and that nothing can judge.

    No scan of such a patient has a mask. Where a file of splits was given, its word counts, and there are none.
    """
    config = folders.read_signature(data.root, "prepare").get("config")
    if isinstance(config, Mapping) and config.get("split") is not None:
        return frozenset()
    cases = data.manifest.cases
    masked = {case.patient for case in cases if case.labelled}
    return frozenset(
        case.name for case in cases if case.split == "test" and case.held_out and case.patient not in masked
    )


def moved(manifest: Manifest, annotated: Collection[str]) -> Manifest:
    """Return a manifest in which the patients of the cases that test and have a mask now train, with all their scans.

    Args:
        manifest: with the cases as they are now.
        annotated: the cases whose masks were just taken in.
    """
    patients = {case.patient for case in manifest.cases if case.name in annotated and case.split == "test"}
    if not patients:
        return manifest
    cases = [replace(case, split="train") if case.patient in patients else case for case in manifest.cases]
    named = [case.name for case in cases if case.name in annotated and case.patient in patients]
    log.warning("held out as test without a mask so far, these train from now on: %s", ", ".join(named))
    return replace(manifest, cases=tuple(cases))

"""Nothing that a page shows may reveal where files lie: paths often name patients, people and hospitals."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from equireg.folders.run_facts import RunFacts

LEFT_OUT = "(a path, left out)"
"""Stands in place of every value that may be a path."""


def without_paths(value: Any) -> Any:
    """Copy plain values (dict, list, str, number, None) with everything that may be a path replaced.

    A text counts as a path if it holds a slash or a backslash at all, or begins with a home folder: relative
    paths carry names as well as absolute ones, and no option of equireg has a slash in its value.
    """
    if isinstance(value, Mapping):
        return {without_paths(str(key)): without_paths(content) for key, content in value.items()}
    if isinstance(value, list | tuple):
        return [without_paths(content) for content in value]
    if isinstance(value, str):
        return LEFT_OUT if "/" in value or "\\" in value or value.startswith("~") else value
    return value


def last_part(name: str) -> str:
    """Return what stands after the last slash or backslash of a name, which may be a path of any system."""
    return PureWindowsPath(PurePosixPath(name).name).name or "unnamed"


def facts_without_paths(facts: RunFacts) -> RunFacts:
    """Copy a run's facts with the last part of every name, and without paths among its options."""
    texts = {
        key: last_part(str(value))
        for key in ("name", "method", "dataset", "split")
        if (value := getattr(facts, key)) is not None
    }
    return replace(facts, **texts, options=without_paths(facts.options))

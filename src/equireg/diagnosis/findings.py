"""What a check found, and the page that all findings make."""

import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from equireg._version import __version__
from equireg.errors import printable

State = Literal["ok", "warning", "failure"]
_SHOWN = {"ok": "ok", "warning": "warning", "failure": "will not work"}
_WIDTH = 110
_COLUMN = 32
"""Where the findings begin."""
GIB = 2**30


@dataclass(frozen=True)
class Finding:
    """One line of the page."""

    check: str
    """what was looked at"""
    state: State
    finding: str
    """what was found, with numbers and units"""
    remedy: str = ""
    """how to mend it; empty only where all is well"""

    def __post_init__(self) -> None:
        if (self.state == "ok") != (not self.remedy):
            raise ValueError(
                f"{self.check}: {self.state} with the remedy {self.remedy!r}; expected one unless it is ok"
            )


def ok(check: str, finding: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(check, "ok", finding)


def warning(check: str, finding: str, remedy: str) -> Finding:
    """Return a finding that costs time or may fail later."""
    return Finding(check, "warning", finding, remedy)


def failure(check: str, finding: str, remedy: str) -> Finding:
    """Return a finding with which something will not work."""
    return Finding(check, "failure", finding, remedy)


@dataclass(frozen=True)
class Diagnosis:
    """All findings of `equireg doctor`; its text is one page, or JSON where that was asked for."""

    findings: Sequence[Finding]
    as_json: bool = False
    """whether its text is JSON"""

    @property
    def failures(self) -> list[Finding]:
        """What will not work."""
        return [finding for finding in self.findings if finding.state == "failure"]

    @property
    def passed(self) -> bool:
        """Whether everything will work, with warnings or without."""
        return not self.failures

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"equireg": __version__, "passed": self.passed, "findings": [asdict(one) for one in self.findings]}

    def __str__(self) -> str:
        if self.as_json:
            return json.dumps(self.as_dict(), indent=1)
        lines = [line for finding in self.findings for line in _lines(finding)]
        return printable("\n".join([f"equireg {__version__}", *lines, "", self._summary()]))

    def _summary(self) -> str:
        warnings = sum(finding.state == "warning" for finding in self.findings)
        counts = [(len(self.failures), "check fails", "checks fail"), (warnings, "warning", "warnings")]
        said = [f"{count} {one if count == 1 else many}" for count, one, many in counts if count]
        return ", ".join(said) + "." if said else "Everything works."


def _lines(finding: Finding) -> list[str]:
    """Return what was found, wrapped, and the remedy under it."""
    left = f"{_SHOWN[finding.state]:15}{finding.check:{_COLUMN - 16}} "
    first, *rest = textwrap.wrap(finding.finding, _WIDTH - _COLUMN, break_on_hyphens=False) or [""]
    remedy = textwrap.wrap(f"-> {finding.remedy}", _WIDTH - _COLUMN, subsequent_indent="   ", break_on_hyphens=False)
    return [left + first, *(" " * _COLUMN + line for line in [*rest, *(remedy if finding.remedy else [])])]

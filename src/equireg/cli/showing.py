"""What verbs print at their end."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equireg.errors import EquiregError, printable

if TYPE_CHECKING:
    from equireg.diagnosis.findings import Diagnosis


def show_text(text: str) -> None:
    """Print text as it is: it is our own."""
    print(text)


def show_path(path: Path) -> None:
    """Print where the result lies."""
    print(printable(str(path)))


def show_plan(planned: Any) -> None:
    """Print a plan as tables, or as JSON where that was asked for."""
    if planned.json:
        show_json(planned.as_dict())
        return
    show_lines(planned)


def show_json(content: Mapping[str, Any]) -> None:
    """Print plain values as JSON."""
    print(json.dumps(content, indent=2))


def show_lines(result: object) -> None:
    """Print a result as text, such as the scores of each region and their mean."""
    for line in str(result).splitlines():
        print(printable(line))


def show_diagnosis(diagnosis: "Diagnosis") -> None:
    """Print what was found.

    Raises:
        EquiregError: if something will not work.
    """
    print(diagnosis)
    if not diagnosis.passed:
        names = ", ".join(finding.check for finding in diagnosis.failures)
        raise EquiregError(f"this machine is not ready: {names} will not work. The lines above say how to mend it.")

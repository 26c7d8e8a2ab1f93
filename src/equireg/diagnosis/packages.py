"""Versions of Python and of the libraries: what equireg asks for, and what is known to be bad."""

import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from equireg.diagnosis.findings import Finding, failure, ok, warning

_PYTHON = (3, 11)
_SHOWN = ("torch", "numpy", "monai", "lightning")
"""Libraries that get a line of their own even where all is well."""
_DEVELOPERS = ("dev",)
"""Extras that users do not need."""

Version = Callable[[str], str]
"""Gives the version of an installed distribution; raises ``PackageNotFoundError``."""


@dataclass(frozen=True)
class KnownBad:
    """Versions of a library with which equireg goes wrong."""

    package: str
    versions: str
    reason: str
    remedy: str


KNOWN_BAD = (
    KnownBad(
        "torch",
        "==2.9.*",
        "computes 3D convolutions in 16 bits about four times slower than others, and takes far more memory",
        "pip install 'torch!=2.9.*'",
    ),
    KnownBad(
        "lightning",
        "==2.6.2",
        "was malware, and was taken from PyPI",
        "Uninstall it, treat the machine's passwords and keys as known to others, then pip install 'lightning>=2.6.4'",
    ),
    KnownBad(
        "lightning",
        "==2.6.3",
        "was malware, and was taken from PyPI",
        "Uninstall it, treat the machine's passwords and keys as known to others, then pip install 'lightning>=2.6.4'",
    ),
)
"""The table of versions known to be bad, each with its reason."""


def check_packages(version: Version = metadata.version) -> Iterator[Finding]:
    """Yield what is found of Python, of each library that is needed, and of the extras.

    Args:
        version: gives the version of an installed distribution.
    """
    yield _python(sys.version_info[:2], platform.python_version())
    try:
        needed = [Requirement(line) for line in metadata.requires("equireg") or ()]
    except metadata.PackageNotFoundError:
        remedy = "Install it, such as by `pip install -e .` in its folder."
        yield warning("equireg", "runs from its source, not installed; the versions it needs are unknown", remedy)
        needed = [Requirement(name) for name in _SHOWN]
    plain = [requirement for requirement in needed if _applies(requirement, "")]
    found = [_library(requirement, version) for requirement in plain]
    shown = [finding for finding in found if finding.state != "ok" or finding.check in _SHOWN]
    yield from shown
    if len(shown) < len(found):
        yield ok("other libraries", f"{len(found) - len(shown)} are installed in versions that fit")
    yield from _extras(needed, version)


def _python(running: tuple[int, ...], full: str) -> Finding:
    if running < _PYTHON:
        needed = ".".join(map(str, _PYTHON))
        return failure("Python", f"{full}; equireg needs {needed} or newer", f"Install Python {needed} or newer.")
    return ok("Python", f"{full} on {platform.system()} {platform.release()}, {platform.machine()}")


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _library(requirement: Requirement, version: Version) -> Finding:
    """Compare an installed library with what is asked for and with the table."""
    name = requirement.name
    wanted = f"pip install '{name}{requirement.specifier}'"
    try:
        installed = version(name)
    except metadata.PackageNotFoundError:
        return failure(name, "is not installed", wanted)
    for bad in KNOWN_BAD:
        if bad.package == name and SpecifierSet(bad.versions).contains(installed, prereleases=True):
            return failure(name, f"{installed} {bad.reason}", bad.remedy)
    if not requirement.specifier.contains(installed, prereleases=True):
        return failure(name, f"{installed}; expected {requirement.specifier}", wanted)
    return ok(name, installed)


def _extras(needed: list[Requirement], version: Version) -> Iterator[Finding]:
    """Yield one line on the extras that are there and those that are not, and one for each that is wrong."""
    there, missing = [], []
    for extra in _names_of_extras():
        own = [one for one in needed if _applies(one, extra) and not _applies(one, "")]
        found = [_library(requirement, version) for requirement in own]
        wrong = [finding for finding in found if finding.state != "ok"]
        if any(finding.finding == "is not installed" for finding in wrong):
            missing.append(extra)
        elif wrong:
            text = "; ".join(f"{finding.check} {finding.finding}" for finding in wrong)
            yield warning(f"extra {extra}", text, f"pip install --upgrade 'equireg[{extra}]'")
        else:
            there.append(extra)
    if there or missing:
        absent = f"; without {', '.join(missing)} (`pip install 'equireg[{missing[0]}]'`)" if missing else ""
        yield ok("extras", (", ".join(there) or "none") + absent)


def _names_of_extras() -> list[str]:
    try:
        names = metadata.metadata("equireg").get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        return []
    return [name for name in names if name not in _DEVELOPERS]

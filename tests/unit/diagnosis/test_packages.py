"""Versions: what is asked for, what is known to be bad, and what is missing."""

from collections.abc import Callable
from email.message import Message
from importlib import metadata

import pytest

from equireg.diagnosis import packages
from equireg.diagnosis.findings import Finding

NEEDED = ("torch>=2.5,!=2.9.*", "lightning>=2.6", "numpy>=1.26", 'ray>=2.9; extra == "ray"', 'wandb; extra == "wandb"')


@pytest.fixture(autouse=True)
def _needs(monkeypatch: pytest.MonkeyPatch) -> None:
    about = Message()
    for extra in ("ray", "wandb", "dev"):
        about["Provides-Extra"] = extra
    monkeypatch.setattr(metadata, "requires", lambda _: list(NEEDED))
    monkeypatch.setattr(metadata, "metadata", lambda _: about)


def having(**versions: str) -> Callable[[str], str]:
    known = {"torch": "2.13.0+cpu", "lightning": "2.6.6", "numpy": "2.4.6", **versions}

    def version(name: str) -> str:
        if not known.get(name):
            raise metadata.PackageNotFoundError(name)
        return known[name]

    return version


def found(**versions: str) -> dict[str, Finding]:
    return {finding.check: finding for finding in packages.check_packages(having(**versions))}


def test_all_is_well() -> None:
    lines = found()
    assert {finding.state for finding in lines.values()} == {"ok"}
    assert lines["torch"].finding == "2.13.0+cpu"
    assert lines["extras"].finding == "none; without ray, wandb (`pip install 'equireg[ray]'`)"


def test_a_version_known_to_be_bad_says_why() -> None:
    torch, lightning = found(torch="2.9.1")["torch"], found(lightning="2.6.3")["lightning"]
    assert (torch.state, lightning.state) == ("failure", "failure")
    assert "four times slower" in torch.finding
    assert "malware" in lightning.finding
    assert "passwords" in lightning.remedy


def test_a_version_that_is_too_old() -> None:
    finding = found(numpy="1.21.0")["numpy"]
    assert finding.state == "failure"
    assert finding.finding == "1.21.0; expected >=1.26"
    assert finding.remedy == "pip install 'numpy>=1.26'"


def test_a_library_that_is_missing() -> None:
    finding = found(torch="")["torch"]
    assert (finding.state, finding.finding) == ("failure", "is not installed")


def test_extras() -> None:
    assert found(ray="2.60.0")["extras"].finding.startswith("ray; without wandb")
    old = found(ray="1.0")["extra ray"]
    assert old.state == "warning"
    assert "1.0; expected >=2.9" in old.finding


def test_an_old_python() -> None:
    assert packages._python((3, 9), "3.9.2").state == "failure"
    assert packages._python((3, 11), "3.11.7").state == "ok"


def test_a_source_tree_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", missing)
    monkeypatch.setattr(metadata, "metadata", missing)
    lines = found(monai="1.6.1")
    assert lines["equireg"].state == "warning"
    assert lines["torch"].state == "ok"
    assert found(torch="2.9.0", monai="1.6.1")["torch"].state == "failure"


def test_the_table_and_what_is_asked_for_agree() -> None:
    """A version in the table must be one that an installation refuses."""
    import tomllib
    from pathlib import Path

    from packaging.requirements import Requirement

    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    asked = {one.name: one.specifier for one in map(Requirement, project["dependencies"])}
    for bad in packages.KNOWN_BAD:
        assert not asked[bad.package].contains(bad.versions.removeprefix("==").replace("*", "0")), bad

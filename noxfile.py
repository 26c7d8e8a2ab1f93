"""The tests under other versions of Python and of libraries: `nox --list`, `nox -s lint docs package tests-3.12`.

`make test` runs the tests in .venv, with the versions of constraints.txt; here each session has its own environment.
"""

import shutil
import tomllib
from pathlib import Path

import nox
from packaging.requirements import Requirement

ROOT = Path(__file__).parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
NEWEST = next((version for version in reversed(PYTHONS) if shutil.which(f"python{version}")), PYTHONS[-1])
"""The newest of them that is installed."""
LIGHT = ("tests/unit/folders", "tests/unit/config", "tests/unit/cli", "tests/unit/imaging", "tests/unit/layouts")
"""What each library is used by, without a training."""
NEEDS_TORCH = ("--ignore=tests/unit/cli/test_garbage.py",)
"""Of those, what stands in for a training."""
TORCH = ("torch", "monai", "lightning")
EXTRAS = ("dicom", "onnx", "openvino", "serve")
"""Extras whose lowest versions are tried; the others talk to services."""
TRAINED = (
    "tests/integration/test_earlier_versions.py",
    "tests/integration/test_engines.py",
    "tests/integration/test_serve_verb.py",
    "tests/integration/test_train_verb.py",
    "tests/unit/test_model.py",
    "tests/unit/networks",
    "tests/unit/transforms",
)
THREADS = {"OMP_NUM_THREADS": "1"}

nox.options.sessions = ["lint", "docs", "notebook", "package", "tests"]
nox.options.error_on_missing_interpreters = False


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """All tests with the versions of constraints.txt."""
    _install(session, "dev", constraints="constraints.txt")
    session.run("pytest", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", *session.posargs, env=THREADS)


@nox.session(python=PYTHONS)
def light(session: nox.Session) -> None:
    """What needs no torch, for a Python whose torch cannot be had: files, geometry, folders, layouts, options."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [text for text in (*project["dependencies"], *extras["dicom"]) if Requirement(text).name not in TORCH]
    session.install("-c", "constraints.txt", "pytest", "pytest-xdist", "hypothesis", "dcm2niix", "jsonschema", *wanted)
    session.install("--no-deps", "-e", ".")
    options = ("-o", "filterwarnings=")
    session.run("pytest", *options, *(session.posargs or (*LIGHT, *NEEDS_TORCH)), env=THREADS)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """The lowest versions that pyproject.toml allows, torch, MONAI and Lightning among them."""
    _install_lowest(session, without=())
    session.run("pytest", "-o", "filterwarnings=", *(session.posargs or (*LIGHT, *TRAINED)), env=THREADS)


@nox.session(python=PYTHONS[0])
def lowest_others(session: nox.Session) -> None:
    """The same where only the torch of constraints.txt can be had, which the lowest MONAI refuses."""
    _install_lowest(session, without=("torch", "monai"))
    session.run("pytest", "-o", "filterwarnings=", *(session.posargs or (*LIGHT, *TRAINED)), env=THREADS)


@nox.session(python=NEWEST)
def newest(session: nox.Session) -> None:
    """The newest versions of everything, under the newest Python that is installed."""
    session.install("--upgrade", "--upgrade-strategy", "eager", "-e", ".[dev]")
    session.run("pytest", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", *session.posargs, env=THREADS)


@nox.session(python=PYTHONS[0])
def lint(session: nox.Session) -> None:
    """Style, types and the direction of imports."""
    _install(session, "dev,docs,release", constraints="constraints.txt")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("pyright", "--pythonpath", session.virtualenv.location + "/bin/python")
    session.run("lint-imports")


@nox.session(python=PYTHONS[0])
def docs(session: nox.Session) -> None:
    """The docs site, strict."""
    _install(session, "docs", constraints="constraints.txt")
    session.run("mkdocs", "build", "--strict", "--site-dir", session.create_tmp(), env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session(python=PYTHONS[0])
def notebook(session: nox.Session) -> None:
    """The tutorial, with few steps."""
    _install(session, "docs", constraints="constraints.txt")
    options = ("-o", "addopts=", "-o", "filterwarnings=", "--nbmake", "--nbmake-timeout=900")
    session.run("pytest", *options, "docs/tutorials", env={**THREADS, "EQUIREG_TUTORIAL_STEPS": "40"})


@nox.session(python=PYTHONS[0])
def package(session: nox.Session) -> None:
    """Wheel and source distribution, checked, and the wheel run in an environment of its own."""
    session.install("-c", "constraints.txt", "build", "twine", "check-wheel-contents", "setuptools>=77")
    out = Path(session.create_tmp())
    session.run("python", "-m", "build", "--no-isolation", "--outdir", str(out))
    made = sorted(map(str, out.glob("equireg-*")))
    session.run("twine", "check", "--strict", *made)
    wheel = next(file for file in made if file.endswith(".whl"))
    session.run("check-wheel-contents", wheel)
    session.run("tests/package/try_wheel.sh", wheel, external=True, env={"PYTHON": f"{session.bin}/python"})


def _install(session: nox.Session, extras: str, constraints: str) -> None:
    session.install("-c", constraints, "torch")
    session.install("-c", constraints, "-e", f".[{extras}]")


def _install_lowest(session: nox.Session, without: tuple[str, ...]) -> None:
    """Install each library that equireg itself needs in its lowest version; those that the tests need as they come."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(text for name in EXTRAS for text in extras[name])]
    floors = [floor(text) for text in wanted if Requirement(text).name not in without]
    file = Path(session.create_tmp()) / "lowest.txt"
    file.write_text("".join(f"{line}\n" for line in floors))
    session.install("-c", "constraints.txt", "pytest", "pytest-xdist", "hypothesis", "jsonschema", "dcm2niix", "httpx")
    if without:
        session.install("-c", "constraints.txt", *without)
    session.install("-c", str(file), "-e", f".[{','.join(EXTRAS)}]")


def floor(requirement: str) -> str:
    """Return the lowest version that a requirement allows, as a constraint, such as ``numpy==1.26``."""
    parsed = Requirement(requirement)
    lowest = next(part.version for part in parsed.specifier if part.operator == ">=")
    return f"{parsed.name}=={lowest}"

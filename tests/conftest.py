"""What all tests share: real scans where they lie beside the project, and small phantom scans everywhere."""

import gc
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples in every run, and no clock: machines that run the tests are shared and noisy.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")
os.environ.setdefault("TQDM_DISABLE", "1")
# Tiny networks on many threads spend their time waiting for each other; set before torch is first imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@dataclass(frozen=True)
class Outcome:
    """What a command line left behind."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that begins with ``error:``, which must be the last and come without a traceback."""
        lines = self.err.splitlines()
        assert [line for line in lines if line.startswith("error:")] == lines[-1:], self.err
        assert "Traceback" not in self.err
        assert "unexpected" not in lines[-1], self.err
        return lines[-1]


@pytest.fixture
def equireg(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Outcome]]:
    """Return the command `equireg`, run in this process."""
    from equireg.cli import main

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    yield run
    logger = logging.getLogger("equireg")
    logger.handlers.clear()  # they hold a stream that pytest closes
    logger.propagate = True


@pytest.fixture(scope="session", autouse=True)
def _one_job() -> Iterator[None]:
    """Let verbs work in this process where a test gives no `jobs`: a process that is begun loads everything again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("equireg.processes.jobs.usable_cores", lambda: 1)
        yield


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Return the folder of a real data set, or skip where it is not at hand."""
    root = Path(os.environ.get("EQUIREG_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))

    def folder(name: str) -> Path:
        if not (root / name).is_dir():
            pytest.skip(f"real scans are not at hand: {root / name} (set EQUIREG_TEST_DATA)")
        return root / name

    return folder


@pytest.fixture(scope="session")
def phantom_raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return six small phantom scans in BraTS layout, four of them with a mask."""
    from equireg.phantom import PhantomConfig, write_dataset

    folder = tmp_path_factory.mktemp("phantom") / "raw"
    return write_dataset(folder, PhantomConfig(cases=6, shape=(32, 32, 16), spacing_mm=(6.0, 6.0, 8.0), masked=4))


@pytest.fixture(scope="session")
def phantom_prepared(phantom_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return those scans prepared: two labelled cases to train, one to validate, one to test."""
    from equireg.preparation.prepare import prepare

    out = tmp_path_factory.mktemp("phantom") / "prepared"
    prepare(phantom_raw, out, val_fraction=0.25, test_fraction=0.25, jobs=1)
    return out


def pytest_collection_finish() -> None:
    """Leave what the libraries have made out of every later garbage collection, which would walk over it each time."""
    gc.collect()
    gc.freeze()

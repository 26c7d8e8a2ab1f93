"""What the integration tests share: tiny options and one trained run."""

from pathlib import Path
from typing import Any

import pytest

DRAWN = ("--class_prior", "false")
"""A head as it is drawn, so that a few steps already show every class somewhere."""
TINY = ("--network.features", "4", "--max_steps", "4", "--val_every", "2", "--batch_size", "2", "--unsup_ratio", "1")


@pytest.fixture(scope="session")
def tiny() -> tuple[str, ...]:
    """Return options of `equireg train` with which it takes a second."""
    return (*TINY, "--device", "cpu", "--precision", "32", *DRAWN)


@pytest.fixture(scope="session")
def phantom_run(phantom_prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny EquiReg run on the phantoms."""
    from equireg.training.train import train

    out = tmp_path_factory.mktemp("phantom") / "run"
    options: dict[str, Any] = dict(
        zip((name.removeprefix("--") for name in TINY[::2]), map(int, TINY[1::2]), strict=True)
    )
    return train(phantom_prepared, out, method="equireg", device="cpu", precision="32", class_prior=False, **options)


@pytest.fixture(scope="session")
def phantom_predictions(phantom_run: Path, phantom_prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return that run's predictions of the test case."""
    from equireg.prediction.predict import predict

    out = tmp_path_factory.mktemp("phantom") / "predictions"
    return predict(phantom_run, phantom_prepared, out, split="test", test_time="none", device="cpu", precision="32")


@pytest.fixture
def page_of_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let reports hold tables alone: most of their time goes into drawings, which have tests of their own."""
    from equireg.reporting import page
    from equireg.reporting.sections import made, results

    monkeypatch.setattr(page, "OF_A_COHORT", (results.section,))
    monkeypatch.setattr(page, "OF_THE_PAGE", (made.section,))

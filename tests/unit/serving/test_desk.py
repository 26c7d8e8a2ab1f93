"""What a request says of a training, as options of `equireg train`."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from equireg.config import ServeConfig
from equireg.errors import EquiregError
from equireg.serving.desk import Desk


def arguments_of(params: dict[str, Any]) -> list[str]:
    """Return what a training is started with."""
    desk: Any = SimpleNamespace(
        name="run",
        config=ServeConfig(),
        data=SimpleNamespace(root=Path("prepared")),
        rounds=SimpleNamespace(newest_network=lambda: None, next_folder=lambda: Path("run_2")),
        training=SimpleNamespace(start=lambda name, arguments, out: arguments),
    )
    made: Any = Desk.train(desk, params)
    return made


def test_limits_of_a_training_are_passed_in_full() -> None:
    assert arguments_of({"max_steps": 1234567})[-2:] == ["--max_steps", "1234567"]
    assert arguments_of({"max_minutes": 0.123456789})[-2:] == ["--max_minutes", "0.123456789"]


@pytest.mark.parametrize("limits", [{"max_steps": -3}, {"max_steps": float("nan")}, {"max_minutes": float("nan")}])
def test_limits_that_no_training_takes_are_refused_before_it_starts(limits: dict[str, Any]) -> None:
    with pytest.raises(EquiregError, match=f"{next(iter(limits))} is"):
        arguments_of(limits)

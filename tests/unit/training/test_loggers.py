"""Loggers by name, without their libraries where those are absent."""

import sys
import types
from pathlib import Path

import pytest
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

import equireg
from equireg import registry
from equireg.errors import EquiregError, UsageError
from equireg.training import loggers
from equireg.training.loggers import make_loggers, names_of, picture_makers


def test_loggers_are_made_by_name(tmp_path: Path) -> None:
    made = make_loggers("tensorboard, csv", tmp_path)
    assert [type(logger) for logger in made] == [TensorBoardLogger, CSVLogger]
    assert make_loggers("none", tmp_path) == make_loggers("", tmp_path) == []
    assert list(tmp_path.iterdir()) == []
    assert picture_makers(made) == made[:1]


def test_the_rows_of_a_run_that_goes_on_leave_those_before(tmp_path: Path) -> None:
    for step in range(3):
        [logger] = make_loggers("csv", tmp_path)
        logger.log_metrics({"train/total": 1.0}, step)
        logger.save()
    files = [tmp_path / "csv" / version / "metrics.csv" for version in ("", "resumed_1", "resumed_2")]
    assert [file.read_text().splitlines()[1].split(",")[0] for file in files] == ["0", "1", "2"]


def test_a_training_that_is_one_task_of_a_job_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning has read the number of the task as the rank."""
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    for rank in (1, 0):
        [logger] = make_loggers("csv", tmp_path, rank)
        logger.log_metrics({"train/total": 1.0}, 0)
        logger.save()
        assert (tmp_path / "csv" / "metrics.csv").exists() == (rank == 0)


def test_an_unknown_logger_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"--logger is wnadb; expected one of tensorboard, csv, .*Did you mean wandb\?"
    ):
        names_of("csv,wnadb")


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_library_that_is_absent_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def absent(_: Path) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setitem(loggers.LOGGERS, name, absent)
    with pytest.raises(
        UsageError, match=rf"{name} is not installed .*Install it with `pip install 'equireg\[{name}\]'`"
    ):
        make_loggers(f"csv,{name}", tmp_path)


def test_wandb_and_mlflow_are_lightnings_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their libraries are not needed to see what they are asked."""
    asked = {}
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    for kind in ("WandbLogger", "MLFlowLogger"):
        monkeypatch.setattr(
            f"lightning.pytorch.loggers.{kind}",
            lambda *names, kind=kind, **given: asked.setdefault(kind, (names, given)),
        )
    make_loggers("wandb,mlflow", tmp_path / "run")
    assert asked["WandbLogger"] == ((), {"name": "run", "save_dir": tmp_path / "run", "project": "equireg"})
    own = {
        "tracking_uri": f"sqlite:///{tmp_path / 'run' / 'mlflow.db'}",
        "artifact_location": (tmp_path / "run" / "mlruns").as_uri(),
    }
    assert asked["MLFlowLogger"] == (("equireg", "run"), own)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server")
    asked.clear()
    make_loggers("mlflow", tmp_path / "run")
    assert asked["MLFlowLogger"][1] == {"tracking_uri": "http://server", "artifact_location": None}


def test_a_logger_that_takes_pictures_is_found() -> None:
    before = "wandb" in sys.modules
    one = types.SimpleNamespace(log_image=lambda *_: None)
    assert picture_makers([one, types.SimpleNamespace()]) == [one]  # pyright: ignore[reportArgumentType]
    assert ("wandb" in sys.modules) == before


def test_a_logger_of_another_package_is_known_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {kind: {} for kind in registry.TABLES})
    equireg.register("logger", "mine", lambda out: CSVLogger(out, name="mine", version=""))
    (made,) = make_loggers("mine", tmp_path)
    assert isinstance(made, CSVLogger)
    assert Path(made.log_dir) == tmp_path / "mine"
    with pytest.raises(EquiregError, match="expected a word"):
        equireg.register("logger", "none", CSVLogger)


def test_the_library_of_another_packages_logger_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: Path) -> None:
        raise ModuleNotFoundError("No module named 'aim'", name="aim")

    monkeypatch.setattr(registry, "_registered", {kind: {} for kind in registry.TABLES})
    equireg.register("logger", "mine", absent)
    with pytest.raises(UsageError, match=r"mine is not installed .*`pip install 'aim'`"):
        make_loggers("mine", tmp_path)

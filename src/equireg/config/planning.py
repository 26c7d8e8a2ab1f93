"""Options of `equireg plan`."""

from dataclasses import dataclass

from equireg.config.train import TrainConfig


@dataclass(frozen=True)
class PlanConfig(TrainConfig):
    """Options of `equireg plan`: those of `equireg train`, which stay as they are given, and its own."""

    out: str | None = None
    """the file to write; plan.yaml in the prepared folder by default"""
    json: bool = False
    """print JSON in place of tables"""

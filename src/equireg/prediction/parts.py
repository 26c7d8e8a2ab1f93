"""The parts of an ensemble: models of one patch size and dimensions are cut alike, and go through a window together."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from equireg.config import PredictConfig
from equireg.errors import UsageError
from equireg.inference import InferencePlan
from equireg.inference.ensemble import as_one
from equireg.model import Model


@dataclass(frozen=True)
class Part:
    """Models that are cut alike, as one network."""

    network: nn.Module
    """from images to logits, on the device"""
    plan: InferencePlan
    members: int
    """models whose mean the network is"""


def compared_views(plan: InferencePlan, members: int) -> int:
    """Return of how many views the agreement is counted: those of the scan, and each member of several."""
    return plan.compared_views + (members if members > 1 else 0)


def check_views(models: Sequence[Model], config: PredictConfig) -> None:
    """Refuse to write where views disagree if there is one view.

    Raises:
        UsageError: says how to get more.
    """
    plans = [_plan_of(model, config) for model in models]
    if config.disagreement and compared_views(plans[0], plans.count(plans[0])) < 2:
        raise UsageError(
            "--disagreement is true, and each scan is predicted in one view; expected two or more. Give "
            "--quality_views 1 or more."
        )


def parts_of(models: Sequence[Model], config: PredictConfig, device: torch.device) -> list[Part]:
    """Return models as few networks as possible: a part needs memory for windows and sums once, not once a model."""
    alike: dict[InferencePlan, list[nn.Module]] = {}
    for model in models:
        alike.setdefault(_plan_of(model, config), []).append(model.predictor.to(device))
    return [Part(as_one(networks).eval(), plan, len(networks)) for plan, networks in alike.items()]


def _plan_of(model: Model, config: PredictConfig) -> InferencePlan:
    return InferencePlan(
        model.config.spatial_dims,
        model.facts.patch_size,
        model.facts.flip_axes,
        config.test_time,
        config.passes,
        config.overlap,
        config.quality_views,
        model.facts.labels.classes,
    )

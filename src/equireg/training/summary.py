"""What a run says of itself when it starts."""

import logging

from equireg.batches.loading import PatchPlan
from equireg.config import TrainConfig
from equireg.methods import Method
from equireg.training.data import TrainingCases

log = logging.getLogger("equireg")


def log_summary(
    config: TrainConfig, plan: PatchPlan, cases: TrainingCases, method: Method, words: tuple[str, str]
) -> None:
    """Say what is trained; ``words`` are for what samples are cut from, and for the machine."""
    kind, where = words
    weights = sum(weight.numel() for weight in method.student.parameters())
    log.info(
        "%s on %d labelled%s and %d unlabelled cases, %d to validate%s; %s of %s %s%s; %s weights; %s",
        config.method.name,
        len(cases.labelled),
        f", {len(cases.drafted)} drafted" if cases.drafted else "",
        len(cases.unlabelled),
        len(cases.validation),
        "" if config.fold is None else f" (fold {config.fold})",
        kind,
        " x ".join(map(str, plan.patch_size)),
        "pixels" if kind == "pictures" else "voxels",
        "" if config.turns == "none" else f", turned by quarters in {len(plan.turn_planes) or 'no'} plane(s)",
        f"{weights:,}",
        where,
    )

"""What a run says of itself when it starts."""

import logging

from equireg.batches.loading import PatchPlan
from equireg.batches.patches import mixed_sides
from equireg.config import TrainConfig
from equireg.folders.prepared import Manifest
from equireg.methods import Method
from equireg.training.data import TrainingCases

log = logging.getLogger("equireg")


def log_summary(
    config: TrainConfig,
    plan: PatchPlan,
    cases: TrainingCases,
    method: Method,
    words: tuple[str, str],
    manifest: Manifest,
) -> None:
    """Say what is trained, and warn of labels that lose their side.

    Args:
        config: of the run.
        plan: of its samples.
        cases: that it uses.
        method: that is trained.
        words: for what samples are cut from, and for the machine.
        manifest: of the prepared folder.
    """
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
    mixed = mixed_sides(manifest, plan)
    if mixed is not None:
        log.warning("%s", mixed)

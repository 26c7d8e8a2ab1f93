"""What new networks answer before they have learnt: how often each class occurs in the labelled cases."""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn

from equireg.config import NetworkConfig, TrainConfig
from equireg.folders.prepared import CaseRecord
from equireg.model import ModelFacts
from equireg.networks.heads import answer_first, class_axes, first_guess


@dataclass(frozen=True)
class Prior:
    """The first answer of a run's networks."""

    facts: ModelFacts
    probabilities: Tensor
    """of each class, [K]"""

    @classmethod
    def of(cls, config: TrainConfig, facts: ModelFacts, labelled: Iterable[CaseRecord]) -> "Prior | None":
        """Count the classes of the labelled cases; None where the options leave the first answer to chance."""
        if not config.class_prior:
            return None
        counts = [case.class_voxels for case in labelled if len(case.class_voxels) == facts.labels.classes]
        return cls(facts, first_guess([sum(column) for column in zip(*counts, strict=True)])) if counts else None

    def fill(self, network: nn.Module, config: NetworkConfig, index: int) -> None:
        """Set the heads of a new network, built from its options; each of a method's networks alike."""
        facts = self.facts
        axes = class_axes(network, config, len(facts.channels), facts.labels.classes, facts.patch_size)
        answer_first(network, axes, self.probabilities)

"""FixMatch: what the network is sure of in a weak view is its target in a strong one."""

from typing import ClassVar, cast

from torch import Tensor, nn

from equireg.batches.batch import Batch, Samples
from equireg.config import MethodConfig, TrainConfig
from equireg.config.methods import FixMatchConfig, WeakToStrongConfig
from equireg.losses import Averaging, argmax, cross_entropy
from equireg.methods.base import NetworkFactory, Task, TaskMethod, predicted
from equireg.methods.teacher import copy_as_teacher, update_ema
from equireg.transforms import mixing


class WeakToStrong(TaskMethod):
    """Teach the student, in a strong view, the class that it is sure of in the weak one.

    The strong view has the weak one's geometry, changed intensities, and boxes of other samples (CutMix).
    """

    Options: ClassVar[type[MethodConfig]] = WeakToStrongConfig

    def __init__(self, config: TrainConfig, network_factory: NetworkFactory, max_steps: int) -> None:
        super().__init__(config, network_factory, max_steps)
        self.options = cast(WeakToStrongConfig, config.method)

    def weight_at(self, step: int) -> float:
        """Return the weight of the unlabelled loss, the same at every step."""
        return self.options.weight

    def weak_task(self, samples: Samples, batch: Batch) -> Task:
        """Return the weak view and the student's own prediction for it; called without gradient."""
        image, valid = self.geometric_view(samples, batch, "weak")
        return self._masked(image, predicted(self.student, image), valid)

    def strong_task(self, weak: Task, batch: Batch) -> Task:
        """Return the strong view of a weak one, with its target mixed in the same way; each call draws another."""
        image = self.changed_intensities(weak.image, batch)
        if not self.options.cutmix:
            return Task(image, weak.target, weak.area, weak.mask)
        params = mixing.sample(len(image), image.shape[2:], batch.generator, self.options.cutmix)
        return self._masked(*(mixing.apply(part, params) for part in (image, weak.target, weak.area)))

    def _masked(self, image: Tensor, probs: Tensor, area: Tensor) -> Task:
        """Return a task whose mask holds the voxels where the prediction is confident."""
        confident = probs.amax(dim=1, keepdim=True) >= self.options.threshold
        return Task(image, probs, area, area * confident)


class FixMatch(WeakToStrong):
    """FixMatch (Sohn et al. 2020), for segmentation as in section 3.1 of UniMatch (Yang et al. 2023).

    The target is the student's own class in the weak view, where its probability is 0.95 or more. The cross-entropy
    is summed over those voxels and divided by all that lie inside the scan (equation 4), so that it is small while
    few are sure; its weight is 1 from the first step. CutMix is part of the strong view, as in UniMatch.

    A moving average of the weights is kept for inference alone (section 2.4). The paper's decay is 0.999 in a million
    steps; in runs of about a thousand, the first steps would still weigh in such an average, so ours is 0.99.
    """

    Options: ClassVar[type[MethodConfig]] = FixMatchConfig

    def __init__(self, config: TrainConfig, network_factory: NetworkFactory, max_steps: int) -> None:
        super().__init__(config, network_factory, max_steps)
        self.options = cast(FixMatchConfig, config.method)
        self.average = copy_as_teacher(self.student)

    @property
    def predictor(self) -> nn.Module:
        """The moving average."""
        return self.average

    def after_step(self, step: int) -> None:
        """Update the moving average."""
        update_ema(self.average, self.student, step, self.options.ema_decay)

    def task(self, samples: Samples, batch: Batch, step: int) -> Task:
        """Ask, in a strong view, for the student's confident predictions for the weak one."""
        return self.strong_task(self.weak_task(samples, batch), batch)

    def unsupervised_loss(self, logits: Tensor, task: Task) -> Tensor:
        """Return the cross-entropy summed over the mask, divided by all voxels of the scans."""
        return cross_entropy(logits, argmax(task.target), task.mask, Averaging(task.area))

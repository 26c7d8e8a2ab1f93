"""Mean teacher: student and averaged teacher agree on two noisy versions of a scan."""

from typing import ClassVar, cast

from torch import Tensor, nn

from equireg.batches.batch import Batch, Samples
from equireg.config import MethodConfig, TrainConfig
from equireg.config.methods import MeanTeacherConfig
from equireg.losses import squared_error
from equireg.methods.base import NetworkFactory, Task, TaskMethod, predicted
from equireg.methods.schedules import ramp_up
from equireg.methods.teacher import copy_as_teacher, update_ema


class MeanTeacher(TaskMethod):
    """Mean teacher (Tarvainen and Valpola 2017), for segmentation.

    Both networks see one view of a scan, each under intensity changes of its own. The loss is the squared error
    of the student's probabilities against the teacher's (section 2). The paper's settings are for classification;
    weight 0.1, decay 0.99 and a weight that rises over the whole run are those of SSL4MIS (Luo et al. 2020).
    """

    Options: ClassVar[type[MethodConfig]] = MeanTeacherConfig

    def __init__(self, config: TrainConfig, network_factory: NetworkFactory, max_steps: int) -> None:
        super().__init__(config, network_factory, max_steps)
        self.options = cast(MeanTeacherConfig, config.method)
        self.teacher = copy_as_teacher(self.student)

    @property
    def predictor(self) -> nn.Module:
        """The teacher."""
        return self.teacher

    def after_step(self, step: int) -> None:
        """Update the teacher, the moving average of the student."""
        update_ema(self.teacher, self.student, step, self.options.ema_decay)

    def weight_at(self, step: int) -> float:
        """Return the weight of the unlabelled loss at a step."""
        return self.options.weight * ramp_up(step, self.options.ramp_up * self.max_steps)

    def task(self, samples: Samples, batch: Batch, step: int) -> Task:
        """Ask for the teacher's probabilities under other intensity changes."""
        image, image_of_teacher, valid = self.two_images(samples, batch)
        return Task(image, self.predicted(image_of_teacher), valid, valid)

    def unsupervised_loss(self, logits: Tensor, task: Task) -> Tensor:
        """Return the squared error of probabilities over the voxels that count."""
        return squared_error(logits, task.target, task.mask)

    def two_images(self, samples: Samples, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return the student's and the teacher's image [B, C, *S], of one view, and ``valid`` [B, 1, *S]."""
        view, valid = self.geometric_view(samples, batch, "strong")
        return self.changed_intensities(view, batch), self.changed_intensities(view, batch), valid

    def predicted(self, image: Tensor) -> Tensor:
        """Return the teacher's probabilities [B, K, *S]; its BatchNorm statistics stay as they are."""
        return predicted(self.teacher, image)

"""Options of the methods, apart from the methods themselves, so that help and completion need no torch."""

from dataclasses import dataclass
from typing import Literal

from equireg.config.checks import require
from equireg.config.model import MethodConfig
from equireg.errors import UsageError


@dataclass(frozen=True)
class SupervisedConfig(MethodConfig):
    """Options of supervised training: none but its name."""

    name: str = "supervised"
    """the method"""


@dataclass(frozen=True)
class PseudoLabelConfig(MethodConfig):
    """Options of pseudo-label."""

    name: str = "pseudo_label"
    """the method"""
    weight: float = 3.0
    """weight of the unlabelled loss at the end of its ramp-up"""
    start: float = 0.1
    """fraction of the steps before the ramp-up of that weight starts from 0"""
    ramp_up: float = 0.5
    """fraction of the steps over which it ramps up linearly"""

    def __post_init__(self) -> None:
        require(self.weight >= 0, "method.weight", self.weight, "0 or more")
        require(0 <= self.start <= 1, "method.start", self.start, "a fraction from 0 to 1")
        require(0 <= self.ramp_up <= 1, "method.ramp_up", self.ramp_up, "a fraction from 0 to 1")


@dataclass(frozen=True)
class MeanTeacherConfig(MethodConfig):
    """Options of the mean teacher."""

    name: str = "mean_teacher"
    """the method"""
    ema_decay: float = 0.99
    """decay a step of the moving average of the weights, which is the teacher"""
    weight: float = 0.1
    """weight of the unlabelled loss"""
    ramp_up: float = 1.0
    """fraction of the steps over which that weight ramps up from 0"""

    def __post_init__(self) -> None:
        require(0 <= self.ema_decay <= 1, "method.ema_decay", self.ema_decay, "a decay from 0 to 1")
        require(self.weight >= 0, "method.weight", self.weight, "0 or more")
        require(0 <= self.ramp_up <= 1, "method.ramp_up", self.ramp_up, "a fraction from 0 to 1")


@dataclass(frozen=True)
class UAMTConfig(MeanTeacherConfig):
    """Options of the uncertainty-aware mean teacher."""

    name: str = "ua_mt"
    """the method"""
    passes: int = 8
    """random passes of the teacher that its uncertainty is measured from"""
    dropout: float = 0.2
    """probability that a feature map of the teacher's encoder is left out in such a pass"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.passes >= 1, "method.passes", self.passes, "a count from 1")
        require(0 <= self.dropout < 1, "method.dropout", self.dropout, "a number from 0 to below 1")


@dataclass(frozen=True)
class ICTConfig(MeanTeacherConfig):
    """Options of interpolation consistency."""

    name: str = "ict"
    """the method"""
    alpha: float = 0.2
    """mixing fractions are drawn from Beta(alpha, alpha): the smaller alpha, the nearer to 0 or 1"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.alpha > 0, "method.alpha", self.alpha, "a number above 0")


@dataclass(frozen=True)
class CPSConfig(MethodConfig):
    """Options of cross pseudo supervision."""

    name: str = "cps"
    """the method"""
    weight: float = 1.5
    """weight of the loss against the other network's class"""
    cutmix: float = 0.0
    """probability that a box of an unlabelled sample is replaced by another sample's"""

    def __post_init__(self) -> None:
        require(self.weight >= 0, "method.weight", self.weight, "0 or more")
        require(0 <= self.cutmix <= 1, "method.cutmix", self.cutmix, "a probability from 0 to 1")


@dataclass(frozen=True)
class WeakToStrongConfig(MethodConfig):
    """Options of methods whose strong view learns the confident predictions for the weak view."""

    weight: float = 1.0
    """weight of the unlabelled loss"""
    threshold: float = 0.95
    """a voxel is used where the predicted class has at least this probability; 0 for every voxel"""
    cutmix: float = 0.5
    """probability that a box of an unlabelled sample is replaced by another sample's"""

    def __post_init__(self) -> None:
        require(self.weight >= 0, "method.weight", self.weight, "0 or more")
        require(0 <= self.threshold <= 1, "method.threshold", self.threshold, "a probability from 0 to 1")
        require(0 <= self.cutmix <= 1, "method.cutmix", self.cutmix, "a probability from 0 to 1")


@dataclass(frozen=True)
class FixMatchConfig(WeakToStrongConfig):
    """Options of FixMatch."""

    name: str = "fixmatch"
    """the method"""
    ema_decay: float = 0.99
    """decay a step of the moving average of the weights, which inference uses"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.ema_decay <= 1, "method.ema_decay", self.ema_decay, "a decay from 0 to 1")


@dataclass(frozen=True)
class UniMatchConfig(WeakToStrongConfig):
    """Options of UniMatch."""

    name: str = "unimatch"
    """the method"""
    weight: float = 2.0
    """weight of the unlabelled loss"""
    dropout: float = 0.5
    """probability that a feature map of the weak view does not reach the decoder"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.dropout < 1, "method.dropout", self.dropout, "a number from 0 to below 1")


@dataclass(frozen=True)
class BCPConfig(MethodConfig):
    """Options of bidirectional copy-paste."""

    name: str = "bcp"
    """the method"""
    pretraining: float = 0.25
    """fraction of the steps that train on labelled samples pasted into each other, ahead of the unlabelled ones"""
    weight: float = 0.5
    """weight of the unlabelled part of a mixed image"""
    ema_decay: float = 0.99
    """decay a step of the moving average of the weights, which is the teacher"""

    def __post_init__(self) -> None:
        require(0 <= self.pretraining <= 1, "method.pretraining", self.pretraining, "a fraction from 0 to 1")
        require(self.weight >= 0, "method.weight", self.weight, "0 or more")
        require(0 <= self.ema_decay <= 1, "method.ema_decay", self.ema_decay, "a decay from 0 to 1")


@dataclass(frozen=True)
class EquiRegConfig(MethodConfig):
    """Options of EquiReg; of the thesis: teacher self, targets soft, loss kl; threshold, cutmix and exchange 0."""

    name: str = "equireg"
    """the method"""
    teacher: Literal["self", "ema", "two", "cross"] = "ema"
    """who predicts the target: the network itself, the moving average of its weights, two such averages that are
    updated in turn, one for each moved copy; cross: a second network's average, which learns from this one's"""
    turn: int = 50
    """steps after which it is the other one's turn, where there are two"""
    ema_decay: float = 0.99
    """decay of that average a step"""
    ema_span: float = 0.1
    """part of the steps so far that the average reaches over at most; with 1 it lags in runs of a few hundred steps"""
    targets: Literal["soft", "hard"] = "hard"
    """the teacher's probabilities, or their argmax"""
    threshold: float = 0.9
    """a voxel is used where the teacher's class has at least this probability; 0 for every voxel"""
    balanced: float = 0.5
    """probability that a voxel's class must have as if all classes were equally frequent (Saerens et al. 2002), so that
    a background that is merely common teaches nothing; 0 asks for the threshold alone, a threshold of 0 for neither"""
    loss: Literal["kl", "ce", "ce+dice"] = "ce+dice"
    """divergence from the target to the student"""
    negative: float = 0.0
    """weight, beside that loss, of pushing down the classes that the teacher rules out in voxels below the threshold;
    of two classes none is, unless `ruled_out` is above 1 - `threshold`"""
    ruled_out: float = 0.05
    """probability below which the teacher rules a class out"""
    dice_fades: bool = True
    """multiply the Dice part of that loss by the fraction of the scans that have no mask"""
    cutmix: float = 0.5
    """probability that a box of an unlabelled sample is replaced by another sample's"""
    labelled_boxes: float = 1.0
    """probability that such a box comes from a labelled sample, and brings its annotation as the target"""
    exchange: float | None = None
    """probability that a labelled and an unlabelled sample exchange a box before the network sees them, and its answer
    is exchanged back; by default 1 in slices where what is labelled takes less than 35 % of a sample's sides, else 0"""
    boxes_shrink: float = 0.0
    """how fast boxes shrink with the number of labels: their volume is multiplied by the fraction of the scans that
    have no mask, to this power; 0 for not at all"""
    lesions: float = 0.0
    """probability that a lesion of a labelled sample is pasted into a sample, at a random place of the body"""
    lesions_into: Literal["both", "labelled", "unlabelled"] = "both"
    """into which samples"""
    lesion_border_vox: int = 3
    """voxels about a lesion over which it is blended into what lies there; 0 for a hard border"""
    passes: int = 2
    """copies of the weak view over which the teacher's prediction is averaged, mirrored and turned as `--flips` and
    `--turns` allow: so many are drawn a step, or all where there are no more (8 in a slice with all of them)"""
    context: float = 0.0
    """greatest distance, as a fraction of the patch, of a second window of the same scan, whose prediction is averaged
    into the target where both overlap; of no use where a patch holds whole scans. 0 for none"""
    weight: float = 1.0
    """weight of the unlabelled loss"""
    ramp_up: float = 0.3
    """fraction of the steps over which that weight ramps up from 0"""
    ramp_least: int = 300
    """steps that the ramp-up takes at least, also where the run is shorter, so that a teacher that knows nothing yet
    does not teach; without effect where boxes are exchanged or `ramp_up` is 0"""
    teaching: Literal["ramp", "earned"] = "ramp"
    """ramp up that weight over the steps, or let it follow what the teacher has shown to know (docs/teaching.md)"""
    temperature: float = 1.0
    """divides the teacher's logits: below 1 sharpens the target"""
    atlas: bool = False
    """register the labelled scans to the unlabelled ones; the masks that this carries over are their first targets"""
    atlas_weight: float = 1.0
    """weight of the loss on those targets at the first step"""
    atlas_fade: float = 0.3
    """fraction of the steps over which that weight falls evenly to 0"""
    atlas_least: float = 0.5
    """Dice of carried masks below which there is no atlas: between labelled scans, or of one there and back"""
    averaging: Literal["valid", "tissue", "all"] = "valid"
    """average over voxels from inside the scan, pooled over the batch; over voxels that are not background in the
    strong view, image by image (the thesis' unsup_crop); or over all, those from outside with background as target"""

    def __post_init__(self) -> None:
        ranges = {
            "ema_decay": (0.0, 1.0),
            "ema_span": (0.0, 1.0),
            "threshold": (0.0, 1.0),
            "balanced": (0.0, 1.0),
            "ruled_out": (0.0, 1.0),
            "cutmix": (0.0, 1.0),
            "labelled_boxes": (0.0, 1.0),
            "context": (0.0, 0.5),
            "ramp_up": (0.0, 1.0),
            "lesions": (0.0, 1.0),
            "atlas_fade": (0.0, 1.0),
            "atlas_least": (0.0, 1.0),
        }
        if self.exchange is not None:
            ranges["exchange"] = (0.0, 1.0)
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise UsageError(f"--method.{name} is {getattr(self, name)}; expected {low:g} to {high:g}.")
        if self.weight < 0 or self.temperature <= 0:
            raise UsageError(
                f"--method.weight is {self.weight} and --method.temperature {self.temperature}; "
                "expected 0 or more, and more than 0."
            )
        for name in ("negative", "atlas_weight", "boxes_shrink", "lesion_border_vox", "ramp_least"):
            require(getattr(self, name) >= 0, f"method.{name}", getattr(self, name), "0 or more")
        for name in ("passes", "turn"):
            require(getattr(self, name) >= 1, f"method.{name}", getattr(self, name), "a count from 1")

    @property
    def second_window(self) -> float:
        """How far the second window may lie from the first."""
        return self.context

    def ramp_steps(self, max_steps: int) -> float:
        """Return over how many steps the weight of the unlabelled loss ramps up in a run of so many.

        Where boxes are exchanged, each unlabelled sample shows a part whose annotation is known, and waiting for the
        teacher costs more than it brings (docs/teaching.md).
        """
        planned = self.ramp_up * max_steps
        return max(planned, self.ramp_least) if planned and not self.exchange else planned

"""The options themselves: one frozen dataclass an idea; each says its unit and checks its values."""

from dataclasses import dataclass, field
from typing import Any, Literal

from equireg.errors import UsageError


def _require(holds: bool, option: str, got: Any, expected: str) -> None:
    """Refuse an option's value in the words that every option uses."""
    if not holds:
        raise UsageError(f"--{option} is {got}; expected {expected}.")


@dataclass(frozen=True)
class SpatialConfig:
    """Chance of a spatial transform; ranges are symmetric about no change, 0 switches a part off."""

    probability: float = 0.5
    """chance of each part (flip, rotation, shear, scale, a translation, elastic) on its own"""
    at_least: int = 0
    """parts that every sample gets at the least, drawn at random"""
    flips: bool = True
    """mirror along the axes that the data set allows, each with chance 0.5 where the part is drawn"""
    rotation_deg: float = 0.0
    """greatest rotation, in degrees, in the plane of a slice; in a volume about every axis"""
    shear: float = 0.0
    """greatest shear, as the tangent of its angle"""
    scale: float = 1.0
    """greatest magnification; the least is its inverse (1.25 gives 0.8 to 1.25)"""
    translation: float = 0.0
    """greatest shift, as a fraction of the field of view along each axis"""
    elastic_amplitude: float = 0.0
    """standard deviation of the elastic displacement, as a fraction of the field of view"""
    elastic_smoothness: float = 0.1
    """standard deviation of the Gaussian that smooths it, as a fraction of the field of view"""

    def __post_init__(self) -> None:
        _require(0 <= self.probability <= 1, "probability", self.probability, "a number from 0 to 1")
        _require(self.at_least >= 0, "at_least", self.at_least, "a count from 0")
        _require(0 <= self.rotation_deg <= 180, "rotation_deg", self.rotation_deg, "degrees from 0 to 180")
        _require(0 <= self.shear < 1, "shear", self.shear, "a tangent from 0 to below 1")
        _require(1 <= self.scale <= 4, "scale", self.scale, "a magnification from 1 to 4")
        _require(0 <= self.translation < 1, "translation", self.translation, "a fraction from 0 to below 1")
        _require(0 <= self.elastic_amplitude < 0.5, "elastic_amplitude", self.elastic_amplitude, "0 to below 0.5")
        _require(0 < self.elastic_smoothness <= 1, "elastic_smoothness", self.elastic_smoothness, "above 0 to 1")


@dataclass(frozen=True)
class IntensityConfig:
    """Chance of intensity changes; each strength is the greatest, 0 (or 1 for a ratio) switches it off."""

    probability: float = 0.2
    """chance of each change on its own"""
    brightness: float = 1.3
    """greatest factor on all intensities; the least is its inverse"""
    contrast: float = 1.4
    """greatest factor on the distance from the channel's mean; the least is its inverse"""
    gamma: float = 1.5
    """greatest exponent on intensities scaled to 0 to 1; the least is its inverse"""
    noise: float = 0.2
    """greatest standard deviation of Gaussian noise, in units of normalised intensity"""
    blur_vox: float = 1.0
    """greatest standard deviation of a Gaussian blur, in voxels"""
    low_resolution: float = 2.0
    """greatest factor by which resolution is lowered and raised again"""

    def __post_init__(self) -> None:
        _require(0 <= self.probability <= 1, "probability", self.probability, "a number from 0 to 1")
        for name in ("brightness", "contrast", "gamma", "low_resolution"):
            _require(1 <= getattr(self, name) <= 8, name, getattr(self, name), "a ratio from 1 to 8")
        for name in ("noise", "blur_vox"):
            _require(0 <= getattr(self, name) <= 8, name, getattr(self, name), "a number from 0 to 8")


@dataclass(frozen=True)
class ViewsConfig:
    """The two views of a scan: a weak one, and a strong one that is made from the weak one."""

    weak: SpatialConfig = field(default_factory=lambda: SpatialConfig(translation=0.1))
    """spatial transform of the view that the teacher sees"""
    strong: SpatialConfig = field(
        default_factory=lambda: SpatialConfig(
            probability=0.4,
            rotation_deg=30.0,
            shear=0.15,
            scale=1.3,
            translation=0.1,
            elastic_amplitude=0.015,
            elastic_smoothness=0.1,
        )
    )
    """spatial transform between the two views, and of every labelled sample"""
    intensity: IntensityConfig = field(default_factory=IntensityConfig)
    """intensity changes of the strong view and of every labelled sample"""


@dataclass(frozen=True)
class NetworkConfig:
    """Which network, and how large."""

    name: str = "unet"
    """unet or segresnet"""
    features: int = 32
    """channels of the first stage; each further stage doubles them, up to `max_features`"""
    max_features: int = 320
    """most channels of a stage"""
    stages: int | None = None
    """resolutions, the full one included; by default as many as the patch carries, up to 6"""
    norm: Literal["instance", "batch"] = "instance"
    """normalisation layer"""
    dropout: float = 0.0
    """chance of dropping a channel"""

    def __post_init__(self) -> None:
        _require(self.features >= 1, "network.features", self.features, "a count of channels from 1")
        _require(self.max_features >= self.features, "network.max_features", self.max_features, "features or more")
        _require(self.stages is None or 2 <= self.stages <= 8, "network.stages", self.stages, "2 to 8")
        _require(0 <= self.dropout < 1, "network.dropout", self.dropout, "a number from 0 to below 1")


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimiser and its learning rate over the steps."""

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    """adamw, adam, or sgd with Nesterov momentum 0.99"""
    lr: float = 2e-3
    """highest learning rate"""
    weight_decay: float = 1e-2
    """weight decay"""
    schedule: Literal["cosine", "polynomial", "constant"] = "cosine"
    """decay of the learning rate over `max_steps`, to zero unless constant"""
    warmup: float = 0.1
    """fraction of the steps over which the learning rate rises from zero"""
    clip_norm: float | None = 5.0
    """greatest norm of the gradient over all weights; none for no clipping"""

    def __post_init__(self) -> None:
        _require(self.lr > 0, "optimizer.lr", self.lr, "a number above 0")
        _require(self.weight_decay >= 0, "optimizer.weight_decay", self.weight_decay, "0 or more")
        _require(0 <= self.warmup < 1, "optimizer.warmup", self.warmup, "a fraction from 0 to below 1")
        _require(self.clip_norm is None or self.clip_norm > 0, "optimizer.clip_norm", self.clip_norm, "above 0")


@dataclass(frozen=True)
class MethodConfig:
    """What the options of all methods share."""

    name: str = "supervised"
    """which method"""


@dataclass(frozen=True)
class PrepareConfig:
    """Options of `equireg prepare`."""

    layout: str = "auto"
    """layout of the raw folder: auto, decathlon, nnunet, brats or plain"""
    spacing: str = "auto"
    """voxel spacing to resample to: auto (the median of the cases), none, or three numbers x,y,z in mm"""
    normalise: Literal["auto", "zscore", "ct", "none"] = "auto"
    """zscore inside the foreground, ct for a percentile clip and one scale for all cases, or none"""
    slice_axis: Literal["auto", "x", "y", "z"] = "auto"
    """axis across which slices are cut (x left-right, y back-front, z feet-head); auto: that of widest spacing"""
    flips: str = "auto"
    """axes along which a mirrored scan is still a plausible one: auto, none, or some of x,y,z"""
    val_fraction: float = 0.2
    """fraction of the cases with a mask that training validates on"""
    test_fraction: float = 0.0
    """fraction of the cases with a mask that training never reads"""
    split: str | None = None
    """JSON file with the lists train, val and test of case names, in place of the fractions"""
    split_seed: int = 42
    """seed of the split by patient"""
    jobs: int = 0
    """cases prepared at once; 0 for one a core"""

    def __post_init__(self) -> None:
        for name in ("val_fraction", "test_fraction"):
            _require(0 <= getattr(self, name) < 1, name, getattr(self, name), "a fraction from 0 to below 1")
        _require(self.val_fraction + self.test_fraction < 1, "val_fraction", self.val_fraction, "room for training")
        _require(self.jobs >= 0, "jobs", self.jobs, "a count from 0")
        _require(self.split_seed >= 0, "split_seed", self.split_seed, "a number from 0")


@dataclass(frozen=True)
class TrainConfig:
    """Options of `equireg train`."""

    method: MethodConfig = field(default_factory=MethodConfig)
    """the method and its options"""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """the network"""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """the optimiser"""
    views: ViewsConfig = field(default_factory=ViewsConfig)
    """transforms of the weak and the strong view"""
    sup_cut: float | None = None
    """fraction of the training cases with a mask that are used with it (rounded up); 1.0 by default"""
    unsup_cut: float | None = None
    """fraction of all training cases used without a mask (rounded down, never to none unless 0); 1.0 by default"""
    sup_cases: int | None = None
    """count in place of `sup_cut`"""
    unsup_cases: int | None = None
    """count in place of `unsup_cut`"""
    unlabelled_from: Literal["train", "test"] = "train"
    """test: the cases without a mask that the layout calls test are unlabelled training cases too"""
    batch_size: int = 8
    """labelled samples a step"""
    unsup_ratio: int = 3
    """unlabelled samples a step for each labelled one"""
    seed: int = 42
    """chooses the cases and all chance of training"""
    spatial_dims: Literal[2, 3] = 2
    """2 for slices, 3 for volumes"""
    patch_size: tuple[int, ...] | None = None
    """voxels of a training sample, slowest axis first; by default from the data set's shape"""
    foreground: float = 0.6
    """fraction of labelled samples that are centred on a labelled voxel, each class as often"""
    flips: str = "data"
    """axes of mirroring: data (as prepared), none, or some of x,y,z"""
    max_steps: int = 5000
    """optimiser steps"""
    val_every: int = 500
    """steps between validations; a checkpoint is written as often"""
    early_stopping_steps: int | None = None
    """stop when validation Dice has not risen for so many steps"""
    log_every: int = 25
    """steps between rows of metrics.csv"""
    pictures_every: int = 1000
    """steps between pictures in TensorBoard; 0 for none"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where to compute"""
    precision: Literal["auto", "32", "bf16", "16"] = "auto"
    """auto: bfloat16 where the machine computes in it, 32 bits otherwise"""
    workers: int | None = None
    """processes that read data; by default none where the data fits in memory, else up to 4"""

    def __post_init__(self) -> None:
        for count, cut in (("sup_cases", "sup_cut"), ("unsup_cases", "unsup_cut")):
            number, fraction = getattr(self, count), getattr(self, cut)
            _require(number is None or number >= 0, count, number, "a count from 0")
            _require(fraction is None or 0 <= fraction <= 1, cut, fraction, "a fraction from 0 to 1")
            if number is not None and fraction is not None:
                raise UsageError(f"both --{cut} {fraction} and --{count} {number} are given; give one.")
        _require(self.seed >= 0, "seed", self.seed, "a number from 0")
        for name in ("batch_size", "max_steps", "val_every", "log_every"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "a count from 1")
        for name in ("unsup_ratio", "pictures_every"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "a count from 0")
        stop = self.early_stopping_steps
        _require(stop is None or stop >= 1, "early_stopping_steps", stop, "a count from 1")
        _require(0 <= self.foreground <= 1, "foreground", self.foreground, "a fraction from 0 to 1")
        patch = self.patch_size
        good = patch is None or (len(patch) == self.spatial_dims and min(patch) >= 8)
        _require(good, "patch_size", patch, f"{self.spatial_dims} numbers of 8 or more")


@dataclass(frozen=True)
class PredictConfig:
    """Options of `equireg predict`."""

    checkpoint: Literal["auto", "best", "last"] = "auto"
    """auto: best where training validated, else last"""
    split: Literal["train", "val", "test"] | None = None
    """which cases of a prepared folder"""
    test_time: Literal["none", "flips", "equivariance"] = "flips"
    """average over mirrored scans, or over them and random transforms, each undone on the prediction"""
    passes: int = 8
    """random transforms of `--test_time equivariance`"""
    overlap: float = 0.5
    """overlap of neighbouring windows where a scan is larger than the patch"""
    probabilities: bool = False
    """write CASE_probabilities.nii.gz too, one volume a class"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where to compute"""
    precision: Literal["auto", "32", "bf16", "16"] = "auto"
    """auto: bfloat16 where the machine computes in it, 32 bits otherwise"""

    def __post_init__(self) -> None:
        _require(self.passes >= 1, "passes", self.passes, "a count from 1")
        _require(0 <= self.overlap < 1, "overlap", self.overlap, "a fraction from 0 to below 1")

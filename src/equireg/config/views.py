"""Options of the transforms that make the views of a scan; each says its unit and checks its values."""

from dataclasses import dataclass, field

from equireg.config.checks import require


@dataclass(frozen=True)
class SpatialConfig:
    """Random spatial transforms; ranges are symmetric about no change, 0 switches a part off."""

    probability: float = 0.5
    """probability of each part (flip, rotation, shear, scale, a translation, elastic) on its own"""
    at_least: int = 0
    """each sample gets at least this number of parts, drawn at random"""
    some_of: bool = False
    """draw the number of parts of a sample uniformly from `at_least` to all, instead of by `probability`"""
    flips: bool = True
    """mirror along the axes that the data set allows, each with probability 0.5 where the part is drawn"""
    flip_probability: float | None = None
    """mirror every sample along each of these axes with this probability, whatever other parts it has; `null` draws the
    flip like any other part"""
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
        require(0 <= self.probability <= 1, "probability", self.probability, "a number from 0 to 1")
        require(self.at_least >= 0, "at_least", self.at_least, "a count from 0")
        flip = self.flip_probability
        require(flip is None or 0 <= flip <= 1, "flip_probability", flip, "a number from 0 to 1, or null")
        require(0 <= self.rotation_deg <= 180, "rotation_deg", self.rotation_deg, "degrees from 0 to 180")
        require(0 <= self.shear < 1, "shear", self.shear, "a tangent from 0 to below 1")
        require(1 <= self.scale <= 4, "scale", self.scale, "a magnification from 1 to 4")
        require(0 <= self.translation < 1, "translation", self.translation, "a fraction from 0 to below 1")
        require(0 <= self.elastic_amplitude < 0.5, "elastic_amplitude", self.elastic_amplitude, "0 to below 0.5")
        require(0 < self.elastic_smoothness <= 1, "elastic_smoothness", self.elastic_smoothness, "above 0 to 1")


@dataclass(frozen=True)
class IntensityConfig:
    """Random intensity changes; each strength is the greatest, 0 (or 1 for a ratio) switches it off."""

    probability: float = 0.2
    """probability of each change on its own"""
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
        require(0 <= self.probability <= 1, "probability", self.probability, "a number from 0 to 1")
        for name in ("brightness", "contrast", "gamma", "low_resolution"):
            require(1 <= getattr(self, name) <= 8, name, getattr(self, name), "a ratio from 1 to 8")
        for name in ("noise", "blur_vox"):
            require(0 <= getattr(self, name) <= 8, name, getattr(self, name), "a number from 0 to 8")


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

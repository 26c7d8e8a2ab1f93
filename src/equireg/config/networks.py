"""Options of the networks, apart from the networks themselves, so that help and completion need no torch."""

from dataclasses import dataclass
from typing import Literal

from equireg.config.checks import require
from equireg.config.model import NetworkConfig


@dataclass(frozen=True)
class _StagedConfig(NetworkConfig):
    """Options of networks whose width and depth are a choice."""

    features: int = 32
    """channels of the first stage; each further stage doubles them; planned, unless only `max_steps` is given"""
    stages: int | None = None
    """resolutions, the full one included; by default the most that the patch allows, up to 6"""
    norm: Literal["instance", "batch"] = "instance"
    """normalisation layer"""
    dropout: float = 0.0
    """probability of dropping a channel"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.features >= 1, "network.features", self.features, "a count of channels from 1")
        require(self.stages is None or 2 <= self.stages <= 8, "network.stages", self.stages, "2 to 8")
        require(0 <= self.dropout < 1, "network.dropout", self.dropout, "a number from 0 to below 1")


@dataclass(frozen=True)
class _PlannedConfig(_StagedConfig):
    """Options of the networks of nnU-Net, whose stages follow a plan."""

    max_features: int = 320
    """most channels of a stage"""
    strides: tuple[tuple[int, ...], ...] | None = None
    """stride of each stage along each axis, such as [[1,1,1],[1,2,2]]; by default from the patch"""
    kernels: tuple[tuple[int, ...], ...] | None = None
    """voxels of each stage's kernels along each axis, as many stages as `strides`; by default 3 everywhere"""
    deep_supervision: bool = False
    """learn from the labels at lower resolutions too; in training alone"""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, allowed in (("strides", (1, 2)), ("kernels", (1, 3, 5, 7))):
            stages = getattr(self, name)
            good = stages is None or (len(stages) >= 2 and all(step in allowed for stage in stages for step in stage))
            require(good, f"network.{name}", stages, f"2 stages or more, each with numbers of {allowed}")
        first = self.strides[0] if self.strides else (1,)
        require(set(first) == {1}, "network.strides", self.strides, "a first stage of full resolution, such as [1,1]")
        require(self.max_features >= self.features, "network.max_features", self.max_features, "features or more")


@dataclass(frozen=True)
class UNetConfig(_PlannedConfig):
    """Options of the U-Net of nnU-Net."""

    name: str = "unet"
    """the network"""
    trans_bias: bool = False
    """bias in the transposed convolutions, as in nnU-Net"""


@dataclass(frozen=True)
class ResEncConfig(_PlannedConfig):
    """Options of the residual encoder U-Net of nnU-Net."""

    name: str = "resenc"
    """the network"""
    blocks: tuple[int, ...] | None = None
    """residual blocks of each stage, the last number for all further ones; by default 1,3,4,6,6,6"""

    def __post_init__(self) -> None:
        super().__post_init__()
        good = self.blocks is None or (len(self.blocks) >= 1 and min(self.blocks) >= 1)
        require(good, "network.blocks", self.blocks, "a count of blocks from 1 for each stage")


@dataclass(frozen=True)
class SegResNetConfig(_StagedConfig):
    """Options of SegResNet."""

    name: str = "segresnet"
    """the network"""


@dataclass(frozen=True)
class FCDenseNetConfig(NetworkConfig):
    """Options of the FC-DenseNets, whose shape is fixed."""

    name: str = "tiramisu"
    """the network"""
    dropout: float = 0.0
    """probability of dropping a channel"""
    checkpointing: bool = False
    """compute layers again in the backward pass instead of keeping them: less memory, more time"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.dropout < 1, "network.dropout", self.dropout, "a number from 0 to below 1")

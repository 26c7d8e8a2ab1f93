"""Options of the verbs that make a trained model into something that works elsewhere."""

from dataclasses import dataclass
from typing import Literal

from equireg.config.checks import require


@dataclass(frozen=True)
class _LeavingOptions:
    """What `equireg export` and `equireg pack` share."""

    checkpoint: Literal["auto", "best", "last"] = "auto"
    """checkpoint of a run; auto: best where training validated, else last"""
    name: str | None = None
    """name of the model; by default that of its folder"""
    licence: str | None = None
    """the model's licence, in a line such as "CC-BY 4.0"; mind the licence of the training data"""
    evaluations: tuple[str, ...] = ()
    """outputs of `equireg evaluate` on this model's predictions, for the model card; with commas between them"""

    def __post_init__(self) -> None:
        for option in ("name", "licence"):
            text = getattr(self, option)
            good = text is None or (0 < len(text.strip()) <= 200 and text.isprintable())
            require(good, option, text, "a line of 1 to 200 letters")


@dataclass(frozen=True)
class PackConfig(_LeavingOptions):
    """Options of `equireg pack`."""


@dataclass(frozen=True)
class ExportConfig(_LeavingOptions):
    """Options of `equireg export`."""

    to: Literal["onnx", "torchscript", "nnunet", "monai"] | None = None
    """onnx: for any runtime, with an example in numpy; torchscript: the same by torch alone; nnunet: a results folder
    of nnU-Net v2; monai: a MONAI bundle"""
    test_time: Literal["none", "flips"] = "flips"
    """average over mirrored scans, as `equireg predict` does by default"""
    post_process: Literal["auto", "none"] = "auto"
    """auto: remove the small components that training found on its validation cases to be wrong, if any"""
    prepared: str | None = None
    """for nnunet: the prepared folder of the run, with which nnU-Net's preprocessing is compared; not needed where the
    run leads to it"""
    dataset_id: int = 900
    """for nnunet: number of the data set in the results folder"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= self.dataset_id <= 999, "dataset_id", self.dataset_id, "a number from 1 to 999")

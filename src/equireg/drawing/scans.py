"""How a scan and its regions look in a picture: which channel, which brightness, which colours."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import ImageColor

from equireg.imaging.labels import LabelTable
from equireg.imaging.pictures import CHANNELS
from equireg.preparation.normalise import constant_background

REGION_COLOURS = (
    *("#56b4e9", "#f0e442", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#0072b2"),
    *("#b2df8a", "#fb9a99", "#cab2d6", "#b15928"),
)
"""First Okabe & Ito's colours, which colour-blind readers can distinguish, in an order that stands out on grey."""
_OPACITY = 0.45
"""Of a mask over its scan."""


def region_colours(labels: LabelTable) -> dict[str, str]:
    """Give each judged region its colour, in the data set's order; they come round after the last."""
    return {name: REGION_COLOURS[i % len(REGION_COLOURS)] for i, name in enumerate(labels.judged_regions())}


def label_colour(labels: LabelTable, value: int) -> str:
    """Return the colour of a label that is no background; they come round after the last."""
    return REGION_COLOURS[(labels.values.index(value) - 1) % len(REGION_COLOURS)]


def under_mask(shown: np.ndarray, mask: np.ndarray, labels: LabelTable) -> np.ndarray:
    """Return a scan in colours, those of a mask [D, H, W] over it.

    Args:
        shown: grey values [D, H, W] or colours [D, H, W, 3], 0 to 1.
        mask: label values.
        labels: what they mean.
    """
    colours = shown.copy() if shown.ndim == 4 else np.repeat(shown[..., None], 3, axis=-1)
    for value in np.unique(mask[mask != 0]).tolist():
        own = mask == value
        colour = np.array(ImageColor.getrgb(label_colour(labels, value))) / 255
        colours[own] = (1 - _OPACITY) * colours[own] + _OPACITY * colour
    return colours


def shown_channels(names: Sequence[str], channels: int) -> list[int]:
    """Choose up to two channels: FLAIR shows most of a tumour, T1 with contrast its rim.

    Without these names, the last and the first; of a picture in colour green alone, which is most of its brightness.
    """
    if in_colour(names):
        return [CHANNELS.index("green")]
    lowered = [name.lower() for name in names]

    def find(*wanted: str) -> int | None:
        return next((i for word in wanted for i, name in enumerate(lowered) if word in name), None)

    first, second = find("flair", "t2f"), find("t1ce", "t1c", "t1gd", "t1wce")
    first = channels - 1 if first is None else first
    second = 0 if second is None else second
    return list(dict.fromkeys([first, second]))


def in_colour(channels: Sequence[str]) -> bool:
    """Whether the channels of a scan are those of a picture in colour."""
    return tuple(channels) == CHANNELS


def bright(channel: Callable[[int], npt.ArrayLike], channels: Sequence[str]) -> np.ndarray:
    """Return how a scan is shown, 0 to 1: the channel that shows most in grey, [*S], or colours, [*S, 3].

    Args:
        channel: from the index of a channel to its intensities [*S].
        channels: names of all.
    """
    if in_colour(channels):
        return np.stack([window(np.asarray(channel(index), dtype=np.float32)) for index in range(3)], axis=-1)
    shown = shown_channels(channels, len(channels))[0]
    return window(np.asarray(channel(shown), dtype=np.float32))


def window(image: np.ndarray) -> np.ndarray:
    """Scale intensities [*S] to 0 to 1 between the 1st and the 99.5th percentile of what is not background."""
    inside = foreground(image)
    if not inside.any():
        return np.zeros_like(image, dtype=np.float32)
    low, high = np.percentile(image[inside], [1, 99.5])
    # The lowest tissue stays a little above the black of the background.
    scaled = 0.06 + 0.94 * (image - low) / max(float(high - low), 1e-6)
    return np.where(inside, np.clip(scaled, 0, 1), 0)


def foreground(image: np.ndarray) -> np.ndarray:
    """Return where [h, w] or [D, h, w] differs from its background: the border's constant value, else the least."""
    stack = image if image.ndim == 3 else image[None]
    [constant] = constant_background(stack[None])
    return image != (stack.min() if constant is None else constant)

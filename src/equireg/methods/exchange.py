"""Boxes exchanged between a labelled and an unlabelled scan, after which one transform moves both."""

from dataclasses import dataclass

import torch
from torch import Tensor

from equireg.config import SpatialConfig, ViewsConfig
from equireg.data.batch import Batch, Samples
from equireg.data.labels import IGNORED
from equireg.methods.base import label_of
from equireg.transforms import chance, intensity, mixing, spatial
from equireg.transforms.spatial import SpatialParams, warp_probabilities

_BOX = (0.4, 0.5)
"""Least and greatest part of the field of view that a box takes: each scan then shows about as much of both kinds."""
_UNKNOWN = -1
"""Class of voxels from an unlabelled scan, until the transform is done."""


@dataclass(frozen=True)
class Exchanged:
    """Mixed samples, each voxel with what is known of it: an annotation, or a prediction."""

    image: Tensor
    """[B, C, *S]."""
    label: Tensor
    """Class indices, [B, 1, *S]."""
    annotated: Tensor
    """1 where the label counts, [B, 1, *S]."""
    target: Tensor
    """The teacher's probabilities, [B, K, *S]."""
    predicted: Tensor
    """1 where they count: the voxel is of an unlabelled scan, and inside it, [B, 1, *S]."""


class Exchange:
    """The two views of a batch whose labelled and unlabelled scans exchange boxes.

    Scan j of the labelled ones is paired with as many unlabelled ones as there are for each; a pair shares its weak
    transform, so that a box comes to lie where it was.

    Args:
        batch: with unlabelled samples.
        views: ranges of the weak and the strong transform, and of the intensity changes.
    """

    def __init__(self, batch: Batch, views: ViewsConfig) -> None:
        labelled, unlabelled = batch.labelled, batch.unlabelled
        if unlabelled is None or len(unlabelled.image) % len(labelled.image):
            raise ValueError("got a batch without a whole number of unlabelled samples for each labelled one")
        self.batch, self.views = batch, views
        self.labelled, self.unlabelled = labelled, unlabelled
        self._weak = self._draw(views.weak, unlabelled)
        self.weak_image, _ = spatial.apply(unlabelled.image, self._weak, fill=unlabelled.fill, valid=unlabelled.valid)
        """What the teacher sees, [B, C, *S]."""

    def strong(self, probs: Tensor) -> Exchanged:
        """Return labelled scans with boxes of unlabelled ones, then unlabelled ones with boxes of labelled ones.

        Args:
            probs: the teacher's prediction for ``weak_image``, [B, K, *S].
        """
        n, m = len(self.labelled.image), len(self.unlabelled.image)
        first = torch.arange(n) * (m // n)  # the unlabelled partner of each labelled scan
        owner = torch.arange(m) // (m // n)  # the labelled partner of each unlabelled scan
        parts = [
            self._half(self.labelled, torch.arange(n), first, probs),
            self._half(self.unlabelled, owner, torch.arange(m), probs),
        ]
        return Exchanged(*(torch.cat(both) for both in zip(*(vars(part).values() for part in parts), strict=True)))

    def _half(self, into: Samples, one: Tensor, other: Tensor, probs: Tensor) -> Exchanged:
        """Mix labelled samples ``one`` and unlabelled samples ``other``, of which either are those of ``into``."""
        labelled, unlabelled, generator = self.labelled, self.unlabelled, self.batch.generator
        shape = into.image.shape[2:]
        box = mixing.sample(len(into.image), shape, generator, 1.0, _BOX).box.to(into.image.device)
        own = ~box if into is labelled else box  # where the annotated scan shows
        image = torch.where(own, labelled.image[one], unlabelled.image[other])
        valid = torch.where(own, labelled.valid[one], unlabelled.valid[other])
        label = torch.where(own, label_of(labelled)[one], _UNKNOWN)
        strong = self._draw(self.views.strong, into)
        both = spatial.compose(self._weak[other], strong)
        image, inside = spatial.apply(image, both, fill=into.fill, valid=valid)
        label, _ = spatial.apply(label, both, mode="nearest")
        target, seen = warp_probabilities(probs[other], strong)
        changes = intensity.sample(self.views.intensity, len(image), image.shape[1], generator)
        return Exchanged(
            image=intensity.apply(image, changes),
            label=label,
            annotated=inside * ((label != _UNKNOWN) & (label != IGNORED)),
            target=target,
            predicted=inside * seen * (label == _UNKNOWN),
        )

    def _draw(self, ranges: SpatialConfig, samples: Samples) -> SpatialParams:
        return chance.sample(
            ranges,
            len(samples.image),
            samples.image.shape[2:],
            samples.spacing_mm,
            self.batch.generator,
            self.batch.flip_axes,
        )

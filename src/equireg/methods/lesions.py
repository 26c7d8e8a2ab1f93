"""Batches in which lesions of the labelled samples show at other places too."""

from dataclasses import replace

import torch
from torch import Tensor

from equireg.batches.batch import Batch, Samples, label_of
from equireg.config.methods import EquiRegConfig
from equireg.imaging.labels import IGNORED
from equireg.processes import ranks
from equireg.transforms.lesions import Lesion, find_lesions, paste
from equireg.transforms.views import tissue


def with_lesions(batch: Batch, options: EquiRegConfig) -> Batch:
    """Return a batch with lesions pasted into it, ahead of any transform; the batch itself where none shows a lesion.

    Args:
        batch: of a step; random numbers are drawn from its generator.
        options: ``lesions``, ``lesions_into`` and ``lesion_border_vox``.

    Returns:
        Labelled samples with the lesions in their labels; unlabelled ones whose ``pasted`` has the lesions, and
        ``IGNORED`` elsewhere.
    """
    own = batch.labelled
    found = find_lesions(ranks.gathered(own.image), ranks.gathered(label_of(own)), options.lesion_border_vox)
    labelled, unlabelled = own, batch.unlabelled
    if options.lesions_into in ("both", "labelled"):
        image, classes = _pasted(own, label_of(own), found, batch, options.lesions)
        labelled = replace(own, image=image, label=classes)
    if unlabelled is not None and options.lesions_into in ("both", "unlabelled"):
        nothing = torch.full_like(unlabelled.valid, IGNORED, dtype=torch.long)
        image, classes = _pasted(unlabelled, nothing, found, batch, options.lesions)
        unlabelled = replace(unlabelled, image=image, pasted=classes)
    return replace(batch, labelled=labelled, unlabelled=unlabelled)


def _pasted(
    samples: Samples, classes: Tensor, lesions: list[Lesion], batch: Batch, probability: float
) -> tuple[Tensor, Tensor]:
    """Return images and class indices of samples with lesions; the same numbers are drawn whatever is found."""
    drawn = batch.random.uniform(len(samples.image), 3)
    draws = torch.where(drawn[:, :1] < probability, drawn[:, 1:], -1.0)
    body = tissue(samples.image, samples.fill) & (samples.valid > 0)
    return paste(samples.image, classes, body, lesions, draws)

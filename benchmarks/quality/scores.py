"""Scores of how far each prediction is to be trusted, ours and rivals, beside the true Dice, case by case.

    python benchmarks/quality/scores.py PREPARED OUT.csv NAME=RUN[+OTHER...] ... --split val

RUN is a run in slices; its last checkpoint is asked. OTHERs are runs on the same labelled cases: their predictions are
compared with that of RUN (`others`). The prediction that is judged is the mean over the mirrored scans, as `equireg
predict` makes it; Dice is the mean over the classes in the voxels of the prepared folder, 1 where both are empty. Every
score is the higher the better:

- mirrors: mean Dice of all pairs of mirrored views (where the data set allows none: of the scan alone, so nothing);
- views2, views4, views8: of these and 2, 4 or 8 random views, as `--quality_views` draws them;
- wide4: of the mirrored views and four random ones that reach further (turned by up to 120 degrees, scaled by 1.6);
- intensity4: of the mirrored views and four of other contrast and with noise;
- others: mean Dice of all pairs of RUN and the OTHERs, of the scan as it is;
- teacher: Dice of the student and its moving average, where the method has both;
- entropy: less the mean entropy in the predicted foreground, its outermost voxels left out; confidence: the mean
  probability of the chosen class there;
- volume: less the greatest |log(volume / median volume)| over the classes, of the labelled training cases;
- reverse: reverse classification accuracy (Valindria et al. 2017) in its cheapest form: a ridge regression on smoothed
  intensities and places learns the prediction of this one scan, and is judged on the labelled training cases.
"""

import argparse
import csv
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import Generator, Tensor, nn

from equireg.batches.choice import choose_cases
from equireg.config import SpatialConfig
from equireg.folders.prepared import PreparedSet
from equireg.folders.run import RunFolder
from equireg.inference import Agreement, InferencePlan
from equireg.inference.scan import predict_scan
from equireg.inference.views import doubting_views_of, views_of
from equireg.model import Model, load_model
from equireg.transforms import sampling, spatial

WIDE = SpatialConfig(probability=1.0, flips=False, rotation_deg=120.0, shear=0.3, scale=1.6)
CONTRASTS = ((0.6, 0.0), (1.6, 0.0), (1.0, 0.5), (1.0, 1.0))
"""Factor on the normalised intensities, and standard deviation of the noise."""
MOST_LABELLED = 4
"""Labelled cases that a reverse classifier is judged on."""
COLUMNS: tuple[str, ...] = (
    *("run", "case", "dice", "mirrors", "views2", "views4", "views8", "wide4", "intensity4", "others", "teacher"),
    *("entropy", "confidence", "volume", "reverse"),
)


@dataclass(frozen=True)
class Case:
    """A prepared scan."""

    name: str
    image: Tensor
    """[C, D, H, W]"""
    label: np.ndarray
    """class indices, [D, H, W]"""
    background: Sequence[float]
    spacing_mm: Sequence[float]

    @cached_property
    def features(self) -> np.ndarray:
        """Smoothed intensities, places, and their products, [voxels, F]."""
        image = self.image.numpy()
        width = [1 / spacing for spacing in self.spacing_mm]
        smooth = [ndimage.gaussian_filter(channel, [s * w for w in width]) for channel in image for s in (3.0, 8.0)]
        places = np.meshgrid(*(np.linspace(-1, 1, size) for size in image.shape[1:]), indexing="ij")
        single = np.stack([*image, *smooth, *places]).reshape(len(image) * 3 + 3, -1)
        products = [single[i] * single[j] for i, j in itertools.combinations_with_replacement(range(len(single)), 2)]
        return np.vstack([np.ones_like(single[:1]), single, products]).T


class Asked:
    """A network that is asked for whole scans."""

    def __init__(self, model: Model, network: nn.Module, case: Case, views: int = 0) -> None:
        facts = model.facts
        self.plan = InferencePlan(2, facts.patch_size, facts.flip_axes, "flips", quality_views=views)
        self._alone = InferencePlan(2, facts.patch_size)
        self._network, self._case = network.eval(), case

    def probs(self, image: Tensor | None = None) -> Tensor:
        """Return the probabilities of a scan [C, D, H, W] as it is, [K, D, H, W]."""
        case = self._case
        given = case.image if image is None else image
        return predict_scan(self._network, given, case.background, case.spacing_mm, self._alone)

    def through(self, params: spatial.SpatialParams) -> tuple[Tensor, Tensor]:
        """Return the probabilities of the transformed scan, turned back, and where they are known."""
        moved, _ = spatial.apply(self._case.image.movedim(1, 0), params)
        probs, seen = spatial.apply(self.probs(moved.movedim(0, 1)).movedim(1, 0), spatial.invert(params))
        return probs.movedim(0, 1), seen[:, 0]

    def labels(self, params: spatial.SpatialParams) -> Tensor:
        """Return the classes of the transformed scan, turned back; the number of classes where they are unknown."""
        probs, seen = self.through(params)
        return probs.argmax(dim=0).masked_fill(seen <= 0, len(probs))


def agreed(views: Sequence[Tensor], classes: int) -> float | None:
    """Return the mean Dice of all pairs of class indices [D, H, W]; None for one alone."""
    counted = Agreement(len(views), classes)
    counted.add(views)
    return counted.dice()


def dice_of(one: np.ndarray, other: np.ndarray, classes: int) -> float:
    """Return the mean Dice over the classes; 1 for one that neither has."""
    found = []
    for index in range(1, classes):
        sizes = np.sum(one == index) + np.sum(other == index)
        found.append(2 * np.sum((one == index) & (other == index)) / sizes if sizes else 1.0)
    return float(np.mean(found))


def read_case(data: PreparedSet, name: str) -> Case:
    """Read one case of a prepared folder."""
    record = data.by_name[name]
    image = torch.from_numpy(np.asarray(data.image(name)[:], dtype=np.float32))
    return Case(name, image, np.asarray(data.label(name)[:]), record.background, record.spacing_mm)


def scores_of(model: Model, others: Sequence[Model], case: Case, labelled: Sequence[Case]) -> dict[str, float | None]:
    """Return Dice and all scores of one case."""
    classes = model.facts.labels.classes
    asked = Asked(model, model.predictor, case, views=8)
    shape, spacing = case.image.shape[2:], case.spacing_mm[1:]
    plan = InferencePlan(2, tuple(shape), asked.plan.flip_axes, "flips", quality_views=8)
    count = case.image.shape[1]
    mirrored = [asked.through(view(count)) for view in views_of(plan, spacing)]
    mean = torch.stack([probs for probs, _ in mirrored]).mean(dim=0)
    flat = [probs.argmax(dim=0) for probs, _ in mirrored]
    random = [asked.labels(view(count)) for view in doubting_views_of(plan, spacing)]
    wide = [asked.labels(drawn(seed, shape, spacing, count)) for seed in range(4)]
    shades = [asked.probs(shade).argmax(dim=0) for shade in shaded(case.image)]
    alone = flat[0]
    family = [alone, *(Asked(other, other.predictor, case).probs().argmax(dim=0) for other in others)]
    chosen = mean.argmax(dim=0).numpy()
    student = getattr(model.method, "student", None)
    pair = [alone, Asked(model, student, case).probs().argmax(dim=0)] if student is not None else []
    return {
        "dice": dice_of(chosen, case.label, classes),
        "mirrors": agreed(flat, classes) if len(flat) > 1 else None,
        **{f"views{k}": agreed([*flat, *random[:k]], classes) for k in (2, 4, 8)},
        "wide4": agreed([*flat, *wide], classes),
        "intensity4": agreed([*flat, *shades], classes),
        "others": agreed(family, classes) if others else None,
        "teacher": agreed(pair, classes) if pair and student is not model.predictor else None,
        **certainty(mean.numpy(), chosen),
        "volume": volume_score(chosen, labelled, classes),
        "reverse": reverse(case, chosen, labelled, classes),
    }


def drawn(seed: int, shape: Sequence[int], spacing_mm: Sequence[float], count: int) -> spatial.SpatialParams:
    """Draw one wide transform, the same for all slices."""
    params = sampling.sample(WIDE, 1, shape, spacing_mm, Generator().manual_seed(seed))
    return params[torch.zeros(count, dtype=torch.long)]


def shaded(image: Tensor) -> list[Tensor]:
    """Return a scan in other contrasts and with noise."""
    generator = Generator().manual_seed(0)
    noise = torch.randn(image.shape, generator=generator)
    return [image * factor + width * noise for factor, width in CONTRASTS]


def certainty(probs: np.ndarray, chosen: np.ndarray) -> dict[str, float]:
    """Return less the mean entropy, and the mean probability, in the foreground; the worst where there is none."""
    inside: np.ndarray = np.asarray(ndimage.binary_erosion(chosen > 0, structure=np.ones((1, 3, 3))))
    inside = inside if inside.any() else chosen > 0
    if not inside.any():
        return {"entropy": -float(np.log(len(probs))), "confidence": 0.0}
    own = probs.reshape(len(probs), -1)[:, inside.ravel()]
    entropy = -(own * np.log(np.maximum(own, 1e-12))).sum(axis=0)
    return {"entropy": -float(entropy.mean()), "confidence": float(own.max(axis=0).mean())}


def volume_score(chosen: np.ndarray, labelled: Sequence[Case], classes: int) -> float:
    """Compare the classes' volumes with those of the labelled cases."""
    far = []
    for index in range(1, classes):
        usual = np.median([np.sum(case.label == index) for case in labelled])
        far.append(abs(np.log((np.sum(chosen == index) + 1) / (usual + 1))))
    return -float(max(far))


def reverse(case: Case, chosen: np.ndarray, labelled: Sequence[Case], classes: int) -> float:
    """Learn the prediction of one scan, and return the best Dice on a labelled case."""
    known = case.features
    targets = np.eye(classes)[chosen.ravel()]
    weights = 1 / np.maximum(targets.sum(axis=0), 1)
    each = (targets @ weights)[:, None]  # every class weighs as much
    solved = np.linalg.solve(known.T @ (known * each) + 1e-3 * np.eye(known.shape[1]), known.T @ (targets * each))
    found = [
        dice_of((one.features @ solved).argmax(axis=1).reshape(one.label.shape), one.label, classes)
        for one in labelled[:MOST_LABELLED]
    ]
    return max(found)


def main() -> None:
    """Read the command line, and write a row a run and case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN[+OTHER...]")
    parser.add_argument("--split", default="val")
    parser.add_argument("--most", type=int, help="cases; all by default")
    options = parser.parse_args()
    data = PreparedSet(options.prepared)
    names = [case.name for case in data.manifest.cases if case.split == options.split and case.labelled]
    cases = [read_case(data, name) for name in names[: options.most]]
    with options.out.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for given in options.runs:
            name, paths = given.split("=", 1)
            model, *others = (load_model(RunFolder(path).checkpoint("last")) for path in paths.split("+"))
            labelled = [read_case(data, one) for one in labelled_cases(data, model)]
            for case in cases:
                found = scores_of(model, others, case, labelled)
                shown = {key: "" if value is None else f"{value:.5f}" for key, value in found.items()}
                writer.writerow({"run": name, "case": case.name, **shown})
            stream.flush()
            print(name, flush=True)


def labelled_cases(data: PreparedSet, model: Model) -> list[str]:
    """Return the training cases whose masks the run used."""
    return choose_cases(data.manifest.cases, model.config)[0]


if __name__ == "__main__":
    with torch.no_grad():
        main()

"""Scores of how far each prediction is to be trusted, ours and rivals, beside the true Dice, case by case.

    python benchmarks/quality/scores.py PREPARED OUT.csv NAME=RUN[+OTHER...][~REPEAT...] ... --split val

RUN is a run in slices; its last checkpoint is asked. OTHERs are runs of another method on the same labelled cases,
REPEATs those of the same method: their predictions are compared with that of RUN (`others`, `ensemble`). With `--split
unlabelled` the cases are the training cases whose masks none of these runs has learnt, with `unread` those whose scans
none has read either. The prediction that is judged is the mean over the mirrored scans, as `equireg predict` makes it;
Dice is the mean over the classes in the voxels of the prepared folder, 1 where both are empty. Every score is the
higher the better:

- mirrors: mean Dice of all pairs of mirrored views (where the data set allows none: of the scan alone, so nothing);
- views2, views4, views8: of these and 2, 4 or 8 random views, as `--quality_views` draws them;
- both: half mirrors and half views2, the default;
- soft, soft_mirrors: the soft Dice of the prediction and the probabilities of the scan alone (Borges et al. 2024), or
  of the mirrored views;
- wide4: of the mirrored views and four random ones that reach further (turned by up to 120 degrees, scaled by 1.6);
- intensity4: of the mirrored views and four of other contrast and with noise;
- others, ensemble: mean Dice of all pairs of RUN and the OTHERs, or the REPEATs, of the scan as it is;
- teacher: Dice of the student and its moving average, where the method has both;
- entropy: less the mean entropy in the predicted foreground, its outermost voxels left out; confidence: the mean
  probability of the chosen class there;
- volume: less the greatest |log(volume / median volume)| over the classes, of the labelled training cases;
- reverse: reverse classification accuracy (Valindria et al. 2017) in its cheapest form: a ridge regression on smoothed
  intensities and places learns the prediction of this one scan, and is judged on the labelled training cases;
- registered: the same with a registered scan as the classifier (`registration.py`);
- autoencoder: Dice of the prediction and what an auto-encoder of the labelled masks makes of it (`autoencoder.py`).

A prediction that shows nothing has 0 where views or networks would agree on it. `--without`
leaves out scores that take long.
"""

import argparse
import csv
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from autoencoder import MaskAutoencoder
from cases import Case, dice_of, read_case
from registration import Registrations
from rivals import certainty, reverse, volume_score
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
SLOW = ("views8", "wide4", "intensity4", "registered", "autoencoder")
MOST_REGISTERED = 2
"""Labelled cases that a scan is registered to."""
COLUMNS: tuple[str, ...] = (
    *("run", "case", "dice", "both", "soft", "soft_mirrors"),
    *("mirrors", "views2", "views4", "views8", "wide4", "intensity4", "others", "ensemble"),
    *("teacher", "entropy", "confidence", "volume", "reverse", "registered", "autoencoder"),
)


View = tuple[Tensor, Tensor]
"""Probabilities of a view, [K, D, H, W], and where they are known, 0 or 1, [D, H, W]."""


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

    def through(self, params: spatial.SpatialParams) -> View:
        """Return the probabilities of the transformed scan, turned back, and where they are known."""
        moved, _ = spatial.apply(self._case.image.movedim(1, 0), params)
        probs, seen = spatial.apply(self.probs(moved.movedim(0, 1)).movedim(1, 0), spatial.invert(params))
        return probs.movedim(0, 1), (seen[:, 0] > 0).float()


def agreed(views: Sequence[Tensor], classes: int, others: int = 0) -> float | None:
    """Return the mean Dice of all pairs of class indices [D, H, W]; None for one alone.

    Where the last are views that enter no average, it is the measure of `equireg predict`.
    """
    counted = Agreement(len(views), classes, others=others)
    counted.add(views)
    return counted.dice()


def borne_out(chosen: Tensor, views: Sequence[View]) -> float:
    """Return the soft Dice of class indices [D, H, W] and the mean of views, over the classes that are chosen."""
    mean = torch.stack([probs for probs, _ in views]).mean(dim=0)
    found = []
    for index in chosen.unique().tolist():
        own, probs = chosen == index, mean[index]
        found += [float(2 * probs[own].sum() / (probs.sum() + own.sum()))] if index else []
    return float(np.mean(found))


def labels_of(probs: Tensor, seen: Tensor) -> Tensor:
    """Return the classes of a view; the number of classes where they are unknown."""
    return probs.argmax(dim=0).masked_fill(seen <= 0, len(probs))


@dataclass(frozen=True)
class Family:
    """A run and those that it is compared with, all on the same labelled cases."""

    model: Model
    others: Sequence[Model]
    """of another method"""
    repeats: Sequence[Model]
    """of the same method"""

    @classmethod
    def load(cls, given: str) -> "Family":
        """Read the last checkpoints of RUN[+OTHER...][~REPEAT...]."""
        groups = [[load_model(RunFolder(p).checkpoint("last")) for p in part.split("+")] for part in given.split("~")]
        return cls(groups[0][0], groups[0][1:], [model for group in groups[1:] for model in group])

    @property
    def all(self) -> list[Model]:
        """All models."""
        return [self.model, *self.others, *self.repeats]


@dataclass(frozen=True)
class Judges:
    """What the scores of a run's cases need beside the run."""

    labelled: Sequence[Case]
    """cases whose masks the run learnt"""
    registrations: Registrations
    autoencoder: MaskAutoencoder | None

    def registered(self, case: Case, chosen: np.ndarray, classes: int) -> float:
        """Return the best Dice of a prediction that was registered to labelled cases."""
        references = self.labelled[:MOST_REGISTERED]
        return max(dice_of(self.registrations.moved(chosen, case, one), one.label, classes) for one in references)


def scores_of(family: Family, case: Case, judges: Judges, without: Collection[str]) -> dict[str, float | None]:
    """Return Dice and all scores of one case."""
    model = family.model
    classes = model.facts.labels.classes
    most = 4 if "views8" in without else 8
    asked = Asked(model, model.predictor, case, views=most)
    shape, spacing = case.image.shape[2:], case.spacing_mm[1:]
    plan = InferencePlan(2, tuple(shape), asked.plan.flip_axes, "flips", quality_views=most)
    count = case.image.shape[1]
    mirrored = [asked.through(view(count)) for view in views_of(plan, spacing)]
    mean = torch.stack([probs for probs, _ in mirrored]).mean(dim=0)
    flat = [probs.argmax(dim=0) for probs, _ in mirrored]
    doubting = [asked.through(view(count)) for view in doubting_views_of(plan, spacing)]
    random = [labels_of(*view) for view in doubting]
    groups = {
        "mirrors": flat,
        **{f"views{k}": [*flat, *random[:k]] for k in (2, 4, 8) if k <= most},
        "others": [flat[0], *(Asked(other, other.predictor, case).probs().argmax(dim=0) for other in family.others)],
        "ensemble": [flat[0], *(Asked(one, one.predictor, case).probs().argmax(dim=0) for one in family.repeats)],
    }
    student = getattr(model.method, "student", None)
    if student is not None and student is not model.predictor:
        groups["teacher"] = [flat[0], Asked(model, student, case).probs().argmax(dim=0)]
    if "wide4" not in without:
        groups["wide4"] = [*flat, *(labels_of(*asked.through(drawn(seed, shape, spacing, count))) for seed in range(4))]
    if "intensity4" not in without:
        groups["intensity4"] = [*flat, *(asked.probs(shade).argmax(dim=0) for shade in shaded(case.image))]
    indices = mean.argmax(dim=0)
    chosen, softly = indices.numpy(), {"soft": mirrored[:1], "soft_mirrors": mirrored}
    return {
        "dice": dice_of(chosen, case.label, classes),
        "both": agreed([*flat, *random[:2]], classes, others=2) if chosen.any() else 0.0,
        **{name: agreed(own, classes) if chosen.any() else 0.0 for name, own in groups.items() if len(own) > 1},
        **{name: borne_out(indices, own) if chosen.any() else 0.0 for name, own in softly.items()},
        **certainty(mean.numpy(), chosen),
        "volume": volume_score(chosen, judges.labelled, classes),
        "reverse": reverse(case, chosen, judges.labelled, classes),
        "registered": None if "registered" in without else judges.registered(case, chosen, classes),
        "autoencoder": judges.autoencoder.score(chosen) if judges.autoencoder else None,
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


def main() -> None:
    """Read the command line, and write a row a run and case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN[+OTHER...]")
    parser.add_argument("--split", default="val", help="train, val, test, unlabelled or unread")
    parser.add_argument("--without", nargs="+", choices=SLOW, default=())
    parser.add_argument("--most", type=int, help="cases, evenly spread; all by default")
    options = parser.parse_args()
    data = PreparedSet(options.prepared)
    registrations, encoders = Registrations(), {}
    with options.out.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for given in options.runs:
            name, paths = given.split("=", 1)
            family = Family.load(paths)
            names = choose_cases(data.manifest.cases, family.model.config)[0]
            labelled = [read_case(data, one) for one in names]
            key = tuple(names)
            if "autoencoder" not in options.without and key not in encoders:
                encoders[key] = encoder_of(family.model, labelled)
            judges = Judges(labelled, registrations, encoders.get(key))
            for one in spread(cases_of(data, options.split, family.all), options.most):
                with torch.no_grad():
                    found = scores_of(family, read_case(data, one), judges, options.without)
                shown = {key: "" if value is None else f"{value:.5f}" for key, value in found.items()}
                writer.writerow({"run": name, "case": one, **shown})
            stream.flush()
            print(name, flush=True)


def cases_of(data: PreparedSet, split: str, models: Sequence[Model]) -> list[str]:
    """Return the cases with a mask of a split; of `unlabelled` and `unread`, the training cases as said above."""
    cases = [case for case in data.manifest.cases if case.labelled]
    if split not in ("unlabelled", "unread"):
        return [case.name for case in cases if case.split == split]
    used: set[str] = set()
    for model in models:
        labelled, unlabelled = choose_cases(data.manifest.cases, model.config)
        used |= {*labelled, *(unlabelled if split == "unread" and model.method.uses_unlabelled else ())}
    patients = {data.by_name[name].patient for name in used}
    return [case.name for case in cases if case.split == "train" and case.patient not in patients]


def spread(names: Sequence[str], most: int | None) -> list[str]:
    """Return so many names at most, evenly from first to last."""
    count = min(most or len(names), len(names))
    return [names[index * len(names) // count] for index in range(count)]


def encoder_of(model: Model, labelled: Sequence[Case]) -> MaskAutoencoder:
    """Return an auto-encoder of the masks that a run learnt, under its own transforms."""
    axes = [axis for axis in model.facts.flip_axes if axis < 2]
    masks = [case.label for case in labelled]
    classes, spacing = model.facts.labels.classes, labelled[0].spacing_mm[1:]
    return MaskAutoencoder(masks, classes, spacing, model.config.views.strong, axes)


if __name__ == "__main__":
    main()

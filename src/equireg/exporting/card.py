"""The model card: what a model was trained on in numbers, its scores, its limits and its licence, as Markdown.

It names no case, no file and no path.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from equireg._version import __version__
from equireg.exporting.scores import Evaluated
from equireg.model import Model
from equireg.prediction.trained import Trained

_METRICS = (("dice", "Dice"), ("hd95_mm", "HD95, mm"), ("nsd", "surface Dice"))
_CANONICAL = {"x": "left to right", "y": "back to front", "z": "feet to head"}
_VALIDATED = (
    "On the validation cases, in the network's voxels. They also chose the checkpoint, so these are a little too good:"
)
NO_LICENCE = "Not stated. Ask whoever trained the model, and mind the licence of its training data."


def card(
    trained: Trained,
    name: str,
    licence: str | None,
    known: tuple[Sequence[Mapping[str, float]], Sequence[Evaluated]],
    use: str,
) -> str:
    """Return the model card.

    Args:
        trained: the model.
        name: what it is called.
        licence: its licence in a line, or None.
        known: each member's scores on its validation cases, and evaluations.
        use: how to use it, as Markdown.
    """
    first = trained.models[0]
    regions = ", ".join(_text(region) for region in first.facts.labels.judged_regions())
    parts = [
        f"# {_text(name)}",
        f"A model that segments {regions} in scans with the channels {_listed(first.facts.channels)}. "
        f"Packed by equireg {__version__}.",
        "## What it was trained on",
        _table(("", ""), _training_rows(trained)),
        _table(("label", "value"), zip(first.facts.labels.names, first.facts.labels.values, strict=True)),
        "## Scores",
        *_scores(known[0], known[1]),
        "## Limits",
        *(f"- {line}" for line in _limits(first)),
        "## Licence",
        _text(licence) if licence else NO_LICENCE,
        "## Use",
        use.strip("\n"),
    ]
    return "\n\n".join(parts).replace("\n\n- ", "\n- ") + "\n"


def _training_rows(trained: Trained) -> Iterator[tuple[str, object]]:
    first, runs = trained.models[0], trained.runs
    yield "data set", first.facts.dataset
    if len(trained.models) > 1:
        yield "members", f"{len(trained.models)} networks, whose probabilities are averaged"
    yield "method", "; ".join(dict.fromkeys(model.config.method.name for model in trained.models))
    yield "network", "; ".join(dict.fromkeys(model.config.network.name for model in trained.models))
    for title, numbers in (
        ("scans with a mask", [run.labelled_cases for run in runs]),
        ("scans used without a mask", [run.unlabelled_cases for run in runs]),
        ("optimiser steps", [model.step for model in trained.models]),
    ):
        yield title, "; ".join("unknown" if number is None else str(number) for number in dict.fromkeys(numbers))
    kinds = {2: "slices", 3: "volumes"}
    patches = (f"{kinds[m.config.spatial_dims]} of {_by(m.facts.patch_size)} voxels" for m in trained.models)
    yield "sees", "; ".join(dict.fromkeys(patches))
    yield "axes of its arrays", ", ".join(_CANONICAL[axis] for axis in first.facts.axes)
    spacing = first.facts.spacing_mm
    yield "voxel spacing x, y, z", "that of each scan" if spacing is None else f"{_by(spacing)} mm"
    yield "intensities", _normalisation(first)
    yield "foreground bias", "; ".join(dict.fromkeys(model.foreground_bias.words() for model in trained.models))
    yield "post-processing", trained.post_process.words()


def _normalisation(model: Model) -> str:
    normalisation: Mapping[str, Any] = model.facts.normalisation
    known = {
        "zscore": "mean 0 and deviation 1 inside each scan's foreground, channel by channel",
        "ct": "clipped and scaled by numbers of the training set",
        "mixed": "channel by channel: CT clipped and scaled by numbers of the training set, those called noNorm as "
        "they stand in the file, others to mean 0 and deviation 1 inside each scan's foreground",
        "none": "as they stand in the file",
        "thesis": "bias field corrected by N4, histogram equalised",
    }
    return known.get(str(normalisation["name"]), str(normalisation["name"]))


def _scores(validated: Sequence[Mapping[str, float]], evaluations: Sequence[Evaluated]) -> Iterator[str]:
    found = [scores for scores in validated if scores]
    for scores in found:
        rows = [(name.removeprefix("val/"), f"{value:.3f}") for name, value in sorted(scores.items())]
        yield _VALIDATED
        yield _table(("score", "value"), rows)
    for one in evaluations:
        where = "" if one.split is None else f" of the split {one.split}"
        yield f"Evaluated on {one.summary['cases']} cases{where}, in their own voxels:"
        yield _table(("region", *(title for _, title in _METRICS)), _evaluated(one.summary))
    if not found and not evaluations:
        yield "None is known here. Score it on scans with masks before you trust it (`equireg evaluate`)."


def _evaluated(summary: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    for region, metrics in summary["regions"].items():
        yield region, *(_mean(metrics.get(name)) for name, _ in _METRICS)


def _mean(numbers: Any) -> str:
    mean = numbers.get("mean") if isinstance(numbers, Mapping) else None
    if mean is None:
        return ""
    spread = numbers.get("std")
    return f"{mean:.3f}" if spread is None else f"{mean:.3f} ± {spread:.3f}"


def _limits(model: Model) -> Iterator[str]:
    facts = model.facts
    yield "For research. It is no medical device, and nobody has shown that it is safe for care."
    yield "It knows scans like those that it was trained on: the same channels, in this order, of the same body part."
    if facts.intensities:
        least, greatest = facts.intensities["least"], facts.intensities["greatest"]
        for index, channel in enumerate(facts.channels):
            yield (
                f"{_text(channel)}: intensities of the training scans reached from {least[index][0]:.4g} to "
                f"{greatest[index][2]:.4g} (percentiles 0.5 and 99.5)."
            )
    if facts.flip_axes:
        yield "It predicts mirrored scans too and averages; a mirror image must not change what a label means."
    yield "Other scanners, ages and diseases than those of the training scans are untested here."


def _table(header: Sequence[object], rows: Any) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_text(cell) for cell in line) + " |" for line in lines)


def _text(value: object) -> str:
    """Return a value as text that does not leave its cell or line."""
    return " ".join(str(value).replace("|", "/").split())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(_text(name) for name in names)


def _by(numbers: Sequence[float]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)

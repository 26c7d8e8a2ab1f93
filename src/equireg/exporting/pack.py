"""The verb ``pack``: a run or an ensemble as one file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from equireg import disk
from equireg._version import __version__
from equireg.config import PackConfig
from equireg.config.parsing import options_from, to_plain
from equireg.errors import EquiregError, UsageError
from equireg.exporting.card import card
from equireg.exporting.scores import read_evaluations, validation_scores
from equireg.folders import FORMAT_VERSION
from equireg.folders.origin import names_only
from equireg.folders.packed import ENDING, WEIGHTS, Packed, PackedMember, zip_bytes
from equireg.folders.run_facts import MACHINE_OPTIONS
from equireg.folders.tensors import to_bytes
from equireg.model import Model
from equireg.prediction.trained import Trained, read_trained

_USE = """
    equireg predict model.zip SCANS --out PREDICTIONS

or, in Python:

    import equireg
    model = equireg.load("model.zip")
    labels = model.predict(array, affine).labels   # array [C, X, Y, Z], affine [4, 4]

The file is a zip archive of plain JSON and of weights in the layout of safetensors; nothing in it can run.
`SHA256SUMS` holds the digest of each of its files: a copy that was damaged is refused. A digest does not say who made
the file; take it from where you trust.
"""


def pack(run: Path | str, out: Path | str, config: PackConfig | None = None, **options: Any) -> Path:
    """Write a trained model as one file that `equireg predict`, `equireg.load` and `equireg serve` take like a run.

    It holds the network that predicts, no optimiser and nothing else of training; no path and no case's name. The same
    run gives the same bytes.

    Args:
        run: output of `equireg train` or `equireg ensemble`, or a packed model, which is packed anew.
        out: the new file, such as ``model.zip``.
        config: the options; or give them by name.
        options: those of ``PackConfig``, laid over ``config``.

    Returns:
        The file.

    Raises:
        EquiregError: if the run is missing or damaged, or the file exists already.
    """
    config = options_from(PackConfig, config, options)
    out = Path(out)
    if out.suffix.lower() != ENDING:
        raise UsageError(f"--out is {out.name}; expected a name that ends in {ENDING}, such as model{ENDING}.")
    if out.exists():
        raise EquiregError(f"{out}: exists already. Choose another --out or remove it.")
    trained = read_trained([run], config.checkpoint)
    evaluations = read_evaluations(config.evaluations, trained)
    name = config.name or trained.name.removesuffix(ENDING)
    scores = validation_scores(trained)
    members, weights = [], {}
    for index, model in enumerate(trained.models):
        file = f"{WEIGHTS}/{index + 1}.safetensors"
        weights[file] = weights_of(model)
        members.append(_member(trained, index, file, scores[index]))
    post_process = trained.post_process.as_dict()
    packed = Packed(FORMAT_VERSION, __version__, name, config.licence, tuple(members), post_process)
    text = card(trained, name, config.licence, (scores, evaluations), _USE)
    disk.write_atomic(out, zip_bytes(packed, text, weights))
    return out


def weights_of(model: Model) -> bytes:
    """Return the weights of the network that predicts."""
    return to_bytes({name: value.cpu().numpy() for name, value in model.predictor.state_dict().items()})


def _member(trained: Trained, index: int, file: str, scores: Any) -> PackedMember:
    model = trained.models[index]
    config = {name: value for name, value in to_plain(model.config).items() if name not in MACHINE_OPTIONS}
    return PackedMember(
        name=trained.names[index],
        weights=file,
        digest=trained.digests[index],
        step=model.step,
        run=names_only(replace(trained.runs[index], learnt=None).as_dict()),
        config=names_only(config),
        facts=names_only(model.facts.as_dict()),
        scores=dict(scores),
        foreground_bias=model.foreground_bias.as_dict(),
    )

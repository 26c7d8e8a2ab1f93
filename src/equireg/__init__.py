"""equireg: segmentation of medical scans from few labels and many unlabelled scans.

Each verb of the command line is a function here, with the same arguments. They are imported when first
used, so that ``import equireg`` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from equireg._version import __version__ as __version__
from equireg.errors import EquiregError as EquiregError

if TYPE_CHECKING:
    from equireg.evaluation.evaluate import evaluate as evaluate
    from equireg.pipeline.demo import demo as demo
    from equireg.pipeline.sweep import sweep as sweep
    from equireg.prediction.predict import predict as predict
    from equireg.preparation.prepare import prepare as prepare
    from equireg.reporting.build import report as report
    from equireg.training.train import train as train
    from equireg.viewing.view import view as view

_VERBS = {
    "demo": "equireg.pipeline.demo",
    "prepare": "equireg.preparation.prepare",
    "train": "equireg.training.train",
    "predict": "equireg.prediction.predict",
    "evaluate": "equireg.evaluation.evaluate",
    "report": "equireg.reporting.build",
    "sweep": "equireg.pipeline.sweep",
    "view": "equireg.viewing.view",
}

__all__ = [
    "EquiregError",
    "__version__",
    "demo",
    "evaluate",
    "predict",
    "prepare",
    "report",
    "sweep",
    "train",
    "view",
]


def __getattr__(name: str) -> Any:
    """Import a verb when it is first asked for."""
    if name in _VERBS:
        return getattr(import_module(_VERBS[name]), name)
    raise AttributeError(f"module 'equireg' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name the verbs too."""
    return sorted(__all__)

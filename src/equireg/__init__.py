"""equireg: segmentation of medical scans from few labels and many unlabelled scans.

Each verb of the command line is a function here, with the same arguments; its options may be given by name or as a
config, such as ``equireg.train("prepared", "run", equireg.TrainConfig(max_steps=2000))``. All is imported when it is
first used, so that ``import equireg`` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from equireg._version import __version__ as __version__
from equireg.errors import EquiregError as EquiregError

if TYPE_CHECKING:
    from equireg.annotation.adopt import adopt as adopt
    from equireg.annotation.suggest import suggest as suggest
    from equireg.batches.looking import Prepared as open
    from equireg.config import AdoptConfig as AdoptConfig
    from equireg.config import DemoConfig as DemoConfig
    from equireg.config import DoctorConfig as DoctorConfig
    from equireg.config import EnsembleConfig as EnsembleConfig
    from equireg.config import EvaluateConfig as EvaluateConfig
    from equireg.config import ExportConfig as ExportConfig
    from equireg.config import PackConfig as PackConfig
    from equireg.config import PlanConfig as PlanConfig
    from equireg.config import PredictConfig as PredictConfig
    from equireg.config import PrepareConfig as PrepareConfig
    from equireg.config import ReportConfig as ReportConfig
    from equireg.config import ServeConfig as ServeConfig
    from equireg.config import SuggestConfig as SuggestConfig
    from equireg.config import SweepOptions as SweepOptions
    from equireg.config import TrainConfig as TrainConfig
    from equireg.config import ViewConfig as ViewConfig
    from equireg.diagnosis.doctor import doctor as doctor
    from equireg.evaluation.evaluate import evaluate as evaluate
    from equireg.exporting.export import export as export
    from equireg.exporting.pack import pack as pack
    from equireg.pipeline.demo import demo as demo
    from equireg.pipeline.selftrain import selftrain as selftrain
    from equireg.pipeline.sweep import sweep as sweep
    from equireg.pipeline.train import train as train
    from equireg.planning.plan import plan as plan
    from equireg.prediction.ensemble import ensemble as ensemble
    from equireg.prediction.load import load as load
    from equireg.prediction.predict import predict as predict
    from equireg.preparation.prepare import prepare as prepare
    from equireg.registry import register as register
    from equireg.reporting.build import report as report
    from equireg.serving.serve import serve as serve
    from equireg.viewing.view import view as view

_OTHERS = {
    "load": "equireg.prediction.load:load",
    "open": "equireg.batches.looking:Prepared",
    "register": "equireg.registry:register",
}
"""Public names that are neither a verb nor its options, and where they are, as ``module:name``."""

__all__ = [
    "AdoptConfig",
    "DemoConfig",
    "DoctorConfig",
    "EnsembleConfig",
    "EquiregError",
    "EvaluateConfig",
    "ExportConfig",
    "PackConfig",
    "PlanConfig",
    "PredictConfig",
    "PrepareConfig",
    "ReportConfig",
    "ServeConfig",
    "SuggestConfig",
    "SweepOptions",
    "TrainConfig",
    "ViewConfig",
    "__version__",
    "adopt",
    "demo",
    "doctor",
    "ensemble",
    "evaluate",
    "export",
    "load",
    "open",
    "pack",
    "plan",
    "predict",
    "prepare",
    "register",
    "report",
    "selftrain",
    "serve",
    "suggest",
    "sweep",
    "train",
    "view",
]


def _place(name: str) -> str:
    """Return where a public name is, as ``module:name``: a verb's function is where the table of verbs says."""
    from equireg.cli.verbs import VERBS

    return VERBS[name].target if name in VERBS else _OTHERS.get(name, f"equireg.config:{name}")


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name in __all__:
        module, own = _place(name).split(":")
        return getattr(import_module(module), own)
    raise AttributeError(f"module 'equireg' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name what is imported later too."""
    return sorted(__all__)

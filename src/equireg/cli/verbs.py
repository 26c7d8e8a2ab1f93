"""The table of verbs. A new verb is one entry: help, completion, schema and parsing all follow from it.

Nothing is imported for an entry before its verb is asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal


@dataclass(frozen=True)
class Argument:
    """What a verb takes by its place on the command line."""

    name: str
    help: str
    several: bool = False
    """whether it may be given more than once"""
    choices: tuple[str, ...] = ()
    optional: bool = False
    made_by: str | None = None
    """verb that must have made the folder; another folder is refused before the verb's heavy imports"""


@dataclass(frozen=True)
class Verb:
    """A word of the command line, what it takes and what it does.

    The function is called with the arguments in their order, then ``out`` where the verb has one, then by keyword
    with those options that were given.
    """

    help: str
    target: str
    """the function, as ``module:name``"""
    config: str | None = None
    """the dataclass of its options, a name in ``equireg.config``"""
    arguments: tuple[Argument, ...] = ()
    out: str | None = None
    """what ``--out`` is; None for a verb without"""
    out_kind: Literal["FOLDER", "FILE"] = "FOLDER"
    """which of the two ``--out`` is"""
    out_may_lack: bool = False
    """whether the function decides if ``--out`` is needed"""
    common: tuple[str, ...] = ()
    """the options that people need, about ten; all others show with ``--help-all``"""
    required: tuple[str, ...] = ()
    """options that must be given"""
    flags: Mapping[str, str] = field(default_factory=dict)
    """switches that are no options of its config, with their help"""
    names: str | None = None
    """function that finds the method and the network where neither the command line nor a file names them"""
    show: str | None = None
    """function that prints what the verb's function has returned"""
    timed: bool = False
    """whether the function takes ``began``, the time at which the command began"""

    def load(self, what: str) -> Callable[..., Any]:
        """Import one of the verb's functions."""
        module, name = what.split(":")
        return getattr(import_module(module), name)

    def options(self) -> type | None:
        """Return the dataclass of the verb's options."""
        return None if self.config is None else getattr(import_module("equireg.config"), self.config)


VERBS: dict[str, Verb] = {
    "demo": Verb(
        "phantom scans through the whole line: supervised against EquiReg, and a page to look at",
        "equireg.pipeline.demo:demo",
        "DemoConfig",
        out="the demo's folder",
        common=("cases", "labelled", "test_cases", "max_steps", "features", "seed"),
    ),
    "prepare": Verb(
        "check, turn, resample and normalise a folder of scans",
        "equireg.preparation.prepare:prepare",
        "PrepareConfig",
        (Argument("raw", "folder with scans, in any known layout"),),
        out="the prepared folder; not needed with --dry_run",
        out_may_lack=True,
        common=(
            "layout",
            "patients",
            "spacing",
            "normalise",
            "val_fraction",
            "test_fraction",
            "split",
            "dry_run",
            "jobs",
        ),
    ),
    "plan": Verb(
        "what training would do in the time there is, why, and what it costs; writes plan.yaml for train --config",
        "equireg.planning.plan:plan",
        "PlanConfig",
        (Argument("prepared", "output of `equireg prepare`", made_by="prepare"),),
        common=("max_minutes", "max_steps", "sup_cases", "method.name", "network.name", "device", "out", "json"),
        timed=True,
        names="equireg.cli.chosen:names_for_training",
        show="equireg.cli.showing:show_plan",
    ),
    "train": Verb(
        "train a model on a prepared folder",
        "equireg.pipeline.train:train",
        "TrainOptions",
        (Argument("prepared", "output of `equireg prepare`", made_by="prepare"),),
        out="the run's folder",
        common=(
            "method.name",
            "sup_cut",
            "sup_cases",
            "batch_size",
            "unsup_ratio",
            "spatial_dims",
            "max_steps",
            "max_minutes",
            "device",
            "seed",
        ),
        timed=True,
        flags={"resume": "continue exactly where the run in --out stopped"},
        names="equireg.cli.chosen:names_for_training",
    ),
    "selftrain": Verb(
        "train on masks, then on the best drafts of what was trained, in rounds; the last models are an ensemble",
        "equireg.pipeline.selftrain:selftrain",
        "SelftrainOptions",
        (Argument("prepared", "output of `equireg prepare`", made_by="prepare"),),
        out="the folder of all models, which is their ensemble",
        common=(
            "rounds",
            "members",
            "keep",
            "continued",
            "method.name",
            "sup_cases",
            "max_steps",
            "max_minutes",
            "device",
            "jobs",
        ),
        flags={"resume": "continue exactly where the one in --out stopped"},
        names="equireg.cli.chosen:names_for_training",
    ),
    "predict": Verb(
        "segment scans, in their own geometry and label values",
        "equireg.prediction.predict:predict",
        "PredictConfig",
        (
            Argument("run", "output of `equireg train`, `ensemble` or `pack`; several predict together", several=True),
            Argument("scans", "raw folder, loose files, one file, or a prepared folder"),
        ),
        out="the folder of predictions",
        common=(
            "checkpoint",
            "split",
            "test_time",
            "overlap",
            "probabilities",
            "device",
            "precision",
            "engine",
            "jobs",
        ),
    ),
    "ensemble": Verb(
        "several runs as one model, in a folder that can be moved",
        "equireg.prediction.ensemble:ensemble",
        "EnsembleConfig",
        (Argument("runs", "outputs of `equireg train` or `equireg ensemble`", several=True),),
        out="the ensemble's folder",
        common=("checkpoint",),
        show="equireg.cli.showing:show_path",
    ),
    "evaluate": Verb(
        "score predictions against reference masks",
        "equireg.evaluation.evaluate:evaluate",
        "EvaluateConfig",
        (
            Argument("predictions", "output of `equireg predict`, or a folder of label files"),
            Argument(
                "reference", "raw folder, prepared folder, folder of masks, or the CSV file of BraTS' evaluation portal"
            ),
        ),
        out="the evaluation's folder",
        common=("tolerance_mm", "scans", "pictures", "jobs"),
        show="equireg.cli.showing:show_lines",
    ),
    "report": Verb(
        "one page from runs and evaluations",
        "equireg.reporting.build:report",
        "ReportConfig",
        (Argument("sources", "runs, evaluations and predictions; a prepared folder shows its steps", several=True),),
        out="the page's folder",
        show="equireg.cli.showing:show_path",
    ),
    "view": Verb(
        "predicted cases in three planes and 3D, the least trusted first, as a page that stands alone",
        "equireg.viewing.view:view",
        "ViewConfig",
        (Argument("predictions", "output of `equireg predict`"),),
        out="the page, such as viewer.html",
        out_kind="FILE",
        common=("case", "most", "channel"),
        show="equireg.cli.showing:show_path",
    ),
    "sweep": Verb(
        "a grid of runs, their evaluations and one table",
        "equireg.pipeline.sweep:sweep",
        "SweepOptions",
        (Argument("grid", "YAML file with the grid of runs"),),
        out="folder of the runs and the table",
        common=("dry_run", "jobs", "cluster"),
    ),
    "suggest": Verb(
        "which scans to annotate next",
        "equireg.annotation.suggest:suggest",
        "SuggestConfig",
        (Argument("prepared", "output of `equireg prepare`"),),
        out="the folder of suggestions",
        common=("count", "run", "device", "scans", "unlabelled_from"),
    ),
    "adopt": Verb(
        "take new or corrected masks into a prepared folder",
        "equireg.annotation.adopt:adopt",
        "AdoptConfig",
        (
            Argument("prepared", "output of `equireg prepare`"),
            Argument("masks", "masks named as their cases, or folders of them; DICOM-SEG, RTSTRUCT", several=True),
        ),
        common=("by", "drafts", "scans", "segments"),
    ),
    "pack": Verb(
        "a model as one file, with its model card, that predict takes like a run",
        "equireg.exporting.pack:pack",
        "PackConfig",
        (Argument("run", "output of `equireg train` or `equireg ensemble`"),),
        out="the new file, such as model.zip",
        out_kind="FILE",
        common=("name", "licence", "evaluations", "checkpoint"),
        show="equireg.cli.showing:show_path",
    ),
    "export": Verb(
        "a model for other programs: ONNX, TorchScript, nnU-Net or a MONAI bundle",
        "equireg.exporting.export:export",
        "ExportConfig",
        (Argument("run", "output of `equireg train`, `equireg ensemble` or `equireg pack`"),),
        out="the folder of the exported model",
        common=("to", "name", "licence", "evaluations", "checkpoint", "test_time", "post_process", "prepared"),
        required=("to",),
        show="equireg.cli.showing:show_path",
    ),
    "serve": Verb(
        "a model and a prepared folder as a server for 3D Slicer and browsers",
        "equireg.serving.serve:serve",
        "ServeConfig",
        (Argument("folder", "output of `equireg train`, `ensemble` or `pack`, or a folder for the runs of a loop"),),
        common=("prepared", "host", "port", "token", "max_upload_mb", "train_minutes", "train_config", "device"),
    ),
    "doctor": Verb(
        "look for what will not work on this machine, and how to mend it",
        "equireg.diagnosis.doctor:doctor",
        "DoctorConfig",
        (Argument("folder", "where data and runs are to lie; by default the current folder", optional=True),),
        common=("device", "self_test", "json"),
        show="equireg.cli.showing:show_diagnosis",
    ),
    "completion": Verb(
        "a script with which the shell completes verbs, options and their values",
        "equireg.cli.completion:completion",
        arguments=(Argument("shell", "which shell", choices=("bash", "zsh", "fish")),),
        show="equireg.cli.showing:show_text",
    ),
    "schema": Verb(
        "the JSON schema of a verb's options, for editors of YAML files",
        "equireg.cli.schema:schema",
        arguments=(Argument("verb", "which verb; sweep is the schema of a sweep file"),),
        show="equireg.cli.showing:show_json",
    ),
}
"""Every verb of the command line."""

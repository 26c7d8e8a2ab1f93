"""The command `equireg`: verbs to functions; parsing only. Heavy imports happen inside the verbs."""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from equireg._version import __version__
from equireg.errors import EquiregError, UsageError

if TYPE_CHECKING:
    from equireg.config.parsing import OptionParser


@dataclass(frozen=True)
class _Verb:
    """A word of the command line and what it does."""

    help: str
    run: Callable[[list[str]], object]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 0, 1 for a failure, 2 for a wrong command line."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    _log_to_screen()
    try:
        return _dispatch(arguments)
    except KeyboardInterrupt:
        _complain("interrupted; what was finished is kept.", debug)
        return 130
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - Python flushes it at the very end
        return 0
    except EquiregError as error:
        _complain(str(error), debug)
        return 2 if isinstance(error, UsageError) else 1
    except Exception as error:
        _complain(f"{type(error).__name__}: {error} (unexpected; --debug shows where)", debug)
        return 1


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    verb, *rest = arguments
    if verb in ("--version", "version"):
        print(f"equireg {__version__}")
        return 0
    if verb not in VERBS:
        import difflib

        near = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"unknown verb {verb!r}{hint} Expected one of {', '.join(VERBS)}.")
    try:
        VERBS[verb].run(rest)
    except SystemExit as stop:  # argparse leaves so after --help
        return int(stop.code or 0)
    return 0


def _complain(message: str, debug: bool) -> None:
    """Print one line on standard error, with the traceback first where it is asked for."""
    if debug:
        import traceback

        traceback.print_exc()
    print("error: " + " ".join(message.split()), file=sys.stderr)


def _log_to_screen() -> None:
    logger = logging.getLogger("equireg")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    handler = logging.StreamHandler()
    handler.setFormatter(_LevelFormatter())
    logger.handlers = [handler]


class _LevelFormatter(logging.Formatter):
    """Warnings say that they are; what is merely told does not."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        return message if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {message}"


def _overview() -> str:
    lines = [
        "usage: equireg VERB ... [--debug]",
        "",
        "Segmentation of medical scans from few labels and many unlabelled scans.",
        "",
        *(f"  {name:9} {verb.help}" for name, verb in VERBS.items()),
        "",
        "`equireg VERB --help` lists a verb's options; `equireg --version` tells the version.",
    ]
    return "\n".join(lines)


def _parser(verb: str, *folders: tuple[str, str], out: str = "the new folder") -> "OptionParser":
    """Return a verb's parser with its positional folders and --out."""
    from equireg.config.parsing import OptionParser

    parser = OptionParser(prog=f"equireg {verb}", description=VERBS[verb].help)
    for name, text in folders:
        parser.add_argument(name, help=text)
    parser.add_argument("--out", required=True, help=out)
    return parser


def _with_config(parser: "OptionParser", options: type, arguments: list[str], method: type | None = None) -> Any:
    """Parse with a dataclass' options and --config; the command line wins over the file."""
    import json

    from equireg.config.parsing import add_options, nested, read_yaml

    add_options(parser, options, method)
    parser.add_argument("--config", action="config", help="YAML file with options; those given here win")
    files, rest = _take(arguments, "--config")
    # The parser lets the later win, so files come first; they are read here, for a bare method name in them.
    first = [f"--config={json.dumps(nested(read_yaml(file)))}" for file in files]
    return parser.read([*first, *rest])


def _take(arguments: list[str], option: str) -> tuple[list[str], list[str]]:
    """Split an option's values from the other arguments."""
    values, rest = [], []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == option:
            values.extend(value for value in [next(remaining, None)] if value is not None)
        elif argument.startswith(f"{option}="):
            values.append(argument.removeprefix(f"{option}="))
        else:
            rest.append(argument)
    return values, rest


def _prepare(arguments: list[str]) -> object:
    from equireg.config import PrepareConfig
    from equireg.config.parsing import take_options, to_plain

    parser = _parser("prepare", ("raw", "folder with scans, in any known layout"), out="the prepared folder")
    parsed = _with_config(parser, PrepareConfig, arguments)
    config, others = take_options(parser, parsed, PrepareConfig, "raw", "out")
    from equireg.preparation.prepare import prepare

    return prepare(others["raw"], others["out"], **to_plain(config))


def _train(arguments: list[str]) -> object:
    from equireg.config import TrainConfig
    from equireg.config.parsing import merged, nested, read_yaml, take_options, to_plain
    from equireg.methods import find
    from equireg.training.train import train

    for group in ("method", "network", "optimizer"):
        arguments = [_named(argument, group) for argument in arguments]
    files = [nested(read_yaml(file)) for file in _take(arguments, "--config")[0]]
    names = [file.get("method", {}).get("name") for file in files] + _take(arguments, "--method.name")[0]
    name = next((str(name) for name in reversed(names) if name), "supervised")
    parser = _parser("train", ("prepared", "output of `equireg prepare`"), out="the run's folder")
    parser.add_argument("--resume", action="store_true", help="go on exactly where the run in --out stopped")
    parsed = _with_config(parser, TrainConfig, arguments, find(name).Options)
    config, others = take_options(parser, parsed, TrainConfig, "prepared", "out", "resume")
    if others["resume"]:
        # Only what is given now, here or in a file, may contradict the run's own options.
        options: dict[str, Any] = {}
        for file in files:
            options = merged(options, file)
        options = merged(options, nested(_given(arguments, to_plain(config))))
        return train(others["prepared"], others["out"], resume=True, **options)
    return train(others["prepared"], others["out"], **to_plain(config))


def _named(argument: str, group: str) -> str:
    """Spell out the bare name of a group of options: ``--method equireg`` stands for ``--method.name equireg``."""
    option, *value = argument.split("=", 1)
    return "=".join([f"{option}.name", *value]) if option == f"--{group}" else argument


def _given(arguments: list[str], values: dict[str, Any]) -> dict[str, Any]:
    """Return those of the parsed options that the command line names."""
    result: dict[str, Any] = {}
    for argument in arguments:
        key = argument.removeprefix("--").split("=")[0]
        place: Any = values
        for part in key.split("."):
            place = place.get(part, _given) if isinstance(place, dict) else _given
        if argument.startswith("--") and place is not _given:
            result[key] = place
    return result


def _predict(arguments: list[str]) -> object:
    from equireg.config import PredictConfig
    from equireg.config.parsing import take_options, to_plain
    from equireg.prediction.predict import predict

    parser = _parser(
        "predict",
        ("run", "output of `equireg train`"),
        ("scans", "raw folder, loose files, one file, or a prepared folder"),
        out="the folder of predictions",
    )
    parsed = _with_config(parser, PredictConfig, arguments)
    config, others = take_options(parser, parsed, PredictConfig, "run", "scans", "out")
    return predict(others["run"], others["scans"], others["out"], **to_plain(config))


def _evaluate(arguments: list[str]) -> object:
    parser = _parser(
        "evaluate",
        ("predictions", "output of `equireg predict`, or a folder of label files"),
        ("reference", "raw folder, prepared folder, folder of masks, or the CSV file of BraTS' evaluation portal"),
        out="the evaluation's folder",
    )
    parser.add_argument("--tolerance_mm", type=float, default=1.0, help="tolerance of the surface Dice, mm")
    parser.add_argument("--scans", type=str, default=None, help="folder of the scans, for the pictures")
    parser.add_argument("--pictures", type=str, default="", help="cases to picture, with commas between them")
    parser.add_argument("--jobs", type=int, default=1, help="cases scored at once")
    parsed = parser.read(arguments)
    from equireg.evaluation.evaluate import evaluate

    summary = evaluate(
        parsed.predictions,
        parsed.reference,
        parsed.out,
        tolerance_mm=parsed.tolerance_mm,
        scans=parsed.scans,
        pictures=[case for case in parsed.pictures.split(",") if case],
        jobs=parsed.jobs,
    )
    over = f" over {summary['cases']} cases"
    for metric, title in (("dice", "Dice"), ("equivariance_dice", "equivariance Dice")):
        if summary["mean"].get(metric) is None:
            continue
        for name, region in summary["regions"].items():
            if region[metric]["mean"] is not None:
                print(f"{name:24} {title} {region[metric]['mean']:.3f} +- {region[metric]['std']:.3f}")
        print(f"{'mean':24} {title} {summary['mean'][metric]:.3f}{over}")
        over = ""  # of cases without a mask there may be more
    return summary


def _report(arguments: list[str]) -> object:
    from equireg.config.parsing import OptionParser

    parser = OptionParser(prog="equireg report", description=VERBS["report"].help)
    parser.add_argument("sources", nargs="+", help="runs and evaluations; a prepared folder shows its steps")
    parser.add_argument("--out", required=True, help="the page's folder")
    parsed = parser.read(arguments)
    from equireg.reporting.build import report

    page = report(parsed.sources, parsed.out)
    print(page)
    return page


def _view(arguments: list[str]) -> object:
    parser = _parser("view", ("predictions", "output of `equireg predict`"), out="the page, such as viewer.html")
    parser.add_argument("--case", required=True, help="name of the case")
    parser.add_argument("--channel", default=None, help="channel to show; FLAIR by default, where there is one")
    parsed = parser.read(arguments)
    from equireg.viewing.view import view

    page = view(parsed.predictions, parsed.case, parsed.out, channel=parsed.channel)
    print(page)
    return page


def _sweep(arguments: list[str]) -> object:
    parser = _parser("sweep", ("grid", "YAML file with the grid of runs"), out="folder of the runs and the table")
    parser.add_argument("--dry_run", action="store_true", help="list the runs and what remains to do")
    parser.add_argument(
        "--jobs", type=int, default=0, help="runs at once; 0: one, or all that a Ray cluster has room for"
    )
    parser.add_argument(
        "--cluster", default="local", help="local: processes here; ray: the Ray cluster of this machine"
    )
    parsed = parser.read(arguments)
    from equireg.pipeline.sweep import sweep

    return sweep(parsed.grid, parsed.out, dry_run=parsed.dry_run, jobs=parsed.jobs, cluster=parsed.cluster)


def _demo(arguments: list[str]) -> object:
    from equireg.config.parsing import take_options, to_plain
    from equireg.pipeline.demo import DemoConfig, demo

    parser = _parser("demo", out="the demo's folder")
    parsed = _with_config(parser, DemoConfig, arguments)
    config, others = take_options(parser, parsed, DemoConfig, "out")
    return demo(others["out"], **to_plain(config))


VERBS = {
    "demo": _Verb("phantom scans through the whole line: supervised against EquiReg, and a page to look at", _demo),
    "prepare": _Verb("check, turn, resample and normalise a folder of scans", _prepare),
    "train": _Verb("train a model on a prepared folder", _train),
    "predict": _Verb("segment scans, in their own geometry and label values", _predict),
    "evaluate": _Verb("score predictions against reference masks", _evaluate),
    "report": _Verb("one page from runs and evaluations", _report),
    "view": _Verb("one predicted case slice by slice, as a page that stands alone", _view),
    "sweep": _Verb("a grid of runs, their evaluations and one table", _sweep),
}
"""Every verb of the command line."""

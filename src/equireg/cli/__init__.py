"""The command `equireg`: one table of verbs, and one way to fail. Heavy imports happen inside the verbs."""

import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from equireg._version import __version__
from equireg.cli.verbs import VERBS as VERBS
from equireg.cli.verbs import Verb
from equireg.disk.faults import machine_at_limit
from equireg.errors import EquiregError, PrintableFormatter, UsageError, memory_ran_out, printable
from equireg.processes.cores import take_lists_of_threads, wait_without_spinning
from equireg.processes.importing import importing
from equireg.processes.memory import own_process

_BEGAN = time.monotonic()
_HELP = ("-h", "--help", "--help-all", "--help_all")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 0, 1 for a failure, 2 for a wrong command line."""
    if argv is None:  # the command itself, and not a call from Python
        own_process()
        wait_without_spinning()
        take_lists_of_threads()
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    _log_to_screen()
    try:
        _dispatch(arguments)
    except KeyboardInterrupt as stop:
        _complain(f"interrupted; {str(stop) or 'nothing was begun. Give the same command again.'}", debug)
        return 130
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        _leave_standard_output()
        return 0
    except EquiregError as error:
        _complain(str(error), debug)
        return 2 if isinstance(error, UsageError) else 1
    except Exception as error:
        if memory_ran_out(error):
            words = " ".join(str(error).split())[:200] or type(error).__name__
            _complain(f"memory ran out ({words}). Lower --jobs or --batch_size, or end other programs.", debug)
            return 1
        unexpected = f"{type(error).__name__}: {error} (unexpected; --debug shows where)"
        _complain(machine_at_limit(error) or unexpected, debug)
        return 1
    return 0


def _what_is_kept(verb: Verb, call: Mapping[str, Any], of_run: str) -> str:
    """Return what an interrupted command leaves, and how it goes on.

    Args:
        verb: that of the command.
        call: its arguments.
        of_run: what is kept of a run that was being trained, if one was.
    """
    begun = "resume" in verb.flags and os.path.isdir(call["out"]) and os.listdir(call["out"])
    resumed = " with --resume" if begun else ""
    return f"what was finished is kept{of_run and ': '}{of_run}. Give the same command{resumed} again to go on."


def _dispatch(arguments: list[str]) -> None:
    if len(arguments) > 1 and arguments[0] == "help":
        arguments = [arguments[1], "--help"]
    if not arguments or arguments[0] in (*_HELP, "help"):
        with _printing():
            print(_overview())
        return
    name, *rest = arguments
    if name in ("--version", "version"):
        with _printing():
            print(f"equireg {__version__}")
        return
    if name not in VERBS:
        import difflib

        near = difflib.get_close_matches(name, VERBS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise UsageError(f"unknown verb {name!r}{hint} Expected one of {', '.join(VERBS)}.")
    verb = VERBS[name]
    if any(argument in _HELP for argument in rest):
        from equireg.cli.help import help_text

        with _printing():
            print(help_text(name, verb, rest))
        return
    with importing():
        from equireg.cli.reading import read

        call = read(name, verb, rest)
    made_by = {argument.name: argument.made_by for argument in verb.arguments if argument.made_by is not None}
    if made_by:
        from equireg.folders import read_signature

        for argument, maker in made_by.items():
            read_signature(call[argument], maker)
    if verb.timed:
        call["began"] = _BEGAN
    with importing():
        function = verb.load(verb.target)
    try:
        result = function(**call)
        if verb.show is not None:
            with _printing(f"; the result lies in {call['out']}" if call.get("out") else ""):
                verb.load(verb.show)(result)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(_what_is_kept(verb, call, str(stop))) from stop


@contextmanager
def _printing(result: str = "") -> Iterator[None]:
    """Print within the block, also what Python would keep until its end.

    Raises:
        EquiregError: if standard output cannot be written; ends with ``result``.
    """
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _leave_standard_output()
        raise EquiregError(f"standard output cannot be written ({error.strerror}){result}.") from error


def _leave_standard_output() -> None:
    """Write to nowhere from now on, because Python writes at its very end what is left."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _complain(message: str, debug: bool) -> None:
    """Print one line on standard error, with the traceback first where it is asked for."""
    if sys.stderr is None:  # closed; `print` would take standard output, which others read
        return
    if debug:
        import traceback

        print(printable(traceback.format_exc()), file=sys.stderr, end="")
    print("error: " + printable(" ".join(message.split())), file=sys.stderr)


def _log_to_screen() -> None:
    logger = logging.getLogger("equireg")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    handler = logging.StreamHandler()
    handler.setFormatter(_LevelFormatter())
    logger.handlers = [handler]


class _LevelFormatter(PrintableFormatter):
    """Warnings begin with their level; messages of level INFO do not."""

    def format(self, record: logging.LogRecord) -> str:
        message = super().format(record)
        return message if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {message}"


def _overview() -> str:
    lines = [
        "usage: equireg VERB ... [--debug]",
        "",
        "Segmentation of medical scans from few labels and many unlabelled scans.",
        "",
        *(f"  {name:10} {verb.help}" for name, verb in VERBS.items()),
        "",
        "`equireg VERB --help` lists the options that people need, `equireg VERB --help-all` lists all;",
        "`equireg --version` prints the version.",
    ]
    return "\n".join(lines)

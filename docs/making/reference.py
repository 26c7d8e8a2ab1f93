"""Pages of the reference, made from the code: the options of every verb, method and network, and the Python names."""

from collections.abc import Iterable, Iterator
from typing import Any

import equireg
from equireg.cli.verbs import VERBS, Verb
from equireg.config.choosing import CHOSEN, names, options_of
from equireg.config.describe import Option, options_in, words_of

_CLASSES = {
    "equireg.methods.base": ("Method", "Task", "TaskMethod"),
    "equireg.batches.batch": ("Batch", "Samples"),
    "equireg.networks.registry": ("Network",),
    "equireg.layouts.base": ("FoundSet", "FoundCase"),
    "equireg.metrics.table": ("Metric",),
    "equireg.metrics.comparison": ("Comparison",),
}
"""Module to the classes that an extension derives from or makes."""


def pages() -> dict[str, str]:
    """Return the file name of each page to its Markdown."""
    verbs = {f"{name}.md": _verb_page(name, verb) for name, verb in VERBS.items()}
    groups = {f"{group}s.md": _group_page(group) for group in CHOSEN}
    return {"command_line.md": _overview(), **verbs, **groups, "python_api.md": _python_page()}


def _overview() -> str:
    rows = [(f"[{name}]({name}.md)", verb.help) for name, verb in VERBS.items()]
    return "\n".join(
        [
            "# The command line",
            "",
            *_table(("verb", "what it does"), rows),
            "",
            "Every verb knows `--help` (what most people need), `--help-all` (everything) and `--debug` (the traceback "
            "of an error). Options may be given in a YAML file: `--config FILE`; those on the command line win. In a "
            "YAML file the dots are levels: `--optimizer.lr 0.001` is `optimizer: {lr: 0.001}`.",
            "",
        ]
    )


def _verb_page(name: str, verb: Verb) -> str:
    lines = [f"# equireg {name}", "", verb.help[0].upper() + verb.help[1:] + ".", ""]
    given = [(f"`{argument.name.upper()}`", argument.help) for argument in verb.arguments]
    given += [("`-o`, `--out`", verb.out)] if verb.out is not None else []
    given += [(f"`--{flag}`", text) for flag, text in verb.flags.items()]
    lines += [*_table(("argument", "what it is"), given), ""] if given else []
    config = verb.options()
    if config is None:
        return "\n".join(lines)
    options = [option for option in options_in(config) if not _is_chosen(option)]
    common = [option for option in options if option.name in (*verb.common, *verb.required)]
    rest = [option for option in options if option not in common]
    lines += ["## Options that most people need", "", *_options(common), ""] if common else []
    lines += ["## All other options" if common else "## Options", "", *_options(rest), ""] if rest else []
    if verb.names is not None:
        lines += [
            "`--method.NAME` and `--network.NAME` are the options of the [method](methods.md) and the "
            "[network](networks.md).",
            "",
        ]
    return "\n".join([*lines, f"In Python: [`equireg.{name}`](python_api.md)." if name in equireg.__all__ else "", ""])


def _is_chosen(option: Option) -> bool:
    """Whether an option is one of a method or a network, which have pages of their own."""
    group, _, own = option.name.partition(".")
    return group in CHOSEN and own not in ("", "name")


def _group_page(group: str) -> str:
    lines = [
        f"# {group.capitalize()}s",
        "",
        f"`--{group} NAME` chooses one. Its options are `--{group}.OPTION`; those of another {group} are refused.",
        "",
    ]
    for name in names(group):
        if name == "auto":
            continue
        lines += [f"## {name}", ""]
        own = [Option(f"{group}.{o.name}", *_rest(o)) for o in options_in(options_of(group, name)) if o.name != "name"]
        lines += [*_options(own), ""] if own else ["It has no options.", ""]
    return "\n".join(lines)


def _rest(option: Option) -> tuple[Any, Any, str, tuple[str, ...]]:
    return option.type, option.default, option.text, option.choices


def _options(options: Iterable[Option]) -> list[str]:
    rows = [(f"`--{option.name}`", _values(option), f"`{_default(option)}`", option.text) for option in options]
    return _table(("option", "values", "default", "what it is"), rows)


def _values(option: Option) -> str:
    return ", ".join(f"`{choice}`" for choice in option.choices) if option.choices else words_of(option.type)


def _default(option: Option) -> str:
    value = option.default
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    if isinstance(value, tuple | list):
        return ",".join(map(str, value)) or "none"
    return str(value)


def _table(head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> list[str]:
    def line(cells: Iterable[Any]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |"

    return [line(head), line("---" for _ in head), *map(line, rows)]


def _python_page() -> str:
    functions = {name: equireg._place(name) for name in equireg.__all__ if name in VERBS or name in equireg._OTHERS}
    lines = ["# Python", "", "How to use it: [equireg from Python](../python.md).", "", "## Functions", ""]
    lines += _directives((f"equireg.{name}", place.replace(":", ".")) for name, place in functions.items())
    lines += ["## Options", ""]
    lines += ["A config holds the options of a verb; the verb's page lists them.", ""]
    rows = [
        (f"`equireg.{v.config}`", f"[{name}]({name}.md)") for name, v in VERBS.items() if v.config in equireg.__all__
    ]
    lines += [*_table(("config", "verb"), rows), "", "## To extend equireg", ""]
    extensions = ((f"{module}.{name}", f"{module}.{name}") for module, own in _CLASSES.items() for name in own)
    return "\n".join([*lines, *_directives(extensions)])


def _directives(named: Iterable[tuple[str, str]]) -> Iterator[str]:
    for shown, place in named:
        yield from (f"::: {place}", "    options:", f"      heading: {shown}", "      heading_level: 3", "")

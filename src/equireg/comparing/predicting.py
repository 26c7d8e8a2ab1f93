"""Options of `equireg predict` in which compared evaluations differ: they change masks as trainings do."""

from collections.abc import Mapping, Sequence
from typing import Any

from equireg.comparing.compared import Evaluation


def predicted_otherwise(evaluations: Sequence[Evaluation]) -> dict[str, str]:
    """Return the options in which evaluations differ, in words, by title; nothing where they do not.

    Evaluations that know no options, such as those of other tools' predictions, are left out.
    """
    known = {one.title: options for one in evaluations if (options := _options(one.provenance.predicted_with))}
    names = dict.fromkeys(name for options in known.values() for name in options)
    values = {name: {str(options[name]) for options in known.values() if name in options} for name in names}
    differ = [name for name in names if len(values[name]) > 1]
    found = {
        title: ", ".join(f"--{name} {options[name]}" for name in differ if name in options)
        for title, options in known.items()
    }
    return {title: words for title, words in found.items() if words}


def _options(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return those options that change masks, one word for what means the same."""
    options = {name: value for name, value in told.items() if value is not None and name != "quality_views"}
    if options.get("test_time") != "equivariance":
        options.pop("passes", None)
    if options.get("checkpoint") == "auto":  # the best one, where training validated
        options["checkpoint"] = "best"
    return options

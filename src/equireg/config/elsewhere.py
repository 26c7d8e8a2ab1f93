"""Which verb has an option that another one was given."""

from dataclasses import fields

_OPTIONS = {
    "prepare": "PrepareConfig",
    "train": "TrainOptions",
    "selftrain": "RoundsConfig",
    "predict": "PredictConfig",
    "evaluate": "EvaluateConfig",
    "view": "ViewConfig",
    "suggest": "SuggestConfig",
    "adopt": "AdoptConfig",
    "export": "ExportConfig",
    "pack": "PackConfig",
    "serve": "ServeConfig",
}
"""Verb to the class of its own options; those of `equireg train` are those of `selftrain` and `plan` too."""


def verbs_with(option: str) -> list[str]:
    """Return the verbs that have an option of exactly this name; nested options are not looked for."""
    from equireg import config  # the classes import the parser

    return [verb for verb, name in _OPTIONS.items() if option in {one.name for one in fields(getattr(config, name))}]

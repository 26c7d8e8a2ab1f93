"""Which verb has an option that another one was given."""

from dataclasses import fields

_VERBS = ("prepare", "train", "predict", "evaluate", "view", "suggest", "adopt", "export", "serve")


def verbs_with(option: str) -> list[str]:
    """Return the verbs that have an option of exactly this name; nested options are not looked for."""
    from equireg import config  # the classes import the parser

    return [verb for verb in _VERBS if option in {one.name for one in fields(getattr(config, f"{verb.title()}Config"))}]

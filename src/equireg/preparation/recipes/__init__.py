"""The recipes, one file each: ways from a raw data set to what a network sees."""

from collections.abc import Mapping
from typing import Any

from equireg.preparation.recipes.base import Recipe as Recipe
from equireg.preparation.recipes.base import WorkingScan as WorkingScan
from equireg.preparation.recipes.default import Default
from equireg.preparation.recipes.thesis import Thesis

RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in (Default(), Thesis())}


def find(name: str) -> Recipe:
    """Return the recipe of a name, as ``--recipe`` gives it."""
    return RECIPES[name]


def of(normalisation: Mapping[str, Any]) -> Recipe:
    """Return the recipe that made a normalisation: the one of its name, or the default recipe for its own kinds."""
    return RECIPES.get(str(normalisation["name"]), RECIPES[Default.name])

"""Libraries of DICOM, imported where they are used, and quiet about what is odd in a header."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from equireg.errors import EquiregError


def library(name: str, user: str) -> Any:
    """Return a module that ``user`` needs.

    Raises:
        EquiregError: if it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise EquiregError(
            f"{user} needs the package {error.name}, which is not installed: `pip install 'equireg[dicom]'`."
        ) from error


def pydicom() -> Any:
    """Return the module pydicom."""
    return library("pydicom", "DICOM")


@contextmanager
def quietly() -> Iterator[None]:
    """Let headers say what the standard does not allow, without a word of pydicom's."""
    settings = pydicom().config.settings
    logger = logging.getLogger("pydicom")
    before, level = settings.reading_validation_mode, logger.level
    settings.reading_validation_mode = pydicom().config.IGNORE
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        settings.reading_validation_mode = before
        logger.setLevel(level)

"""A new DICOM object that refers to a series, made from the headers of its files."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from equireg.disk import write_atomic
from equireg.errors import EquiregError
from equireg.imaging.dicom.heads import read_dataset
from equireg.imaging.dicom.library import quietly
from equireg.imaging.dicom.series import Series


def write_object(path: Path, series: Series, what: str, make: Callable[[list[Any]], Any]) -> None:
    """Write an object; completely or not at all.

    Args:
        path: the file.
        series: the source.
        what: what the object is called in an error.
        make: gives the object, from the headers of the source's files.

    Raises:
        EquiregError: if the source lacks what the object must copy, or the disk is full.
    """
    try:
        with quietly():
            made = make([read_dataset(file) for file in series.files])
            buffer = io.BytesIO()
            made.save_as(buffer, enforce_file_format=True)
    except EquiregError:
        raise
    except Exception as error:  # a header is foreign, and the libraries raise whatever their parts do
        words = " ".join(str(error).split())[:200].rstrip(".")
        raise EquiregError(
            f"{series.files[0]}: {what} of this series cannot be written ({type(error).__name__}: {words}). Give "
            "--format nifti."
        ) from error
    write_atomic(path, buffer.getvalue())

"""The disk: files and folders that are written completely or not at all, locks, and errors in words that help."""

from equireg.disk.faults import DiskError, disk_errors, read_errors
from equireg.disk.leftovers import TASKS, partial_name
from equireg.disk.locks import IN_FOLDER, locked_folder
from equireg.disk.writing import (
    existing_folder,
    parse_json,
    read_json,
    refuse_existing,
    second_name,
    staged_file,
    staged_folder,
    write_atomic,
    write_json,
)

__all__ = [
    "IN_FOLDER",
    "TASKS",
    "DiskError",
    "disk_errors",
    "existing_folder",
    "locked_folder",
    "parse_json",
    "partial_name",
    "read_errors",
    "read_json",
    "refuse_existing",
    "second_name",
    "staged_file",
    "staged_folder",
    "write_atomic",
    "write_json",
]

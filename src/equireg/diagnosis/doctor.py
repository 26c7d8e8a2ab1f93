"""The verb ``doctor``: look at the machine before it is needed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from equireg import disk
from equireg.config import DoctorConfig
from equireg.config.parsing import options_from
from equireg.diagnosis.findings import Diagnosis, Finding
from equireg.diagnosis.packages import check_packages


def doctor(folder: Path | str | None = None, config: DoctorConfig | None = None, **options: Any) -> Diagnosis:
    """Look for what will not work on this machine, or slowly: versions, GPU, cores, memory, disk, and a small run.

    Nothing stays on the disk. The findings name the folders that were looked at, and no host or user beside them.

    Args:
        folder: where data and runs are to lie; the current folder by default.
        config: the options; or give them by name.
        options: those of ``DoctorConfig``, laid over ``config``.

    Returns:
        What was found; ``passed`` tells whether everything will work.

    Raises:
        EquiregError: if the folder does not exist.
    """
    config = options_from(DoctorConfig, config, options)
    place = None if folder is None else disk.existing_folder(folder, "where data and runs are to lie")
    return Diagnosis(tuple(_findings(place, config)), config.json)


def _findings(folder: Path | None, config: DoctorConfig) -> Iterator[Finding]:
    packages = list(check_packages())
    yield from packages
    torch_is_there = not any(finding.check == "torch" and finding.finding == "is not installed" for finding in packages)
    if torch_is_there:
        from equireg.diagnosis.gpu import check_gpu, check_precision

        yield from check_gpu(config.device)
        yield check_precision(config.device)
    from equireg.diagnosis.machine import check_cores, check_memory, check_shared_memory
    from equireg.diagnosis.storage import check_storage

    yield check_cores()
    yield check_memory()
    yield check_shared_memory()
    yield from check_storage(folder)
    if config.self_test and torch_is_there:
        from equireg.diagnosis.self_test import check_by_running

        yield check_by_running(config.device)

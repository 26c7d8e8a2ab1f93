"""The verb ``doctor``: look at the machine before it is needed."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from equireg import disk
from equireg.config import DoctorConfig
from equireg.config.parsing import options_from
from equireg.diagnosis.findings import Diagnosis, Finding, failure
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
    packages = list(_found("packages", check_packages))
    yield from packages
    torch_is_there = not any(finding.check == "torch" and finding.finding == "is not installed" for finding in packages)
    if torch_is_there:
        from equireg.diagnosis.gpu import check_gpu, check_precision

        yield from _found("GPU", lambda: check_gpu(config.device))
        yield from _found("precision", lambda: [check_precision(config.device)])
    from equireg.diagnosis.machine import check_cores, check_memory, check_shared_memory
    from equireg.diagnosis.storage import check_storage

    yield from _found("cores", lambda: [check_cores()])
    yield from _found("memory", lambda: [check_memory()])
    yield from _found("shared memory", lambda: [check_shared_memory()])
    yield from _found("storage", lambda: check_storage(folder))
    if config.self_test and torch_is_there:
        from equireg.diagnosis.self_test import check_by_running

        yield from _found("self-test", lambda: [check_by_running(config.device)])


def _found(check: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield what a check finds, and an error that it does not foresee as a failure, so that the page goes on."""
    try:
        yield from look()
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        yield failure(check, f"looking fails ({said})", "Mend what the message names, then run doctor again.")

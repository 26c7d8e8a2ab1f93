"""Processes that work on cases at once; what goes wrong with one case stays with it."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, TypeVar

from tqdm import tqdm

from equireg.errors import EquiregError

Result = TypeVar("Result")


class Workers:
    """Processes that work on cases at once; one job needs none."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def run(
        self, function: Callable[..., Result], tasks: Mapping[str, tuple[Any, ...]], what: str
    ) -> Iterator[tuple[str, Result | EquiregError]]:
        """Yield each task's name with its result, or with the error that the user must see."""
        bar = tqdm(total=len(tasks), desc=what, unit="case", disable=None)
        with bar:
            if self.jobs == 1 or len(tasks) == 1:
                for name, arguments in tasks.items():
                    yield name, guarded(function, *arguments)
                    bar.update()
                return
            if self._pool is None:
                self._pool = ProcessPoolExecutor(self.jobs, mp_context=get_context("spawn"))
            futures: dict[Future[Result | EquiregError], str] = {
                self._pool.submit(guarded, function, *arguments): name for name, arguments in tasks.items()
            }
            for future in as_completed(futures):
                try:
                    yield futures[future], future.result()
                except BrokenProcessPool as error:
                    raise EquiregError(
                        f"a worker died at {futures[future]!r}, most likely for want of memory. Run the same "
                        "command with fewer --jobs; finished cases are kept."
                    ) from error
                bar.update()


def guarded(function: Callable[..., Result], *arguments: Any) -> Result | EquiregError:
    """Return a user's error as a value, which crosses from a worker with its words intact."""
    try:
        return function(*arguments)
    except EquiregError as error:
        return type(error)(str(error))
    except MemoryError:
        return EquiregError("needs more memory than there is; try fewer --jobs or a coarser --spacing.")
    except Exception as error:  # a damaged header raises whatever its reader happens to trip over
        return EquiregError(f"cannot be read ({type(error).__name__}: {error}).")

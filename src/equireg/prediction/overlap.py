"""Three stages, of which each works on another item at the same time."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from equireg.disk import DiskError
from equireg.prediction.failures import Failure
from equireg.processes.memory import room_for_a_thread

Item = TypeVar("Item")
Source = TypeVar("Source")
Made = TypeVar("Made")


def overlapping(
    items: Sequence[Item],
    read: Callable[[Item], Source],
    work: Callable[[Item, Source], Made],
    write: Callable[[Item, Made], None],
) -> Iterator[tuple[Item, Failure | None]]:
    """Read, work on and write items; yield each, in order, with the failure that stopped it, or None.

    While this thread works on an item, one thread reads the next and one writes the last. At most one item is at
    each stage, so memory does not grow with their number. A write that has begun is finished, whatever happens.
    An error of any kind stops its item alone.

    Raises:
        DiskError: as soon as a stage meets one, because going on is of no use.
    """

    def finish(item: Item, made: Made | Failure) -> tuple[Item, Failure | None]:
        return item, made if isinstance(made, Failure) else _outcome(write, item, made)

    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        for pool in (reader, writer):
            room_for_a_thread()
            pool.submit(int)  # its thread begins here, before scans fill the memory
        coming = reader.submit(_outcome, read, items[0]) if items else None
        writing: Future[tuple[Item, Failure | None]] | None = None
        for index, item in enumerate(items):
            source = coming.result() if coming else None
            coming = reader.submit(_outcome, read, items[index + 1]) if index + 1 < len(items) else None
            made = source if isinstance(source, Failure) else _outcome(work, item, source)
            if writing is not None:
                yield writing.result()
            writing = writer.submit(finish, item, made)
            del source, made  # a case's arrays fill hundreds of megabytes
        if writing is not None:
            yield writing.result()


def _outcome(stage: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a stage returns, or as a value why it failed."""
    try:
        return stage(*arguments)
    except DiskError:
        raise
    except Exception as error:
        return Failure.of(error)

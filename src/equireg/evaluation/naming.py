"""Cases in messages: the first few of many, and one error for all that is wrong."""

from collections.abc import Iterable, Mapping

from equireg import errors
from equireg.errors import EquiregError, UnexpectedError

_DETAILS = 5
"""Cases of which an error repeats all that is wrong; of further ones it gives the name."""


def some_of(names: Iterable[str], most: int = 3) -> str:
    """Name the first few of many, sorted."""
    return errors.some_of(sorted(names), most) or "none"


def one_error(problems: Mapping[str, EquiregError], cases: int) -> EquiregError:
    """Return one error for the problems of one or more cases, out of so many, that names all of them."""
    found = list(problems.values())
    # A fault of equireg itself must not be taken for one of the files.
    kind = UnexpectedError if any(isinstance(problem, UnexpectedError) for problem in found) else type(found[0])
    if len(found) == 1:
        return kind(str(found[0]))
    details = " ".join(f"{case}: {problem}" for case, problem in list(problems.items())[:_DETAILS])
    further = list(problems)[_DETAILS:]
    if further:
        details += f" And {', '.join(further)}."
    return kind(f"{len(found)} of {cases} cases cannot be judged, so none is. {details}")

"""Errors that carry the status with which a server answers."""

from equireg.errors import EquiregError


class RequestError(EquiregError):
    """A request that cannot be met.

    Args:
        status: of the HTTP answer.
        message: one line for the user.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def unknown(image: str) -> RequestError:
    """Return the error for a scan that is not there."""
    return RequestError(404, f"no image is named {image[:80]!r}. Ask for `datastore/?output=all`, which lists them.")

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

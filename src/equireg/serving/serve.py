"""The verb ``serve``: a model and a prepared folder behind an HTTP server."""

import ipaddress
import logging
import secrets
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equireg.config import ServeConfig
from equireg.config.parsing import options_from
from equireg.errors import EquiregError

if TYPE_CHECKING:
    import uvicorn

log = logging.getLogger("equireg")


@dataclass(frozen=True)
class Opened:
    """A server whose port is open; ``run`` answers until it is told to stop."""

    url: str
    """where it is asked; with the token as the first part of its path where there is one"""
    server: "uvicorn.Server"
    socket: socket.socket

    def run(self) -> None:
        """Answer requests until the server is stopped."""
        self.server.run(sockets=[self.socket])

    def stop(self) -> None:
        """Let ``run`` return."""
        self.server.should_exit = True


def serve(folder: Path | str, config: ServeConfig | None = None, **options: Any) -> None:
    """Serve a model, and with a prepared folder the loop of annotation, until interrupted.

    Args:
        folder: output of `equireg train` or `equireg ensemble`, or a folder for the runs of a loop, which may be new.
        config: the options; or give them by name.
        options: those of ``ServeConfig``, laid over ``config``.

    Raises:
        EquiregError: if there is no model and no prepared folder, a package is missing, or the port is taken.
    """
    with opened(folder, config, **options) as server:
        log.info("equireg serves at %s", server.url)
        log.info("give this address to 3D Slicer's module MONAI Label, or open it in a browser; Ctrl-C ends it")
        with _ended_by_signals():
            server.run()
    log.info("the server has ended")


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the block, such that what follows it still runs."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def opened(folder: Path | str, config: ServeConfig | None = None, **options: Any) -> Iterator[Opened]:
    """Open a server for a while; the arguments and errors are those of ``serve``."""
    config = options_from(ServeConfig, config, options)
    try:
        import python_multipart as _python_multipart  # noqa: F401 - fastapi asks for it when a form comes
        import uvicorn

        from equireg.serving.app import make_app
    except ImportError as error:
        raise EquiregError(f"serving needs the package {error.name}: pip install 'equireg[serve]'.") from error
    from equireg.serving.desk import Desk

    token = config.token or (None if _is_local(config.host) else secrets.token_urlsafe(24))
    desk = Desk(Path(folder), config)
    try:
        with _listening(config) as listener:
            app = make_app(desk, config, token)
            server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
            yield Opened(_url(config.host, listener.getsockname()[1], token), server, listener)
    finally:
        desk.close()


def _is_local(host: str) -> bool:
    """Whether no other machine reaches an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listening(config: ServeConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, config.port), family=family)
    except OSError as error:
        raise EquiregError(
            f"cannot listen at {config.host}, port {config.port} ({error.strerror or error}). Choose another --port or "
            "--host."
        ) from error


def _url(host: str, port: int, token: str | None) -> str:
    shown = socket.gethostname() if host in ("0.0.0.0", "::", "") else f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}" + ("" if token is None else f"/{token}")

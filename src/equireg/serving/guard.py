"""Who may ask, and how much a request may hold: checked before anything else reads it."""

import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.exceptions import HTTPException

from equireg.serving import health

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_OPEN = ("/auth", "/auth/", "/auth/token", health.PATH)
"""Paths that need no token: how a client learns that one is needed and gives it, and whether the server lives."""
_READ_ON = 2**26
"""Bytes of a body that is too large that are still read, so that a client that writes first sees the answer."""


class Guard:
    """The outermost layer of the server.

    Args:
        app: what answers.
        token: secret that each request must bring, as ``Authorization: Bearer TOKEN`` or as the first part of the
            path; None for none.
        limit: most bytes of a request's body.
        hosts: names under which the server is asked; None for any. A page from elsewhere that has made its name
            point here is refused so.
    """

    def __init__(self, app: App, token: str | None, limit: int, hosts: tuple[str, ...] | None) -> None:
        self._app = app
        self._token = token
        self._limit = limit
        self._hosts = hosts

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        asked = scope["path"]
        scope, known = self._without_token(scope, headers)
        if scope["path"] != asked:
            send = _with_token(send, asked.removesuffix(scope["path"]))
        size = headers.get("content-length", "0")
        if not size.isdigit() or int(size) > self._limit:
            await _discard(receive)
            await _refuse(send, 413, self._too_large())
        elif self._is_foreign(headers):
            await _refuse(send, 403, "the request comes from another page or for another host. Ask the server itself.")
        elif not known and scope["path"] not in _OPEN:
            await _refuse(
                send, 401, "the token is missing or wrong. Give the one that the server printed as it started."
            )
        else:
            await self._app(scope, self._counted(receive), send)

    def _without_token(self, scope: Message, headers: dict[str, str]) -> tuple[Message, bool]:
        """Return the request without the token in its path, and whether it brought the right one."""
        if self._token is None:
            return scope, True
        _, first, *rest = scope["path"].split("/", 2)
        if same(first, self._token):
            path = "/" + "".join(rest)
            return {**scope, "path": path, "raw_path": path.encode()}, True
        kind, _, given = headers.get("authorization", "").partition(" ")
        return scope, kind.lower() == "bearer" and same(given.strip(), self._token)

    def _is_foreign(self, headers: dict[str, str]) -> bool:
        host = headers.get("host", "")
        if self._hosts is not None and (urlsplit(f"//{host}").hostname or "") not in self._hosts:
            return True
        origin = headers.get("origin")
        return origin is not None and urlsplit(origin).netloc != host

    def _counted(self, receive: Receive) -> Receive:
        """Count what is read of a body whose size was not told."""
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._limit:
                raise HTTPException(413, self._too_large())
            return message

        return counted

    def _too_large(self) -> str:
        return f"the request is larger than {self._limit / 1e6:g} MB. Start the server with a larger --max_upload_mb."


def same(given: str, token: str) -> bool:
    """Compare in a time that tells nothing of the token."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode())


def _with_token(send: Send, front: str) -> Send:
    """Put the part of the path that holds the token in front of where an answer leads on to."""

    async def sending(message: Message) -> None:
        headers = [
            (name, _in_front(value, front) if name.lower() == b"location" else value)
            for name, value in message.get("headers", [])
        ]
        await send({**message, "headers": headers} if headers else message)

    return sending


def _in_front(address: bytes, front: str) -> bytes:
    there = urlsplit(address.decode("latin-1"))
    return there._replace(path=quote(front) + there.path).geturl().encode("latin-1")


async def _discard(receive: Receive) -> None:
    read, more = 0, True
    while more and read < _READ_ON:
        message = await receive()
        read += len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)


async def _refuse(send: Send, status: int, detail: str) -> None:
    body = json.dumps({"detail": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

"""Who may ask: the token, the host, the origin and the size of a request."""

import asyncio
import json
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra serve is not installed")

TOKEN = "abcdefghijklmnop"


def ask(path: str, *, token: str | None = TOKEN, body: bytes = b"", hosts=None, **headers: str) -> tuple[int, Any]:
    """Send one request through a guard to an application that answers with its path and the size of its body."""
    from equireg.serving.guard import Guard

    async def app(scope, receive, send):
        message = await receive()
        await send({"type": "http.response.start", "status": 200})
        content = json.dumps([scope["path"], len(message["body"])]).encode()
        await send({"type": "http.response.body", "body": content})

    told: list[Any] = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        told.append(message)

    lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "path": path, "headers": lines}
    asyncio.run(Guard(app, token, 100, hosts)(scope, receive, send))
    return told[0]["status"], json.loads(told[1]["body"])


def test_the_token_opens_as_header_and_as_first_part_of_the_path():
    assert ask("/info/", authorization=f"Bearer {TOKEN}") == (200, ["/info/", 0])
    assert ask(f"/{TOKEN}/info/") == (200, ["/info/", 0])
    assert ask(f"/{TOKEN}") == (200, ["/", 0])
    assert ask("/info/", token=None) == (200, ["/info/", 0])


@pytest.mark.parametrize("path", ["/info/", "/", "/wrong-wrong-wrong/info/", "/auth/token/valid", "/é/info/"])
def test_without_the_right_token_there_is_one_line(path: str):
    for given in ("", "Bearer wrong", TOKEN):
        status, told = ask(path, authorization=given)
        assert status == 401
        assert "token is missing or wrong" in told["detail"]


def test_a_client_can_ask_whether_a_token_is_needed():
    assert ask("/auth/")[0] == ask("/auth/token")[0] == 200


def test_other_pages_and_other_hosts_are_refused():
    local = ("localhost", "127.0.0.1")
    assert ask("/", token=None, hosts=local, host="127.0.0.1:8000")[0] == 200
    assert ask("/", token=None, hosts=local, host="evil.example:8000")[0] == 403
    assert ask("/", token=None, host="a:1", origin="http://a:1")[0] == 200
    assert ask("/", token=None, host="a:1", origin="http://b:1")[0] == 403
    assert ask("/", token=None, host="a:1", origin="null")[0] == 403


def test_a_large_body_is_refused_whether_its_size_is_told_or_not():
    from starlette.exceptions import HTTPException

    assert ask("/", token=None, body=bytes(100), content_length="100") == (200, ["/", 100])
    assert ask("/", token=None, content_length="101")[0] == 413
    assert ask("/", token=None, content_length="-1")[0] == 413
    with pytest.raises(HTTPException, match="larger than"):
        ask("/", token=None, body=bytes(101))


@pytest.mark.parametrize(("front", "there"), [("", "/info/"), (f"/{TOKEN}", f"/{TOKEN}/info/")])
def test_a_path_without_its_last_slash_leads_on_with_the_token(front: str, there: str):
    from equireg.serving.guard import Guard

    async def app(scope, receive, send):
        headers = [(b"location", f"http://a:1{scope['path']}/?x=1".encode()), (b"x", b"y")]
        await send({"type": "http.response.start", "status": 307, "headers": headers})

    told: list[Any] = []

    async def send(message):
        told.append(message)

    async def receive():
        return {"type": "http.request", "body": b""}

    guard = Guard(app, TOKEN if front else None, 100, None)
    asyncio.run(guard({"type": "http", "path": f"{front}/info", "headers": []}, receive, send))
    assert told[0]["headers"] == [(b"location", f"http://a:1{there}?x=1".encode()), (b"x", b"y")]

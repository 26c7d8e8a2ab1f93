"""Answers that carry a file, as the clients of MONAI Label read them."""

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Response

_BINARY = "application/octet-stream"


def file_answer(path: Path, name: str) -> Response:
    """Return a file, named for the client's disk."""
    headers = {"content-disposition": f'attachment; filename="{_plain(name)}"', "x-content-type-options": "nosniff"}
    return Response(path.read_bytes(), media_type=_BINARY, headers=headers)


def form_answer(params: Mapping[str, Any], path: Path, name: str) -> Response:
    """Return a multipart form of two parts: ``params``, JSON, and ``image``, the file."""
    boundary = secrets.token_hex(16)
    parts = [
        ('name="params"', "application/json", json.dumps(params).encode()),
        (f'name="image"; filename="{_plain(name)}"', _BINARY, path.read_bytes()),
    ]
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {which}\r\nContent-Type: {kind}\r\n\r\n".encode()
        + content
        + b"\r\n"
        for which, kind, content in parts
    )
    return Response(body + f"--{boundary}--\r\n".encode(), media_type=f"multipart/form-data; boundary={boundary}")


def _plain(name: str) -> str:
    """Return a name that fits a header's line; what does not is percent-encoded."""
    return quote(name, safe=" !#$&'()+,-.;=@[]^_`{}~")

"""A client for tests, which sends what the clients of MONAI Label send, in their forms."""

import http.client
import json
from dataclasses import dataclass
from email import message_from_bytes
from typing import Any

_BOUNDARY = "----------a_boundary_of_a_client_$"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def detail(self) -> str:
        """The one line of an error."""
        assert self.status >= 400
        assert list(self.json) == ["detail"]
        assert "\n" not in self.json["detail"]
        return self.json["detail"]

    @property
    def parts(self) -> dict[str, tuple[str | None, bytes]]:
        """The parts of a multipart answer: name to file name and content."""
        kind = self.headers["content-type"]
        message = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + self.body)
        found = {}
        for part in message.walk():
            if part.is_multipart():
                continue
            name = part.get_param("name", header="content-disposition")
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            found[str(name)] = (part.get_filename(), content)
        return found


class Client:
    """Sends requests as the clients do: JSON bodies, or forms whose parts have no more than name and type."""

    def __init__(self, host: str, port: int, prefix: str = "") -> None:
        self._host, self._port, self._prefix = host, port, prefix

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=60)
        try:
            connection.request(method, self._prefix + path, body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def send(self, method: str, path: str, content: Any) -> Answer:
        return self.ask(method, path, json.dumps(content).encode(), **{"content-type": "application/json"})

    def form(self, method: str, path: str, params: Any = None, **files: tuple[str, bytes]) -> Answer:
        return self.parts(method, path, params, list(files.items()))

    def parts(self, method: str, path: str, params: Any, files: list[tuple[str, tuple[str, bytes]]]) -> Answer:
        """Send a form in which one name may have several files."""
        lines = []
        if params is not None:
            head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="params"\r\n\r\n'
            lines.append(head.encode() + json.dumps(params).encode() + b"\r\n")
        for name, (file, content) in files:
            head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n'
            lines.append(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode() + content + b"\r\n")
        body = b"".join(lines) + f"--{_BOUNDARY}--\r\n\r\n".encode()
        return self.ask(method, path, body, **{"content-type": f"multipart/form-data; boundary={_BOUNDARY}"})

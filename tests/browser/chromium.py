"""A headless Chromium that the tests drive by its own protocol over a websocket."""

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.sync.client import connect
from websockets.sync.connection import Connection

PATHS = ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    *("--remote-debugging-port=0", "--no-first-run", "--disable-background-networking", "--hide-scrollbars"),
)
_PATIENCE_S = 180.0  # WebGL2 in software is slow where cores are busy


def find() -> str | None:
    """Return the program, where there is one."""
    return next((found for path in PATHS if (found := shutil.which(path))), None)


@dataclass
class Page:
    """One open page."""

    socket: Connection
    problems: list[str] = field(default_factory=list)
    """errors and warnings that the page wrote to its console, and exceptions"""
    _count: int = 0

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result; events on the way are kept."""
        self._count += 1
        self.socket.send(json.dumps({"id": self._count, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv(timeout=_PATIENCE_S))
            self._note(message)
            if message.get("id") == self._count:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]

    def _note(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        if message.get("method") == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.problems.append(" ".join(str(one.get("value", one.get("description"))) for one in params["args"]))
        if message.get("method") == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.problems.append(str(details.get("exception", {}).get("description", details["text"])))
        if message.get("method") == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.problems.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    def open(self, url: str, width: int, scheme: str = "light", before: str = "") -> None:
        """Open an address at a width in pixels, in a colour scheme; ``before`` runs before the page's own scripts."""
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        if before:
            self.call("Page.addScriptToEvaluateOnNewDocument", source=before)
        mobile = width < 600
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": mobile}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"].get("description"))
        return found["result"].get("value")

    def wait(self, condition: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + _PATIENCE_S
        while not self.run(f"Boolean({condition})"):
            if time.monotonic() > end:
                raise TimeoutError(f"never true: {condition}; the console says {self.problems}")
            time.sleep(0.05)

    def colour(self, element: str, style: str) -> list[int]:
        """Return red, green and blue of a style of an element, 0 to 255."""
        return self.run(f"getComputedStyle({element}).{style}.match(/[0-9]+/g).slice(0, 3).map(Number)")

    def choose(self, selector: str, files: list[str]) -> None:
        """Choose files in an input element."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=files)

    def screenshot(self, clip: dict[str, float] | None = None) -> bytes:
        """Return a PNG of what is to be seen, or of a part: x, y, width and height in CSS pixels."""
        part = {} if clip is None else {"clip": {**clip, "scale": 1}}
        return base64.b64decode(self.call("Page.captureScreenshot", format="png", **part)["data"])

    def box(self, selector: str) -> dict[str, float]:
        """Return where an element is, as ``screenshot`` takes it."""
        words = json.dumps(selector)
        return self.run(
            f"(() => {{ const e = document.querySelector({words}); e.scrollIntoView();"
            " const b = e.getBoundingClientRect();"
            " return {x: b.x + scrollX, y: b.y + scrollY, width: b.width, height: b.height}; })()"
        )

    def click(self, selector: str) -> None:
        """Click in the middle of an element, as a mouse does."""
        words = json.dumps(selector)
        at = self.run(
            f"(() => {{ const e = document.querySelector({words}); e.scrollIntoView({{block: 'center'}});"
            " const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], button="left", clickCount=1)

    def slide(self, selector: str, value: float) -> None:
        """Set a slider, as a hand does."""
        words = json.dumps(selector)
        self.run(f"(document.querySelector({words}).value = {value})")
        self.run(f"document.querySelector({words}).dispatchEvent(new Event('input'))")

    def press(self, key: str) -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, text=key if len(key) == 1 and kind == "keyDown" else ""
            )


@contextmanager
def browser(program: str) -> Iterator[str]:
    """Run the browser; yield the address of its protocol."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            port, end = Path(profile) / "DevToolsActivePort", time.monotonic() + _PATIENCE_S
            while not (port.is_file() and port.read_text().count("\n")):
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"{program} did not start (exit {process.poll()})")
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port.read_text().splitlines()[0]}"
        finally:
            process.terminate()
            process.wait(timeout=30)


@contextmanager
def new_page(address: str) -> Iterator[Page]:
    """Open an empty page, and close it in the end."""
    request = urllib.request.Request(f"{address}/json/new?about:blank", method="PUT")
    with urllib.request.urlopen(request, timeout=30) as answer:
        target = json.load(answer)
    with connect(target["webSocketDebuggerUrl"], max_size=None) as socket:
        yield Page(socket)
    urllib.request.urlopen(f"{address}/json/close/{target['id']}", timeout=30).close()

"""The page at ``/``: drop a scan, see its mask in three planes and how far it is to be trusted."""

import base64
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, UploadFile
from fastapi.responses import HTMLResponse

from equireg._version import __version__
from equireg.annotation.page import planes_with_mask
from equireg.drawing.scans import bright, label_colour
from equireg.drawing.templating import content_policy, template
from equireg.folders.quality import LOOK_BELOW
from equireg.imaging.labels import LabelTable
from equireg.imaging.pictures import is_picture
from equireg.serving.desk import Desk
from equireg.serving.routes import sent, told
from equireg.serving.segmenting import Drawn

_SCRIPT = Path(__file__).with_name("page.js")
_HEADERS = {"content-security-policy": "frame-ancestors 'none'", "referrer-policy": "no-referrer"}
"""No other page may frame ours, and none learns the address that it was left from, which may hold the token."""


def page_routes(desk: Desk) -> APIRouter:
    """Return the page and what its script asks."""
    router = APIRouter()

    @router.get("/")
    def front() -> HTMLResponse:
        script = _SCRIPT.read_text(encoding="utf-8")
        model = desk.newest_model()
        page = template("equireg.serving", "page.html.jinja").render(
            policy=content_policy(script, asks_server=True),
            script=script,
            name=desk.name,
            channels=[] if model is None else model.facts.channels,
            pictures=model is not None and bool(model.facts.pictures),
            version=__version__,
        )
        return HTMLResponse(page, headers=_HEADERS)

    @router.post("/look/")
    def look(files: Annotated[list[UploadFile], File()]) -> dict[str, Any]:
        key = desk.uploads.add_session([sent(file) for file in files])
        try:
            drawn, folder = desk.draw(desk.name, desk.case(key))
        finally:
            desk.uploads.remove(key)
        with folder:
            return _shown(drawn, desk)

    return router


def log_page(text: str) -> str:
    """Return a page with the end of a log, which loads itself again."""
    return template("equireg.serving", "log.html.jinja").render(policy=content_policy(), text=text)


def _shown(drawn: Drawn, desk: Desk) -> dict[str, Any]:
    """Return what the page shows of a prediction."""
    labels = desk.model().facts.labels
    found = told(drawn, desk)
    worth = drawn.quality.quality
    kind = "image/png" if is_picture(drawn.mask) else "application/gzip"
    return {
        **found,
        "doubted": bool(found["look"]) or (worth is not None and worth < LOOK_BELOW),
        "planes": [vars(plane) for plane in _planes(drawn, labels, desk.model().facts.channels)],
        "colours": {name: label_colour(labels, value) for name, value in found["label_names"].items()},
        "mask": f"data:{kind};base64," + base64.b64encode(drawn.mask.read_bytes()).decode(),
        "ending": drawn.mask.name.removeprefix(drawn.case),
    }


def _planes(drawn: Drawn, labels: LabelTable, channels: tuple[str, ...]) -> list[Any]:
    """Draw the planes on which most of the mask lies, the mask over the scan in colours."""
    grid = drawn.scan.grid
    shown = bright(lambda index: drawn.scan.image[index], channels)
    return planes_with_mask(shown, grid.label_to_working(drawn.labels), labels, grid.spacing_mm, "the scan")

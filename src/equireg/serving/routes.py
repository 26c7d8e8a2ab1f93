"""The paths of MONAI Label's REST interface that its clients for annotation call."""

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, File, Form, UploadFile
from fastapi.responses import HTMLResponse, PlainTextResponse, Response

from equireg.serving import describing, health
from equireg.serving.answers import file_answer, form_answer
from equireg.serving.describing import FINAL
from equireg.serving.desk import Desk
from equireg.serving.errors import RequestError, unknown
from equireg.serving.labels import label_names
from equireg.serving.segmenting import Drawn
from equireg.serving.uploads import Sent

Text = Annotated[str, Form()]
Optional = Annotated[UploadFile | None, File()]
Params = Annotated[dict[str, Any] | None, Body()]


def sent(file: UploadFile) -> Sent:
    """Return a file as it was sent."""
    return Sent(file.filename, file.file)


def parameters(text: str) -> dict[str, Any]:
    """Read the parameters that clients send as JSON in a form.

    Raises:
        RequestError: if they are none.
    """
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise RequestError(400, f"params is not valid JSON ({str(error)[:80]}).") from error
    if not isinstance(found, dict):
        raise RequestError(400, f"params is {str(found)[:80]!r}; expected a JSON object.")
    return found


def routes(desk: Desk) -> APIRouter:
    """Return all paths."""
    router = APIRouter()
    for part in (_infer, _datastore, _learning, _sessions, _training):
        router.include_router(part(desk))

    @router.get(health.PATH)
    def healthy() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/info/")
    def info() -> dict[str, Any]:
        return describing.info(desk)

    return router


def told(drawn: Drawn, desk: Desk) -> dict[str, Any]:
    """Return what is known of a predicted mask, as plain values."""
    quality = drawn.quality
    return {
        "label_names": label_names(desk.model().facts.labels, drawn.values),
        "quality": quality.quality,
        "regions": {name: dict(vars(region)) for name, region in quality.regions.items()},
        "look": list(quality.reasons),
    }


def _infer(desk: Desk) -> APIRouter:
    router = APIRouter()

    @router.post("/infer/{model}")
    def infer(
        model: str,
        image: str = "",
        session_id: str = "",
        output: Literal["image", "json", "all", "dicom_seg"] = "all",
        params: Text = "{}",
        file: Optional = None,
    ) -> Response:
        desk.model(model)
        parameters(params)
        archive, key = output == "dicom_seg", None
        if file is not None and file.filename:
            key = desk.uploads.add_session([sent(file)])
        elif session_id and desk.uploads.find(session_id) is None:
            raise unknown(session_id)
        elif not session_id and not image:
            raise RequestError(400, "no scan was given; expected image=NAME, session_id=ID or a file.")
        try:
            case = desk.case(key or session_id or image, raw=archive)
            drawn, folder = desk.draw(model, case, archive=archive)
        finally:
            if key is not None:
                desk.uploads.remove(key)
        with folder:
            ending = drawn.mask.name.removeprefix(drawn.case)
            name = f"{image or 'mask'}{ending}" if "/" not in image else f"mask{ending}"
            if drawn.archive is not None:
                return file_answer(drawn.archive, f"{name.removesuffix(ending)}.dcm")
            found = told(drawn, desk)
            if output == "json":
                return Response(json.dumps(found), media_type="application/json")
            desk.keep_draft(drawn)
            return file_answer(drawn.mask, name) if output == "image" else form_answer(found, drawn.mask, name)

    return router


def _datastore(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/datastore")

    @router.get("/")
    def datastore(output: Literal["stats", "all", "train"] = "stats") -> Any:
        made = {"stats": describing.status, "all": describing.listing, "train": describing.trained_on}
        return made[output](desk)

    @router.head("/image")
    @router.get("/image")
    def download_image(image: str) -> Response:
        path = desk.image_file(image)
        return file_answer(path, describing.file_name(image, path))

    @router.get("/image/info")
    def image_info(image: str) -> dict[str, Any]:
        return describing.sample(desk, image)

    @router.put("/")
    @router.put("/image")
    def upload_image(
        file: Annotated[UploadFile, File()], image: str | None = None, params: Text = "{}"
    ) -> dict[str, str]:
        parameters(params)
        return {"image": desk.add_image(image or file.filename or "", sent(file))}

    @router.head("/label")
    @router.get("/label")
    def download_label(label: str, tag: str = FINAL) -> Response:
        path = desk.data.reference(desk.record(label).name)
        if tag != FINAL or path is None:
            raise RequestError(404, f"{label[:80]!r} has no mask with the tag {tag[:80]!r}.")
        return file_answer(path, f"{label}.nii.gz")

    @router.put("/label")
    def save_label(
        image: str, label: Annotated[UploadFile, File()], tag: str = FINAL, params: Text = "{}"
    ) -> dict[str, Any]:
        if tag not in ("", FINAL):
            raise RequestError(400, f"masks with the tag {tag[:80]!r} are not kept; expected {FINAL}.")
        taken = desk.take(image, sent(label), parameters(params))
        return {
            "image": image,
            "label": image,
            "corrects": taken.corrects,
            "dice": None if taken.dice is None else dict(taken.dice),
            "changed_voxels": taken.changed_voxels,
        }

    return router


def _learning(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/activelearning")

    @router.post("/{strategy}")
    def next_sample(strategy: str, params: Params = None) -> dict[str, Any]:
        case = desk.next_case(strategy)
        if case is None:  # clients expect an answer without an id
            return {"detail": "no case without a mask is left. Add scans to the raw folder, and prepare it again."}
        return describing.sample(desk, case)

    return router


def _sessions(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/session")

    @router.put("/")
    def create(files: Annotated[list[UploadFile], File()]) -> dict[str, Any]:
        key = desk.uploads.add_session([sent(file) for file in files])
        return {"session_id": key, "session_info": _known(key)}

    @router.get("/{session_id}")
    def get(session_id: str, image: bool = False) -> Any:
        found = _known(session_id)
        return file_answer(desk.image_file(session_id), str(found["image"])) if image else found

    @router.delete("/{session_id}")
    def delete(session_id: str) -> dict[str, object]:
        found = _known(session_id)
        desk.uploads.remove(session_id)
        return found

    def _known(key: str) -> dict[str, object]:
        found = desk.uploads.find_session(key)
        if found is None:
            raise RequestError(404, "no such session. It ends an hour after its last use; send the scan again.")
        return found.as_dict(key)

    return router


def _training(desk: Desk) -> APIRouter:
    router = APIRouter()

    @router.get("/train/")
    def status(check_if_running: bool = False) -> dict[str, Any]:
        return desk.training.status(running_only=check_if_running)

    @router.post("/train/")
    def train_all(params: Params = None) -> dict[str, Any]:
        own = (params or {}).get(desk.name)
        return desk.train(own if isinstance(own, dict) else params)

    @router.post("/train/{model}")
    def train(model: str, params: Params = None) -> dict[str, Any]:
        if model != desk.name:
            raise RequestError(404, f"no model is named {model[:80]!r}; this server has {desk.name}.")
        return desk.train(params)

    @router.delete("/train/")
    def stop() -> dict[str, Any]:
        return desk.training.stop()

    @router.get("/logs/")
    def logs(lines: int = 300, html: bool = True, text: bool = False) -> Response:
        shown = "\n".join(desk.training.log(max(1, min(lines, 10_000)))) or desk.training.silence()
        if not html or text:
            return PlainTextResponse(shown)
        from equireg.serving.page import log_page

        return HTMLResponse(log_page(shown))

    return router

"""The reader of .mha and .nrrd files: a process of its own, as a damaged file can crash ITK or make it ask for memory.

Runs as a script. A request is ``{"path": .., "io": ITK's reader, "voxels": bool, "memory": bytes}``; the voxels come
slowest axis first, if they were asked for.
"""

from collections.abc import Iterator
from typing import Any

from equireg.imaging.reader_process import Answer, serve


def main() -> None:
    """Serve requests until the input ends."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    serve(lambda request: _read(sitk, request))


def _read(sitk: Any, request: dict[str, Any]) -> Answer:
    reader = sitk.ImageFileReader()
    reader.SetImageIO(request["io"])
    reader.SetFileName(request["path"])
    reader.ReadImageInformation()
    answer: dict[str, Any] = {
        "size": reader.GetSize(),
        "components": reader.GetNumberOfComponents(),
        "spacing": reader.GetSpacing(),
        "origin": reader.GetOrigin(),
        "direction": reader.GetDirection(),
    }
    if not request["voxels"]:
        return answer, ()
    image = reader.Execute()
    view = sitk.GetArrayViewFromImage(image)
    return answer | {"dtype": view.dtype.str, "shape": view.shape, "bytes": view.nbytes}, _parts(image, view)


def _parts(image: Any, view: Any) -> Iterator[bytes]:
    """Yield the voxels of a view; the image is kept as long, because the view is of its memory."""
    for part in view:
        yield part.tobytes()
    del image


if __name__ == "__main__":
    main()

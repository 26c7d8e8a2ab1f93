"""The reader of .mha and .nrrd files: a process of its own, as a damaged file can crash ITK or make it ask for memory.

Runs as a script and imports nothing of equireg. It reads a JSON object a line from standard input
(``{"path": .., "io": ITK's reader, "voxels": bool, "memory": bytes}``) and answers with a JSON object a line on
standard output; after it come the voxels, slowest axis first, if they were asked for.
"""

import json
import sys
from typing import Any, BinaryIO

_ROOM = 2**29
"""Memory for ITK itself, bytes."""


def main() -> None:
    """Serve requests until the input ends."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    for line in requests:
        try:
            _serve(sitk, json.loads(line), answers)
        except (RuntimeError, MemoryError, ValueError, OSError) as error:
            lines = [part.strip() for part in str(error).splitlines() if part.strip()]
            _answer(answers, {"error": lines[-1] if lines else type(error).__name__})


def _serve(sitk: Any, request: dict[str, Any], answers: BinaryIO) -> None:
    _limit_memory(int(request["memory"]))
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
        _answer(answers, answer)
        return
    image = reader.Execute()
    view = sitk.GetArrayViewFromImage(image)
    answer |= {"dtype": view.dtype.str, "shape": view.shape, "bytes": view.nbytes}
    _answer(answers, answer)
    for part in view:
        answers.write(part.tobytes())
    answers.flush()


def _answer(answers: BinaryIO, content: dict[str, Any]) -> None:
    answers.write(json.dumps(content).encode() + b"\n")
    answers.flush()


def _limit_memory(more: int) -> None:
    """Let this process grow by ``more`` bytes and some room, where the system can hold it to that."""
    try:
        import resource

        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = now + more + _ROOM
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))
    except (ImportError, OSError, ValueError):  # not Linux
        return


if __name__ == "__main__":
    main()

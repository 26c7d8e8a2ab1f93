"""Networks as files that run without equireg: ONNX and TorchScript, each compared with torch before it is kept."""

import io
import itertools
import warnings
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from equireg.disk import write_atomic
from equireg.engines import onnx_bytes
from equireg.engines.choosing import TOLERANCE
from equireg.errors import EquiregError
from equireg.exporting.leaving import Leaving, copy_standalone, example_image, network_files, write_facts
from equireg.inference.ensemble import as_one, probabilities

_USE = """
    python example.py MASK.nii.gz SCAN.nii.gz

with a file a channel, in the order of `channels` in `model.json`. It needs numpy, nibabel and {runtime}, and gives the
mask that `equireg predict` gives. A picture is one file (`MASK.png PICTURE.jpg`), which Pillow reads; its mask is grey.

| file | what |
| --- | --- |
| {files} | from images to probabilities, the mean over mirrored images, for any number of images of `patch_size` |
| `model.json` | axes, spacing, orientation, normalisation, patch, labels, post-processing |
| `example.py` | windows, and the mean over networks |
| `working.py` | what is done to a scan before and after: reading, turning, resampling, normalising, cropping, padding |
{more}"""
_COMPONENTS = "| `components.py` | removes small components, as `post_process` in `model.json` says |\n"

_BY_TORCH = (
    ("onnxruntime. model.json", "torch. model.json"),
    ("import onnxruntime\n", "import torch\n"),
    (
        'onnxruntime.InferenceSession(HERE / network["file"], providers=["CPUExecutionProvider"])',
        'torch.jit.load(HERE / network["file"], "cpu")',
    ),
    (
        'model.run(None, {"image": np.ascontiguousarray(batch[some])})[0]',
        "model(torch.from_numpy(batch[some])).detach().numpy()",
    ),
)
"""What the example says of ONNX, and in its place of TorchScript."""


class Averaged(nn.Module):
    """The mean probabilities of networks over the mirrored images: what `equireg predict` averages in a window."""

    def __init__(self, networks: list[nn.Module], flip_axes: tuple[int, ...]) -> None:
        super().__init__()
        self.network = as_one(networks)
        axes = [axis + 2 for axis in flip_axes]
        counts = range(len(axes) + 1)
        self.views = [chosen for count in counts for chosen in itertools.combinations(axes, count)]

    def forward(self, image: Tensor) -> Tensor:
        """Return probabilities [B, K, *S] of images [B, C, *S]."""
        total = probabilities(self.network, image)
        for axes in self.views[1:]:
            total = total + probabilities(self.network, image.flip(axes)).flip(axes)
        return total / len(self.views)


def export_onnx(folder: Path, leaving: Leaving) -> None:
    """Write a folder with a network a member as ONNX, its facts, and an example that uses it.

    Raises:
        EquiregError: if a package is missing, or the model does what the example cannot.
    """
    try:
        import onnx as _onnx  # noqa: F401 - torch needs it to export
        import onnxruntime as _runtime  # noqa: F401 - compares the copy with torch
    except ModuleNotFoundError as error:
        raise EquiregError(f"--to onnx needs the package {error.name}: pip install 'equireg[onnx]'.") from error
    _export(folder, leaving, ".onnx", partial(onnx_bytes, output="probabilities"), _run_onnx, "onnxruntime")


def export_torchscript(folder: Path, leaving: Leaving) -> None:
    """Write the same with TorchScript in the place of ONNX."""
    _export(folder, leaving, ".ts", torchscript_bytes, run_torchscript, "torch")


def torchscript_bytes(network: nn.Module, image: Tensor) -> bytes:
    """Return a network as TorchScript, traced on an image [1, C, *S]: the number of images is free, S is fixed.

    It holds no path of this machine.
    """
    buffer = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of shapes that are fixed on purpose, and of tracing's age
        torch.jit.save(torch.jit.trace(network, image, check_trace=False), buffer)
    return _without_origin(buffer)


def _without_origin(archive: io.BytesIO) -> bytes:
    """Leave out which lines of which files on this machine were traced, and a digest of that.

    TorchScript runs without them.
    """
    made = io.BytesIO()
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as new:
        for entry in old.infolist():
            if not entry.filename.endswith((".debug_pkl", "/serialization_id")):
                new.writestr(zipfile.ZipInfo(entry.filename), old.read(entry))
    return made.getvalue()


def _export(
    folder: Path,
    leaving: Leaving,
    ending: str,
    convert: Callable[[nn.Module, Tensor], bytes],
    run: Callable[[bytes, Tensor], np.ndarray],
    runtime: str,
) -> None:
    leaving.check_normalisation()
    names = network_files(leaving, ending)
    for name, model in zip(names, leaving.trained.models, strict=True):
        network = Averaged([model.predictor], leaving.flip_axes(model)).eval()
        write_atomic(folder / name, checked(network, example_image(model), convert, run))
    write_facts(folder, leaving, names)
    steps = bool(leaving.post_process.steps)
    copy_standalone(folder, "working.py", *(["components.py"] if steps else []))
    copy_standalone(folder, "example.py", changes=_BY_TORCH if ending == ".ts" else ())
    files = ", ".join(f"`{name}`" for name in names)
    leaving.write_card(folder, _USE.format(runtime=runtime, files=files, more=_COMPONENTS if steps else ""))


def checked(
    network: nn.Module,
    image: Tensor,
    convert: Callable[[nn.Module, Tensor], bytes],
    run: Callable[[bytes, Tensor], np.ndarray],
) -> bytes:
    """Return a network as another format holds it, after a comparison with torch on an image and its mirror image.

    Args:
        network: from images to probabilities.
        image: [1, C, *S].
        convert: gives the other format.
        run: computes that.

    Raises:
        EquiregError: if probabilities differ by more than 0.001.
    """
    content = convert(network, image)
    pair = torch.cat([image, image.flip(-1)])
    with torch.no_grad():
        difference = float((torch.from_numpy(run(content, pair)) - network(pair)).abs().max())
    if not difference <= TOLERANCE:
        raise EquiregError(
            f"the exported network's probabilities differ from torch's by {difference:.2g}; expected at most "
            f"{TOLERANCE}. Export another network, or give others the model by `equireg pack`."
        )
    return content


def _run_onnx(content: bytes, images: Tensor) -> np.ndarray:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"image": images.numpy()})[0])


def run_torchscript(content: bytes, images: Tensor) -> np.ndarray:
    """Compute a network that is TorchScript."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TorchScript's age
        return torch.jit.load(io.BytesIO(content), "cpu")(images).numpy()

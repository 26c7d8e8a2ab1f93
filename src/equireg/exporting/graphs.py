"""Networks as files that run without equireg: ONNX and TorchScript, each compared with torch before it is kept."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from equireg.disk import write_atomic
from equireg.engines import onnx_bytes
from equireg.engines.choosing import TOLERANCE
from equireg.errors import EquiregError
from equireg.exporting.leaving import Leaving, copy_standalone, example_image, network_files, write_facts

_USE = """
    python example.py MASK.nii.gz SCAN.nii.gz

with a file a channel, in the order of `channels` in `model.json`. It needs numpy, nibabel and {runtime}, and gives the
mask that `equireg predict` gives.

| file | what |
| --- | --- |
| {files} | from images to logits, for any number of images of `patch_size` |
| `model.json` | axes, spacing, orientation, normalisation, patch, labels, mirrored views, post-processing |
| `example.py` | windows, mirroring and the mean over networks |
| `working.py` | what is done to a scan before and after: turning, resampling, normalising, cropping |
{more}"""
_COMPONENTS = "| `components.py` | removes small components, as `post_process` in `model.json` says |\n"


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
    _export(folder, leaving, ".onnx", onnx_bytes, _run_onnx, "onnxruntime")


def export_torchscript(folder: Path, leaving: Leaving) -> None:
    """Write the same with TorchScript in the place of ONNX."""
    _export(folder, leaving, ".ts", torchscript_bytes, run_torchscript, "torch")


def torchscript_bytes(network: nn.Module, image: Tensor) -> bytes:
    """Return a network as TorchScript, traced on an image [1, C, *S]: the number of images is free, S is fixed."""
    buffer = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of shapes that are fixed on purpose, and of tracing's age
        torch.jit.save(torch.jit.trace(network, image, check_trace=False), buffer)
    return buffer.getvalue()


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
        write_atomic(folder / name, checked(model.predictor, example_image(model), convert, run))
    write_facts(folder, leaving, names)
    steps = bool(leaving.post_process.steps)
    copy_standalone(folder, "example.py", "working.py", *(["components.py"] if steps else []))
    files = ", ".join(f"`{name}`" for name in names)
    leaving.write_card(folder, _USE.format(runtime=runtime, files=files, more=_COMPONENTS if steps else ""))


def checked(
    network: nn.Module,
    image: Tensor,
    convert: Callable[[nn.Module, Tensor], bytes],
    run: Callable[[bytes, Tensor], np.ndarray],
    *,
    logits: bool = True,
) -> bytes:
    """Return a network as another format holds it, after a comparison with torch on an image and its mirror image.

    Args:
        network: from images to logits, or to probabilities.
        image: [1, C, *S].
        convert: gives the other format.
        run: computes that.
        logits: whether the network gives logits.

    Raises:
        EquiregError: if probabilities differ by more than 0.001.
    """
    content = convert(network, image)
    pair = torch.cat([image, image.flip(-1)])
    with torch.no_grad():
        outputs = network(pair), torch.from_numpy(run(content, pair))
    expected, found = (output.softmax(dim=1) if logits else output for output in outputs)
    difference = float((found - expected).abs().max())
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
    return np.asarray(session.run(["logits"], {"image": images.numpy()})[0])


def run_torchscript(content: bytes, images: Tensor) -> np.ndarray:
    """Compute a network that is TorchScript."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TorchScript's age
        return torch.jit.load(io.BytesIO(content), "cpu")(images).numpy()

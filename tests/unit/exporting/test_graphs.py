"""Networks in other formats: what they compute, and what they do not tell."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from equireg.engines import onnx_bytes
from equireg.exporting.graphs import torchscript_bytes

NETWORK, IMAGE = nn.Sequential(nn.Conv2d(1, 2, 3), nn.LeakyReLU()), torch.ones(1, 1, 6, 6)


def test_torchscript_computes_the_same() -> None:
    content = torchscript_bytes(NETWORK, IMAGE)
    assert torch.equal(torch.jit.load(io.BytesIO(content))(IMAGE), NETWORK(IMAGE))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert not [name for name in archive.namelist() if "serialization_id" in name]  # a digest of what is left out


@pytest.mark.parametrize("convert", [torchscript_bytes, onnx_bytes])
def test_no_path_of_this_machine_leaves_with_a_network(convert: Callable[[nn.Module, Tensor], bytes]) -> None:
    if convert is onnx_bytes:
        pytest.importorskip("onnx", reason="the extra onnx is not installed")
    content = convert(NETWORK, IMAGE)
    if convert is torchscript_bytes:  # some of its parts are compressed
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            content = b"".join(archive.read(name) for name in archive.namelist())
    for place in (Path(torch.__file__).parent, Path(__file__).parent):
        assert str(place).encode() not in content

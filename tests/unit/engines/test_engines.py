"""The engines themselves give what torch gives, for every network, in slices and volumes, for any number of images."""

import copy
import subprocess
import sys
from typing import Any

import pytest
import torch

from equireg.config import PredictConfig
from equireg.config.describe import options_in
from equireg.engines.choosing import ENGINES
from equireg.engines.network import EngineNetwork
from equireg.networks import NETWORKS, build

CHEAP: dict[str, dict[str, Any]] = {"unet": {"features": 4}, "resenc": {"features": 4}, "segresnet": {"features": 8}}


def network_of(name: str, spatial_dims: int) -> tuple[torch.nn.Module, torch.Tensor]:
    patch = (32, 32) if spatial_dims == 2 else (16, 32, 32)
    options = NETWORKS[name].Options(name=name, **CHEAP.get(name, {}))
    torch.manual_seed(0)
    network = build(options, in_channels=2, out_channels=3, spatial_dims=spatial_dims, patch_size=patch).eval()
    return network, torch.randn(3, 2, *patch, generator=torch.Generator().manual_seed(1))


def test_the_option_has_every_engine() -> None:
    option = next(option for option in options_in(PredictConfig) if option.name == "engine")
    assert option.choices == ("auto", "torch", *ENGINES)


@pytest.mark.parametrize("engine", list(ENGINES))
@pytest.mark.parametrize(
    ("name", "spatial_dims"),
    [
        ("unet", 2),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (("segresnet", 2), ("fc-densenet56", 2), ("unet", 3), ("segresnet", 3))
        ),
    ],
)
def test_an_engine_gives_what_torch_gives(engine: str, name: str, spatial_dims: int) -> None:
    packages, make = ENGINES[engine]
    for package in packages:
        pytest.importorskip(package, reason=f"the extra {engine} is not installed")
    network, images = network_of(name, spatial_dims)
    fast = EngineNetwork(network, make(network, images[:1], 1))
    with torch.no_grad():
        for batch in (images[:1], images, images.flip(-1)[:2]):
            difference = (fast(batch).softmax(dim=1) - network(batch).softmax(dim=1)).abs().max()
            assert difference < 1e-4
    assert fast(images).shape == (3, 3, *images.shape[2:])


@pytest.mark.parametrize("affine", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_openvino_normalises_slices_with_much_background(affine: bool) -> None:
    """A channel that is one constant but for a small part: sums of many equal numbers round in one direction."""
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    torch.manual_seed(0)
    norm = torch.nn.InstanceNorm2d(4, affine=affine)
    if affine:
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    network = torch.nn.Sequential(torch.nn.Conv2d(2, 4, 3, padding=1), norm).eval().requires_grad_(False)
    image = torch.full((1, 2, 160, 192), -1.3)
    image[:, :, 60:90, 70:100] = torch.randn(2, 30, 30, generator=torch.Generator().manual_seed(1))
    fast = EngineNetwork(network, ENGINES["openvino"][1](network, image, 1))
    expected = copy.deepcopy(network).double()(image.double())
    assert (fast(image) - expected).abs().max() < 5e-5


def test_openvino_reports_nothing_to_its_makers() -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    script = (
        "import socket, sys, torch\n"
        "def refuse(*_): raise SystemExit('a connection was asked for')\n"
        "socket.socket.connect = refuse\n"
        "from equireg.engines.with_openvino import with_openvino\n"
        "with_openvino(torch.nn.Conv2d(1, 2, 3).eval(), torch.zeros(1, 1, 8, 8), 1)\n"
        "assert sys.modules['openvino_telemetry'] is None\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

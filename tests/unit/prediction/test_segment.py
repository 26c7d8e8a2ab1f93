"""Large cases are segmented some slices at a time, and come out as if they were held whole."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from equireg.config import PredictConfig
from equireg.errors import EquiregError
from equireg.imaging.grid import WorkingGrid
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry
from equireg.inference import InferencePlan
from equireg.model import ModelFacts
from equireg.postprocessing import PostProcessing
from equireg.postprocessing.steps import Step
from equireg.prediction import segment as room
from equireg.prediction.parts import Part
from equireg.prediction.scans import InputCase
from equireg.prediction.segment import Predictor, Segmented, segment, write
from equireg.prediction.slabs import SlabStream
from equireg.preparation.case import WorkingScan

LABELS = LabelTable(tuple(range(5)), tuple("abcde"))


class Network(nn.Module):
    """A convolution to five classes."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.layer: Any = {2: nn.Conv2d, 3: nn.Conv3d}[dims](1, 5, 3, padding=1)
        with torch.no_grad():
            for weight in self.parameters():
                weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


def predictor(dims: int) -> Predictor:
    made = object.__new__(Predictor)
    made.device, made.precision = torch.device("cpu"), "32"
    made.facts = ModelFacts("made up", ("mri",), LABELS, "zyx", None, {"name": "zscore"}, (8, 8), ())
    made.post_process, made.mapped = PostProcessing(), False
    made.parts = [Part(Network(dims).eval(), InferencePlan(dims, (8,) * dims, classes=5), 1)]
    return made


def test_small_components_are_those_of_the_sheared_voxels() -> None:
    model, classes = predictor(3), np.zeros((13, 12, 11), np.uint8)
    classes[:4, :4, :4], classes[8, 8, 8] = 1, 1
    model.post_process = PostProcessing((Step("b", 3.0),))
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    affine[1, 2] = 3.0  # one voxel: 2 mm3, and the product of its spacings 3.6 mm3
    values = model.values(classes, Geometry.from_array(classes.shape, affine))
    assert (values[8, 8, 8], int(values.sum())) == (0, 64)


def scan(*, finer: bool = False, crop: bool = False) -> WorkingScan:
    """A scan in LPS, resampled from a finer one or not."""
    native = Geometry.from_array((13, 12, 11), np.diag([-1.0, -1.0, 2.0, 1.0]))
    grid = WorkingGrid.plan(native, (1.5, 1.3, 2.7) if finer else None, "z")
    if crop:
        d, h, w = grid.full_shape
        grid = grid.with_crop(((1, d - 2), (0, h - 1), (2, w)))
    image = np.random.default_rng(1).normal(size=(1, *grid.shape)).astype(np.float32)
    return WorkingScan(image, (0.0,), grid)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("finer", [False, True])
@pytest.mark.parametrize("crop", [False, True])
def test_slabs_give_what_all_at_once_gives(monkeypatch: pytest.MonkeyPatch, dims: int, finer: bool, crop: bool) -> None:
    case, config, network = InputCase("a", Any), PredictConfig(), predictor(dims)  # pyright: ignore[reportArgumentType]
    one = scan(finer=finer, crop=crop)
    whole = segment(network, case, one, config)
    assert whole.probs is not None
    expected = one.grid.probs_to_native(whole.probs).argmax(axis=0)
    assert len(np.unique(expected)) == 5
    monkeypatch.setattr(room, "_WHOLE_BYTES", 0)
    slabbed = segment(network, case, one, config)
    assert slabbed.probs is None
    assert slabbed.classes is not None
    np.testing.assert_array_equal(slabbed.classes, expected)
    kept = segment(network, case, one, PredictConfig(probabilities=True))
    np.testing.assert_array_equal(kept.probs, whole.probs)


def test_an_output_of_nan_is_an_error() -> None:
    network = predictor(2)
    with torch.no_grad():
        next(network.parts[0].network.parameters()).view(-1)[2] = float("nan")
    with pytest.raises(EquiregError, match=r"NaN or infinite .*--precision 32"):
        network(scan())


def test_rows_let_go_of_what_is_behind() -> None:
    whole = torch.arange(2 * 10 * 3).view(2, 10, 3, 1).float()
    rows = SlabStream(iter(whole.split(4, dim=1)))
    for start, stop in ((0, 1), (0, 3), (2, 7), (6, 10)):
        np.testing.assert_array_equal(rows(start, stop), whole[:, start:stop].numpy())
    with pytest.raises(ValueError, match="only grow"):
        rows(0, 1)
    with pytest.raises(ValueError, match="at most 10"):
        rows(8, 11)


def test_nothing_to_write_is_an_error(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="neither"):
        write(predictor(2), InputCase("a", Any), Segmented(scan().grid), tmp_path, PredictConfig())  # pyright: ignore[reportArgumentType]


def test_parts_of_an_ensemble_are_averaged_by_their_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("equireg.inference.plan.SLAB_BYTES", 4 * 5 * 12 * 13 * 3)  # slabs of three slices, and windows
    both, flat, solid = predictor(2), predictor(2), predictor(3)
    both.parts = [Part(flat.parts[0].network, flat.plan, 3), Part(solid.parts[0].network, solid.plan, 1)]
    one = scan()
    expected = (3 * flat(one) + solid(one)) / 4
    assert not torch.equal(flat(one).argmax(dim=0), expected.argmax(dim=0))
    torch.testing.assert_close(both(one), expected)
    np.testing.assert_array_equal(both.classes(one), one.grid.argmax_to_native(expected.numpy()))

"""Windows over a volume: the very sums of MONAI, without holding all of them."""

import pytest
import torch
from monai.inferers.utils import sliding_window_inference
from torch import Tensor

from equireg.inference import InferencePlan, stitching
from equireg.inference import plan as plans
from equireg.inference.stitching import stitched

CPU = torch.device("cpu")


def network(window: Tensor) -> Tensor:
    """Probabilities of three classes that depend on voxel and place."""
    place = torch.linspace(-1, 1, window.shape[-1]).expand_as(window[:, 0])
    return torch.stack([window[:, 0], place, window[:, 1] * place], dim=1).softmax(dim=1)


def volume(*shape: int) -> Tensor:
    return torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))


def whole(image: Tensor, plan: InferencePlan) -> Tensor:
    merged = sliding_window_inference(
        image[None], plan.patch_size, plan.windows_at_once, network, overlap=plan.overlap, mode="gaussian"
    )
    assert isinstance(merged, Tensor)
    return merged[0]


@pytest.mark.parametrize(("patch", "overlap"), [((4, 8, 8), 0.5), ((5, 6, 7), 0.3), ((8, 4, 4), 0.9), ((1, 8, 8), 0.0)])
@pytest.mark.parametrize("windows", [1, 2, 7, 1000])
def test_the_same_numbers_as_all_at_once(monkeypatch, patch, overlap, windows):
    plan = InferencePlan(3, patch, overlap=overlap, classes=3)
    monkeypatch.setattr(plans, "_PASS_VOXELS", windows * torch.tensor(patch).prod().item())
    image = volume(19, 11, 13)
    slabs = list(stitched(network, image, plan, CPU))
    assert torch.equal(torch.cat(slabs, dim=1), whole(image, plan))
    assert windows == 1000 or len(slabs) > 1


@pytest.mark.parametrize("most", [1, 2, 100])
def test_one_window_is_taken_as_it_is(monkeypatch, most):
    monkeypatch.setattr(plans, "SLAB_BYTES", most * 4 * 3 * 11 * 13)
    image = volume(5, 11, 13)
    slabs = list(stitched(network, image, InferencePlan(3, (5, 11, 13), classes=3), CPU))
    assert torch.equal(torch.cat(slabs, dim=1), network(image[None])[0])
    assert max(slab.shape[1] for slab in slabs) == min(most, 5)


def test_pieces_are_as_small_as_asked_for(monkeypatch):
    monkeypatch.setattr(plans, "SLAB_BYTES", 2 * 4 * 3 * 11 * 13)
    plan = InferencePlan(3, (6, 8, 8), classes=3)
    slabs = list(stitched(network, volume(19, 11, 13), plan, CPU))
    assert max(slab.shape[1] for slab in slabs) == 2
    assert torch.allclose(torch.cat(slabs, dim=1), whole(volume(19, 11, 13), plan))


def test_sums_in_halves_choose_the_same_classes(monkeypatch):
    plan = InferencePlan(3, (6, 8, 8), classes=3)
    image = volume(19, 11, 13)
    exact = whole(image, plan)
    monkeypatch.setattr(stitching, "_HALF_FROM", 0)
    probs = torch.cat(list(stitched(network, image, plan, CPU)), dim=1)
    assert not torch.equal(probs, exact)
    assert torch.allclose(probs, exact, atol=2e-3)
    clear = exact.topk(2, dim=0).values.diff(dim=0).abs()[0] > 4e-3
    assert clear.float().mean() > 0.9
    assert torch.equal(probs.argmax(0)[clear], exact.argmax(0)[clear])


def test_many_windows_are_not_summed_in_halves(monkeypatch):
    """Sums of 16 bits are infinite where windows share nine tenths."""
    monkeypatch.setattr(stitching, "_HALF_FROM", 0)
    plan = InferencePlan(3, (16, 16, 16), overlap=0.9, classes=3)
    image = volume(19, 17, 17)
    probs = torch.cat(list(stitched(network, image, plan, CPU)), dim=1)
    assert torch.allclose(probs, whole(image, plan), atol=1e-5)

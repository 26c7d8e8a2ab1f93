"""Several networks as one."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from equireg.inference.ensemble import as_one


class Constant(nn.Module):
    """The same logits everywhere."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, image: Tensor) -> Tensor:
        return self.logits.view(1, -1, 1, 1).expand(len(image), -1, *image.shape[2:])


def test_the_softmax_is_the_mean_of_the_softmaxes() -> None:
    networks = [Constant(0.0, 1.0, 5.0), Constant(3.0, -2.0, 0.0), Constant(0.0, 0.0, 0.0)]
    image = torch.zeros(2, 1, 3, 4)
    with torch.no_grad():
        expected = torch.stack([functional.softmax(network(image), dim=1) for network in networks]).mean(dim=0)
        torch.testing.assert_close(functional.softmax(as_one(networks)(image), dim=1), expected)


def test_a_class_that_no_network_sees_does_not_spoil_the_others() -> None:
    with torch.no_grad():
        probs = functional.softmax(as_one([Constant(0.0, 300.0), Constant(0.0, 400.0)])(torch.zeros(1, 1, 1, 1)), dim=1)
    assert probs.flatten().tolist() == [0.0, 1.0] or (probs.isfinite().all() and probs[0, 0, 0, 0] < 1e-30)


def test_one_network_alone_is_itself() -> None:
    network = Constant(1.0)
    assert as_one([network]) is network

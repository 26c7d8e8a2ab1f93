"""A network in evaluation mode for a while."""

from torch import nn


class evaluating:
    """Within the block a network is in evaluation mode: no dropout, and BatchNorm statistics stay as they are."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def __enter__(self) -> nn.Module:
        self._modes = {module: module.training for module in self.network.modules()}
        return self.network.eval()

    def __exit__(self, *_: object) -> None:
        for module, training in self._modes.items():
            module.training = training

"""Processor seconds of one step of each network: forward, loss, backward and optimiser, on 16 slices, one thread.

python benchmarks/ablation/step_of_networks.py
"""

import statistics
import time

import torch

from equireg import networks
from equireg.config import NetworkConfig, ResEncConfig, UNetConfig
from equireg.losses import cross_entropy
from equireg.methods.deep_supervision import over_resolutions

STEPS, WARM_UP, SLICES = 12, 2, 16
NETWORKS: dict[str, NetworkConfig] = {
    "unet": UNetConfig(features=16),
    "unet, deep supervision": UNetConfig(features=16, deep_supervision=True),
    "resenc": ResEncConfig(features=16),
}


def seconds_a_step(config: NetworkConfig, patch: tuple[int, int]) -> tuple[float, int]:
    """Return the median processor seconds of a step, and the number of weights."""
    torch.manual_seed(0)
    network = networks.build(config, in_channels=1, out_channels=3, spatial_dims=2, patch_size=patch)
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3)
    image, label = torch.randn(SLICES, 1, *patch), torch.randint(3, (SLICES, 1, *patch))
    valid, taken = torch.ones(SLICES, 1, *patch), []
    for _ in range(STEPS):
        begin = time.process_time()
        logits, lower = networks.pyramid(network, image)
        optimiser.zero_grad()
        over_resolutions(cross_entropy, (logits, *lower), label, valid).backward()
        optimiser.step()
        taken.append(time.process_time() - begin)
    return statistics.median(taken[WARM_UP:]), sum(weight.numel() for weight in network.parameters())


def main() -> None:
    """Print a row for each network and patch."""
    torch.set_num_threads(1)
    for patch in ((56, 40), (64, 64)):
        for name, config in NETWORKS.items():
            seconds, weights = seconds_a_step(config, patch)
            print(f"{patch[0]} x {patch[1]}  {name:24} {seconds:.3f} s  {weights:,} weights", flush=True)


if __name__ == "__main__":
    main()

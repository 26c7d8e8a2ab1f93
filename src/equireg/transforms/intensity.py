"""Intensity changes of batches: brightness, contrast, gamma, noise, blur, lowered resolution.

The kinds and their rough strengths are those of nnU-Net's augmentation (Isensee et al. 2021).
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from equireg.config import IntensityConfig
from equireg.processes.ranks import rank_of
from equireg.transforms.precision import full_precision

_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


@dataclass(frozen=True)
class IntensityParams:
    """Drawn changes of a batch, each [B, C] unless said; the neutral value where a change is not active."""

    brightness: Tensor
    """Factor on all intensities."""
    contrast: Tensor
    """Factor on the distance from the channel's mean."""
    gamma: Tensor
    """Exponent on intensities scaled to 0 to 1."""
    inverted: Tensor
    """True where the exponent acts on the inverted scale, [B, C]."""
    noise: Tensor
    """Standard deviation of the noise."""
    noise_seed: Tensor
    """Seed of each sample's noise, [B]; the noise itself is drawn on the image's device."""
    blur_vox: Tensor
    """Standard deviation of the blur, [B], voxels."""
    low_resolution: Tensor
    """Factor by which resolution is lowered, [B]."""

    def __getitem__(self, rows: slice | Tensor) -> "IntensityParams":
        """Return the changes of some samples of the batch."""
        return IntensityParams(**{name: value[rows] for name, value in vars(self).items()})


def sample(config: IntensityConfig, batch_size: int, channels: int, generator: Generator) -> IntensityParams:
    """Draw changes for every sample of a batch, on the CPU; ``generator`` is the only source of random numbers."""

    rank = rank_of(generator)
    whole = rank.whole(batch_size)

    def uniform(*shape: int) -> Tensor:
        return torch.rand((whole, *shape), generator=generator)

    def active() -> Tensor:
        return uniform(1) < config.probability

    def ratio(greatest: float) -> Tensor:
        factor = torch.exp((uniform(channels) * 2 - 1) * math.log(greatest))
        return torch.where(active(), factor, 1.0)

    lowered = torch.exp(uniform() * math.log(config.low_resolution))
    return IntensityParams(
        brightness=ratio(config.brightness),
        contrast=ratio(config.contrast),
        gamma=ratio(config.gamma),
        inverted=(uniform(1) < 0.5).expand(-1, channels),
        noise=torch.where(active(), uniform(channels) * config.noise, 0.0),
        noise_seed=torch.randint(2**62, (whole,), generator=generator),
        blur_vox=torch.where(active()[:, 0], uniform() * config.blur_vox, 0.0),
        low_resolution=torch.where(active()[:, 0], lowered, 1.0),
    )[rank.slice_of(batch_size)]


@full_precision
def apply(image: Tensor, params: IntensityParams) -> Tensor:
    """Change the intensities of a batch of images, [B, C, *S], and return a new one.

    Raises:
        ValueError: if the changes were drawn for another number of samples or channels.
    """
    if image.shape[:2] != params.brightness.shape:
        raise ValueError(
            f"got images of shape {tuple(image.shape)}; the changes were drawn for "
            f"{tuple(params.brightness.shape)} samples and channels"
        )
    result = image.clone()
    _blur(result, params.blur_vox)
    _lower_resolution(result, params.low_resolution)
    _add_noise(result, params.noise, params.noise_seed)
    _stretch(result, params.brightness, params.contrast)
    _gamma(result, params.gamma, params.inverted)
    return result


# Each change below writes into the batch that it is given, and only where it is active. What is active is asked
# of the parameters, which stay on the CPU, so that no GPU is waited for. A GPU takes the active samples together,
# because each call costs it as much as a sample's work; a CPU takes them one by one, which stay in its cache.


def _spread(value: Tensor, image: Tensor) -> Tensor:
    """Give numbers of samples, [N] or [N, C], the shape that meets their images, [N, C, *S]."""
    value = value.to(image.device, image.dtype, non_blocking=True)
    return value.view(*value.shape, *[1] * (image.ndim - value.ndim))


def _indices(active: Tensor) -> list[int]:
    """Return the samples in which a change is active, given for every sample or channel."""
    return active.view(len(active), -1).any(dim=1).nonzero()[:, 0].tolist()


def _groups(active: Tensor, device: torch.device) -> list[slice | Tensor]:
    """Return the samples in which a change is active, in groups that are changed together."""
    rows = _indices(active)
    if device.type == "cpu":
        return [slice(row, row + 1) for row in rows]
    return [torch.tensor(rows)] if rows else []


def _stretch(image: Tensor, brightness: Tensor, contrast: Tensor) -> None:
    """Multiply intensities, then their distance from the channel's mean."""
    for rows in _groups((brightness != 1) | (contrast != 1), image.device):
        part = image[rows]
        mean = part.mean(dim=tuple(range(2, part.ndim)), keepdim=True)
        part *= _spread(brightness[rows] * contrast[rows], part)
        part += mean * _spread(brightness[rows] * (1 - contrast[rows]), part)
        image[rows] = part


def _gamma(image: Tensor, exponent: Tensor, inverted: Tensor) -> None:
    """Raise intensities, scaled to 0 to 1 by channel, to a power; 1 less them where inverted."""
    for rows in _groups(exponent != 1, image.device):
        part = image[rows]
        spatial = tuple(range(2, part.ndim))
        low, high = part.amin(dim=spatial, keepdim=True), part.amax(dim=spatial, keepdim=True)
        reach = (high - low).clamp_min(1e-6)
        # Inverted, the scale runs down from the highest intensity.
        flipped = _spread(inverted[rows], part)
        start, step = torch.lerp(low, low + reach, flipped), reach * (1 - 2 * flipped)
        scaled = ((part - start) / step).clamp_(0, 1).pow_(_spread(exponent[rows], part))
        image[rows] = scaled.mul_(step).add_(start)


def _add_noise(image: Tensor, deviation: Tensor, seeds: Tensor) -> None:
    """Add Gaussian noise of a deviation [B, C], each sample from its own seed."""
    for row in _indices(deviation != 0):
        generator = Generator(image.device).manual_seed(int(seeds[row]))
        noise = torch.randn(image.shape[1:], generator=generator, device=image.device, dtype=image.dtype)
        image[row] += noise.mul_(_spread(deviation[row], noise))


def _blur(image: Tensor, sigma_vox: Tensor) -> None:
    """Blur each sample by its own Gaussian, axis by axis; borders are repeated."""
    for rows in _groups(sigma_vox >= 0.1, image.device):
        part, sigma = image[rows], sigma_vox[rows].double()[:, None]
        radius = math.ceil(3 * float(sigma.max()))
        steps = torch.arange(-radius, radius + 1)
        kernel = torch.exp(-(steps**2) / (2 * sigma**2).float()) * (steps.abs() <= torch.ceil(3 * sigma))
        weights = _spread((kernel / kernel.sum(dim=1, keepdim=True)).T, part[None])  # [2 radius + 1, N, 1, *1]
        for axis, size in enumerate(part.shape[2:], start=2):
            places = torch.arange(-radius, size + radius, device=image.device).clamp(0, size - 1)
            wide = part.index_select(axis, places)
            # A sum of shifted copies: a convolution would first move the axis to the end.
            part = wide.narrow(axis, 0, size) * weights[0]
            for shift, weight in enumerate(weights[1:], start=1):
                part.addcmul_(wide.narrow(axis, shift, size), weight)
        image[rows] = part


def _lower_resolution(image: Tensor, factors: Tensor) -> None:
    """Sample each image more coarsely by its factor, and back to its size."""
    size = image.shape[2:]
    for row in _indices(factors > 1):
        coarse = [max(2, round(length / float(factors[row]))) for length in size]
        if coarse != list(size):
            small = functional.interpolate(image[row : row + 1], size=coarse, mode="nearest-exact")
            image[row] = functional.interpolate(small, size=size, mode=_LINEAR[len(size)], align_corners=False)[0]

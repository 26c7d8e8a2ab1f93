"""Intensity changes of batches: brightness, contrast, gamma, noise, blur, lowered resolution.

The kinds and their rough strengths are those of nnU-Net's augmentation (Isensee et al. 2021).
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from equireg.config import IntensityConfig
from equireg.ranks import share_of
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
    """Draw changes for every sample of a batch, on the CPU; ``generator`` is the only source of chance."""

    share = share_of(generator)
    whole = share.whole(batch_size)

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
    )[share.rows(batch_size)]


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
    spatial = tuple(range(2, image.ndim))

    def spread(value: Tensor) -> Tensor:
        return value.to(image.device, image.dtype).view(*value.shape, *[1] * len(spatial))

    result = _blur(image, params.blur_vox)
    result = _lower_resolution(result, params.low_resolution)
    result = _add_noise(result, params.noise, params.noise_seed)
    result = result * spread(params.brightness)
    mean = result.mean(dim=spatial, keepdim=True)
    result = mean + (result - mean) * spread(params.contrast)
    return _gamma(result, spread(params.gamma), spread(params.inverted) > 0, spatial)


def _gamma(image: Tensor, exponent: Tensor, inverted: Tensor, spatial: tuple[int, ...]) -> Tensor:
    """Raise intensities, scaled to 0 to 1 by channel, to a power."""
    low = image.amin(dim=spatial, keepdim=True)
    reach = (image.amax(dim=spatial, keepdim=True) - low).clamp_min(1e-6)
    scaled = ((image - low) / reach).clamp(0, 1)
    scaled = torch.where(inverted, 1 - (1 - scaled) ** exponent, scaled**exponent)
    return torch.where(exponent == 1, image, low + scaled * reach)


def _add_noise(image: Tensor, deviation: Tensor, seeds: Tensor) -> Tensor:
    """Add Gaussian noise of a deviation [B, C], each sample from its own seed."""
    result = image.clone()
    for row, seed in enumerate(seeds.tolist()):
        if deviation[row].any():  # still on the CPU, so that no GPU is waited for
            generator = Generator(image.device).manual_seed(seed)
            noise = torch.randn(image.shape[1:], generator=generator, device=image.device, dtype=image.dtype)
            strength = deviation[row].to(image.device, image.dtype)
            result[row] += strength.view(-1, *[1] * (image.ndim - 2)) * noise
    return result


def _blur(image: Tensor, sigma_vox: Tensor) -> Tensor:
    """Blur each sample by its own Gaussian, axis by axis; borders are repeated."""
    result = image.clone()
    for row, sigma in enumerate(sigma_vox.tolist()):
        if sigma < 0.1:
            continue
        radius = math.ceil(3 * sigma)
        offsets = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
        kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
        kernel = kernel / kernel.sum()
        part = image[row]
        for axis in range(1, part.ndim):
            moved = part.movedim(axis, -1)
            flat = functional.pad(moved.reshape(-1, 1, moved.shape[-1]), (radius, radius), mode="replicate")
            part = functional.conv1d(flat, kernel.view(1, 1, -1)).reshape(moved.shape).movedim(-1, axis)
        result[row] = part
    return result


def _lower_resolution(image: Tensor, factors: Tensor) -> Tensor:
    """Sample each image more coarsely by its factor, and back to its size."""
    result = image.clone()
    size = image.shape[2:]
    for row, factor in enumerate(factors.tolist()):
        coarse = [max(2, round(length / factor)) for length in size]
        if coarse != list(size) and factor > 1:
            small = functional.interpolate(image[row : row + 1], size=coarse, mode="nearest-exact")
            result[row] = functional.interpolate(small, size=size, mode=_LINEAR[len(size)], align_corners=False)[0]
    return result

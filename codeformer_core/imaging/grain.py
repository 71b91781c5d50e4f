"""Match grain: noise of the level and spectrum that an image has, for the faces in it that a network drew without any.

The spectrum is measured as in Ponomarenko's method and the Noise Clinic (Lebrun, Colom and Morel, IPOL 2015): of the blocks
with the least energy at low frequencies, where an image has its shading and its edges, the median energy at every other
frequency. Gaussian white noise is filtered to have that spectrum.

Measured on the regions of 26 faces of the test data (28 November 2026): of noise of 10 levels of 255 that is added to them 9.7
to 10.9 are found in 22 and at most 12.6; without it none in 10, and 1 to 4.7 in the others, which have noise of their own.
"""

import math

import torch
from torch import Tensor

from ..runtime.transfer import read_back

#: Side of a block in pixels; blocks overlap by half, and by less where there would be more than MOST.
BLOCK, MOST = 16, 4096

#: The share of the blocks that is taken for flat, and the frequency, in cycles per block, below which they may have no energy.
FLAT, LOW = 0.1, 2.0

#: The energy of flat blocks is alike where it is noise: the standard deviation of the tenth with the least is 0.7 to 1.0 of the
#: median's. Texture and what is left of JPEG's blocks are not alike (at a quality of 30 and less 0.0 to 0.5 in most of the 26).
#: Below the first of these shares nothing counts as noise, above the second all does.
ALIKE = 0.3, 0.5

#: The least standard deviation, of 1, that is added: a level of 255. Noise below it cannot be seen, and 8 bits hardly hold it.
VISIBLE = 1 / 255

#: Samples outside are clipped, and have no noise.
UNCLIPPED = 1.5 / 255, 253.5 / 255


def lacking_grain(original: Tensor, drawn: Tensor, weight: Tensor, noise: torch.Generator | None) -> Tensor | None:
    """The grain that a drawn face needs to have the noise of the image around it.

    Args:
        original, drawn: (3, h, w) RGB in [0, 1]: a part of the image, and what is pasted there.
        weight: (1, h, w) in [0, 1]: where it is pasted.
        noise: a generator on the CPU, so that all devices add the same grain; None for no grain.

    Returns:
        (3, h, w) around 0; None where the image has no noise that can be seen, or the drawn face has as much.
    """
    if noise is None:
        return None
    device, dtype = original.device, original.dtype
    original, drawn, weight = read_back(original, drawn, weight.to(dtype))
    blocks = _flat_blocks(original, torch.ones_like(weight))
    own = _flat_blocks(drawn, weight)
    if blocks is None or own is None:
        return None
    mixture = _channel_mixture(blocks)
    lacking = (_spectra(blocks, mixture) - _spectra(own, mixture)).clamp(min=0)
    if float(_mixed(lacking.mean((1, 2)), mixture, power=2).amax()) < VISIBLE**2:
        return None
    height, width = original.shape[1:]
    amplitude = (_stretching(torch.fft.fftfreq(height)) @ lacking @ _stretching(torch.fft.rfftfreq(width)).T).sqrt()
    white = torch.randn(3, height, width, generator=noise)
    grain = torch.fft.irfft2(torch.fft.rfft2(white) * amplitude, s=(height, width))
    return _mixed(grain, mixture).to(device, dtype)


def with_grain(mixed: Tensor, grain: Tensor | None, weight: Tensor) -> Tensor:
    """An image (3, h, w) into which a face was mixed by its weight (1, h, w), with the grain that the face lacks.

    Of the image's own noise a share of 1 - weight is left; variances add up, so that the level is the same at every weight.
    """
    return mixed if grain is None else (mixed + grain * (weight * (2 - weight)).sqrt()).clamp(0, 1)


def _flat_blocks(image: Tensor, allowed: Tensor) -> Tensor | None:
    """The Fourier transforms of the flattest blocks of an image (3, h, w), most of which is allowed: (3, K, BLOCK, BLOCK)."""
    height, width = image.shape[1:]
    step = max(BLOCK // 2, math.isqrt(height * width // MOST))
    if min(height, width) < 2 * BLOCK:
        return None
    low, high = UNCLIPPED
    usable = ((image > low) & (image < high)).all(0, keepdim=True) * allowed
    blocks, usable = (part.float().unfold(1, BLOCK, step).unfold(2, BLOCK, step).flatten(1, 2) for part in (image, usable))
    blocks = blocks[:, usable[0].mean((1, 2)) > 0.9]
    if blocks.shape[1] < 8:
        return None
    window = torch.hann_window(BLOCK).outer(torch.hann_window(BLOCK))
    means = (blocks * window).sum((2, 3), keepdim=True) / window.sum()
    transformed = torch.fft.fft2((blocks - means) * window) / window.square().sum().sqrt()
    shading = transformed[..., _radius() < LOW].abs().square().sum((0, 2))
    return transformed[:, shading.argsort()[: max(8, int(len(shading) * FLAT))]]


def _radius() -> Tensor:
    """The frequency of each coefficient of a block in cycles per block: (BLOCK, BLOCK)."""
    frequencies = torch.fft.fftfreq(BLOCK) * BLOCK
    return torch.hypot(frequencies[:, None], frequencies[None])


#: The weight of green's noise in red and in blue, and of the rest of red's in blue.
_Mixture = tuple[float, float, float]


def _channel_mixture(blocks: Tensor) -> _Mixture:
    """How the noise of the channels depends on each other, by regression (Gram-Schmidt).

    Of a black-and-white image the first two weights are exactly 1 and the rests exactly 0, so that it stays grey.
    """
    red, green, blue = blocks[..., _radius() >= LOW]

    def weight(of: Tensor, on: Tensor) -> float:
        energy = float((on * on.conj()).real.sum())
        return float((of * on.conj()).real.sum()) / energy if energy else 0.0

    in_red, in_blue = weight(red, green), weight(blue, green)
    return in_red, in_blue, weight(blue - in_blue * green, red - in_red * green)


def _mixed(noises: Tensor, mixture: _Mixture, power: int = 1) -> Tensor:
    """The noise of red, green and blue from that of green and the rests of the others; with a power of 2 their variances."""
    in_red, in_blue, rest = (weight**power for weight in mixture)
    green, red, blue = noises
    return torch.stack([red + in_red * green, green, blue + in_blue * green + rest * red])


def _spectra(blocks: Tensor, mixture: _Mixture) -> Tensor:
    """The power spectral densities (3, BLOCK, BLOCK) of the independent noises of blocks (3, K, BLOCK, BLOCK).

    The median is that of an exponential distribution. Below LOW, where shading is, the density is that of the next frequencies.
    """
    red, green, blue = blocks
    red = red - mixture[0] * green
    parts = torch.stack([green, red, blue - mixture[1] * green - mixture[2] * red])
    power, radius = parts.abs().square(), _radius()
    density = power.median(1).values / math.log(2)
    density[:, radius < LOW] = density[:, (radius >= LOW) & (radius < LOW + 1)].mean(1, keepdim=True)
    energy = power[0][:, radius >= LOW].mean(1)
    share = float((energy.quantile(0.1) / energy.median().clamp(min=1e-12)).sqrt())
    return density * min(1.0, max(0.0, (share - ALIKE[0]) / (ALIKE[1] - ALIKE[0])))


def _stretching(frequencies: Tensor) -> Tensor:
    """The matrix (n, BLOCK) that interpolates a density linearly at n frequencies in cycles per pixel."""
    place = frequencies * BLOCK
    low = place.floor()
    matrix = torch.zeros(len(place), BLOCK)
    rows = torch.arange(len(place))
    matrix[rows, low.long() % BLOCK] = 1 - (place - low)
    matrix[rows, (low.long() + 1) % BLOCK] += place - low
    return matrix

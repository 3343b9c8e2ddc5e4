"""What an encoder learns from: style rows and the images that a generator draws from them."""

from dataclasses import dataclass

import torch

from invprob.draws import integers, normal, uniform
from invprob.indices import indices
from invprob.priors.stylegan.generator import Generator
from invprob.types import Images, Styles


@dataclass(frozen=True)
class Samples:
    """Style rows (count, layers, width) and the images drawn from them."""

    styles: Styles
    images: Images


@torch.no_grad()
def draw_styles(
    generator: Generator, count: int, rng: torch.Generator, *, mixed: float, truncation: float
) -> Styles:
    """Draw style rows, truncated towards the mean w by ψ ~ U(truncation, 1).

    Args:
        generator: Its mapping network and mean w are used.
        count: How many samples.
        rng: A generator on the CPU.
        mixed: Share of samples with rows of one w below a random row and of another from it on.
        truncation: The smallest ψ, from 0 (the mean w) to 1 (w as drawn).

    Returns:
        (count, layers, width).
    """
    layers, mean = generator.num_layers, generator.mean_w
    z = normal((2, count, generator.z_width), rng)
    psi = (1 - (1 - truncation) * uniform((count, 1), rng)).to(mean)
    change = integers(1, layers, (count,), rng)
    change[uniform((count,), rng) >= mixed] = layers
    below = (indices(layers) < change[:, None]).to(mean.device)[:, :, None]
    first, second = (mean.lerp(generator.mapping(part.to(mean)), psi)[:, None] for part in z)
    return torch.where(below, first, second)

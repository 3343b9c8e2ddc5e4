"""Noise on the latents of a solution, at a signal-to-noise ratio (SPHInX, Fig. 1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.draws import normal
from invprob.errors import ArgumentError, ShapeError
from invprob.latents.distance import Distance
from invprob.latents.latents import Latents, joined
from invprob.metrics import psnr
from invprob.streams import stream
from invprob.types import Images

Perturbed = Literal["style", "all"]
MOST = 200  # dB; beyond, either the noise or the latents are lost in rounding


@checked
@undisturbed()
@torch.no_grad()
def perturb(
    latents: Latents, snr: float, rng: torch.Generator, *, which: Perturbed = "style"
) -> Latents:
    """Add Gaussian noise n to latents x, so that 10 log10(|x|² / |n|²) is exactly `snr`.

    Each tensor of each image has that ratio by itself.

    Args:
        latents: those of a solution.
        snr: signal-to-noise ratio in dB.
        rng: source of the noise.
        which: "style" perturbs style rows, or scales where there are none; "all" perturbs content,
            features and noise maps as well. Weights and free pixels stay.

    Raises:
        ArgumentError: `snr` is not a number from -200 to 200.
    """
    if not -MOST <= snr <= MOST:  # NaN is neither
        raise ArgumentError(f"snr must be from -{MOST} to {MOST} dB, not {snr}")

    def noisy(name: str, tensor: Tensor) -> Tensor:
        if not name.startswith(_PERTURBED[which]):
            return tensor
        noise = normal(tensor.shape, rng).to(tensor)
        power, own = (one.flatten(1).double().square().sum(1) for one in (tensor, noise))
        gain = (power / own * 10 ** (-snr / 10)).sqrt().to(tensor)
        return tensor + gain.view(-1, *[1] * (tensor.ndim - 1)) * noise

    return latents.changed(noisy)


_PERTURBED: Mapping[Perturbed, tuple[str, ...]] = {
    "style": ("styles", "scales."),
    "all": ("styles", "scales.", "content", "features.", "noise."),
}


@checked
@dataclass(frozen=True, eq=False)
class Robustness:
    """What noise on the latents does to one image.

    Args:
        snr: the signal-to-noise ratios, in dB.
        distance: how far each perturbed image lies from the solution's, (ratios, draws).
        psnr: the same in dB.
        truth: PSNR of each perturbed image to the truth in dB, likewise; None where it is unknown.
        rms: root mean square of each kind of latents that got noise, by its name.
        examples: the first draw for each ratio, (ratios, channel, height, width).
        latents: those of the examples.
    """

    snr: tuple[float, ...]
    distance: Tensor
    psnr: Tensor
    truth: Tensor | None
    rms: Mapping[str, float]
    examples: Images
    latents: Latents


@checked
@undisturbed()
@torch.no_grad()
def robustness(
    latents: Latents,
    images: Images,
    snr: Sequence[float],
    distance: Distance,
    *,
    draws: int = 16,
    seed: int = 0,
    which: Perturbed = "style",
    truth: Images | None = None,
) -> Robustness:
    """Perturb the latents of one image many times for each ratio, and compare what is drawn.

    All ratios see the same draws.

    Args:
        latents: of one image.
        images: the image, (1, channel, height, width).
        snr: signal-to-noise ratios in dB.
        distance: between images.
        draws: how many times each ratio is tried.
        seed: what the draws are derived from.
        which: what is perturbed, see `perturb`.
        truth: the true image, likewise; None: it is not known.

    Raises:
        ArgumentError: there is no ratio, one is out of range, or `draws` is less than 1.
        ShapeError: there are several images, or `images` or `truth` are not those of the latents.
    """
    if latents.batch != 1:
        raise ShapeError(
            f"latents must be those of one image, not of {latents.batch}; take them one by one, "
            "latents.chosen([k])"
        )
    latents.check_images(images)
    if truth is not None:
        latents.check_images(truth)
    if not snr:
        raise ArgumentError("snr must be one ratio in dB or more, not none")
    if draws < 1:
        raise ArgumentError(f"draws must be at least 1, not {draws}")
    apart, near, right, examples, first = [], [], [], [], []
    for ratio in snr:
        tried = [
            perturb(latents, ratio, stream(seed, "perturb", draw), which=which)
            for draw in range(draws)
        ]
        drawn = joined(tried).draw()
        own = images.expand_as(drawn)
        apart.append(distance(drawn, own))
        near.append(psnr(drawn, own))
        if truth is not None:
            right.append(psnr(drawn, truth.expand_as(drawn)))
        examples.append(drawn[:1])
        first.append(tried[0])
    return Robustness(
        snr=tuple(map(float, snr)),
        distance=torch.stack(apart),
        psnr=torch.stack(near),
        truth=torch.stack(right) if right else None,
        rms=_rms(latents, which),
        examples=torch.cat(examples),
        latents=joined(first),
    )


def _rms(latents: Latents, which: Perturbed) -> dict[str, float]:
    """The root mean square of each kind of latents that gets noise."""
    found: dict[str, list[Tensor]] = {}
    for name, tensor in latents.tensors().items():
        if name.startswith(_PERTURBED[which]):
            found.setdefault(name.partition(".")[0], []).append(tensor.double().flatten())
    return {kind: float(torch.cat(parts).square().mean().sqrt()) for kind, parts in found.items()}

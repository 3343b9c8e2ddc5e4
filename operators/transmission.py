"""Light or X-rays through matter: what comes through, counts of photons, and their logarithm."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from invprob.calls import checked
from invprob.errors import ArgumentError
from invprob.kinds import shown
from invprob.operators.intensity import Pointwise
from invprob.registry import register
from invprob.types import Images, Measured, Shape


@register.operator("beer-lambert")
class BeerLambert(Pointwise):
    """Send light through matter and see what is left of it (the law of Beer and Lambert).

        v = exp(-p),   y = 2 v - 1

    p is the attenuation along a line, such as `ct` integrates. v is the share of the light that
    comes through: y is 1 in air, and -1 where nothing comes through. So `poisson` noise, which
    counts `photons` where y is 1, counts the photons of a scan whose flux is `photons` for each
    detector pixel and view. Its likelihood is that of transmission tomography:

        --operator beer-lambert --operator ct --views 60 --operator image-range --high 0.02
        --noise poisson --photons 10000 --data-term likelihood

    There `image-range` makes black air, whose attenuation is 0, and white 0.02 in each pixel.
    Counts of a scanner become measurements by y = 2 · counts/flux - 1. Measurements have the shape
    of the image.
    """

    image_units = "any"

    def __init__(self, image_shape: Shape) -> None:
        super().__init__(image_shape)

    def forward(self, image: Images) -> Measured:
        """2 exp(-p) - 1."""
        return 2 * torch.exp(-image) - 1

    @classmethod
    def example(cls) -> "BeerLambert":
        """On 8 x 8 colour images, whose values are taken as attenuation."""
        return cls((3, 8, 8))


class Transmission(NamedTuple):
    """Line integrals that were counted.

    Args:
        values: log(flux / (counts - dark)), of the shape of the counts, float64.
        weights: one over the variance of each value, float64. 0 where nothing came through.
    """

    values: Tensor
    weights: Tensor


@checked
def line_integrals(
    counts: Tensor | ArrayLike, flux: Tensor | ArrayLike, dark: Tensor | ArrayLike = 0.0
) -> Transmission:
    """Take the logarithm of counts, for methods that expect line integrals with Gaussian noise.

    For counts k ~ Poisson(flux · exp(-p) + dark) the value log(flux / (k - dark)) has about the
    variance k / (k - dark)². Source: Sauer and Bouman, IEEE Trans. Signal Processing 41(2), 1993,
    whose weights without `dark` are the counts themselves. Where a count is not above `dark`, the
    value is that of the smallest count that is, and the weight 0.

    Args:
        counts: photons that were counted, of any shape.
        flux: photons that would be counted in air, above 0: a number, or numbers that fit the
            counts.
        dark: mean count without light, at least 0: a number, or numbers that fit the counts.

    Returns:
        The line integrals in the unit of `attenuation`, 1 over the side of a pixel where the
        lengths of the operator are in pixels; and the weights.

    Raises:
        ArgumentError: an argument holds other numbers, the shapes do not fit, or no count is above
            `dark`.
    """
    k, air, offset = (
        _real(name, values) for name, values in (("counts", counts), ("flux", flux), ("dark", dark))
    )
    for name, values in (("flux", air), ("dark", offset)):
        if not _fits(values, k):
            raise ArgumentError(
                f"{name} must be one number or fit the counts of shape {tuple(k.shape)}, got the "
                f"shape {tuple(values.shape)}"
            )
    if float(air.min()) <= 0:
        raise ArgumentError(
            f"flux must be above 0, got {float(air.min()):g}; it is what is counted in air"
        )
    light = k - offset
    seen = light > 0
    if not bool(seen.any()):
        raise ArgumentError(
            f"counts must be above dark somewhere, got at most {float(k.max()):g}; counts that "
            "were subtracted or inverted already need neither"
        )
    values = (air / light.clamp_min(float(light[seen].min()))).log()
    return Transmission(values, torch.where(seen, light.square() / k, 0.0))


def _fits(values: Tensor, counts: Tensor) -> bool:
    try:
        return bool(torch.broadcast_shapes(values.shape, counts.shape) == counts.shape)
    except RuntimeError:
        return False


def _real(name: str, source: Tensor | ArrayLike) -> Tensor:
    values = np.asarray(source)
    if values.dtype.kind not in "iuf" or values.size == 0:
        raise ArgumentError(f"{name} must hold real numbers, got {shown(source)}")
    if not (np.isfinite(values).all() and values.min() >= 0):
        raise ArgumentError(f"{name} must be finite and at least 0, got {values.min():g}")
    return torch.from_numpy(values.astype(np.float64))

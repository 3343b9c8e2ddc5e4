"""JPEG compression as an operator: what is lost between an image and its decoded file."""

import math
from collections.abc import Callable
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from invprob.arrays import REC_601
from invprob.errors import ArgumentError
from invprob.indices import indices
from invprob.operators.base import Operator
from invprob.operators.checks import pixel_axes
from invprob.operators.frequencies import working
from invprob.operators.intensity import straight_through
from invprob.operators.units import blocks
from invprob.registry import register
from invprob.types import Images, Measured, Shape

# ISO/IEC 10918-1, tables K.1 (luminance) and K.2 (chrominance).
LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *[(99,) * 8] * 4,
)
# JFIF: red, green, blue to luminance and two colour differences; its inverse goes back.
_RED, _GREEN, _BLUE = REC_601
TO_YCBCR = (
    REC_601,
    (-_RED / 1.772, -_GREEN / 1.772, 0.5),
    (0.5, -_GREEN / 1.402, -_BLUE / 1.402),
)
# How many rows and columns share a colour difference.
SHARED = {"4:4:4": (1, 1), "4:2:2": (1, 2), "4:2:0": (2, 2)}

NEARLY_HALF = 0.5 + 2**-12  # so that a half stays one whatever the precision

_Rounding = Callable[[Tensor], Tensor]


@register.operator("jpeg")
class JPEG(Operator):
    """Compress the image as baseline JPEG and decode it again, without a file.

        coefficient (i, j) of a block of 8 x 8 becomes q[i, j] · round(coefficient / q[i, j])

    Before that, values become 8-bit levels, and colours become luminance and two colour
    differences, which are averaged over 1, 2 or 4 pixels. Then follow the cosine transforms of 8 x
    8 blocks, and the way back. Every stage is rounded to whole levels. q holds the standard's
    tables K.1 and K.2, scaled to the quality as the Independent JPEG Group does. Measurements have
    the shape of the image. Three channels are red, green and blue; one channel is grey. The result
    differs from libjpeg's by less than half a level on average, because libjpeg computes in fixed
    point. Source: ISO/IEC 10918-1, JFIF.

    Rounding has no useful gradient. The surrogate rounds only the coefficients, as round(c) + (c -
    round(c))³ (Shin and Song, NIPS 2017 workshop on machine learning and computer security), and
    clips with the gradient of the identity.

    Raises:
        ArgumentError: the quality is outside 1 to 100, or images have neither 1 nor 3 channels.
    """

    exact = ("tables", "cosines")
    image_units = "picture"

    tables: Tensor  # (2, 8, 8) float64, luminance and chrominance
    cosines: Tensor  # (8, 8) float64, the orthonormal cosine transform

    def __init__(
        self,
        image_shape: Shape,
        quality: Annotated[int, "quality, from 1 (smallest file) to 100"] = 50,
        subsampling: Annotated[
            Literal["4:4:4", "4:2:2", "4:2:0"],
            "one colour per pixel, per 2 pixels, or per 4 pixels",
        ] = "4:2:0",
    ) -> None:
        channels, _, _ = pixel_axes(image_shape)
        if channels not in (1, 3):
            raise ArgumentError(
                f"jpeg needs images of 1 or 3 channels, got image_shape {tuple(image_shape)}"
            )
        if not 1 <= quality <= 100:
            raise ArgumentError(f"quality must be from 1 to 100, got {quality}; 50 is usual")
        super().__init__(image_shape, image_shape)
        self.quality, self.subsampling = quality, subsampling
        self.register_buffer("tables", scaled_tables(quality), persistent=False)
        self.register_buffer("cosines", cosine_matrix(), persistent=False)

    def units(self) -> Tensor:
        """Blocks of 8 x 8 pixels, which are rounded together, all channels together."""
        return blocks(self.measurement_shape, 8)

    def forward(self, image: Images) -> Measured:
        """Encode and decode, with all roundings."""
        return self._through(image, half_away, half_away)

    def surrogate(self, image: Images) -> Measured:
        """Encode and decode, with smooth rounding of the coefficients only."""
        return self._through(image, smooth_round, lambda values: values)

    @classmethod
    def example(cls) -> "JPEG":
        """Quality 50, on 8 x 8 colour images."""
        return cls((3, 8, 8))

    def extra_repr(self) -> str:
        """The shapes and the options."""
        options = f"quality={self.quality}, subsampling={self.subsampling!r}"
        return f"{super().extra_repr()}, {options}"

    def _through(self, image: Images, quantise: _Rounding, settle: _Rounding) -> Measured:
        """`quantise` rounds coefficients, `settle` everything that the codec keeps in 8 bits."""
        if len(image) == 0:
            return image.clone()
        height, width = image.shape[2:]
        levels = _levels(settle((image.to(working(image.dtype)) + 1) * 127.5))
        mixing = torch.tensor(TO_YCBCR, dtype=torch.float64, device="cpu")
        colour = levels.shape[1] == 3
        if colour:
            mixed = torch.einsum("kc,bchw->bkhw", mixing.to(levels), levels)
            levels = settle(mixed + _middle(levels))
        parts = [self._blocks(levels[:, :1], self.tables[0], quantise, settle)]
        if colour:
            rows, columns = SHARED[self.subsampling]
            shared = settle(averaged(levels[:, 1:], rows, columns))
            decoded = self._blocks(shared, self.tables[1], quantise, settle)
            seen = decoded[..., : math.ceil(height / rows), : math.ceil(width / columns)]
            parts.append(settle(spread(seen, rows, columns))[..., :height, :width])
        levels = torch.cat(parts, 1)
        if colour:
            back = torch.linalg.inv(mixing).to(levels)
            levels = _levels(settle(torch.einsum("kc,bchw->bkhw", back, levels - _middle(levels))))
        return (levels / 127.5 - 1).to(image.dtype)

    def _blocks(
        self, levels: Tensor, table: Tensor, quantise: _Rounding, settle: _Rounding
    ) -> Tensor:
        """Code and decode each 8 x 8 block; the edge is repeated to fill the last ones."""
        height, width = levels.shape[2:]
        filled = nn.functional.pad(levels, (0, -width % 8, 0, -height % 8), mode="replicate")
        blocks = filled.unflatten(3, (-1, 8)).unflatten(2, (-1, 8)).transpose(3, 4) - 128
        cosines, table = self.cosines.to(levels), table.to(levels)
        # (batch, channel, down, across, 8, 8), of which libjpeg keeps three binary digits
        coefficients = settle(8 * (cosines @ blocks @ cosines.T)) / 8
        restored = quantise(coefficients / table) * table
        blocks = cosines.T @ restored @ cosines + 128
        filled = blocks.transpose(3, 4).flatten(4, 5).flatten(2, 3)
        return _levels(settle(filled[..., :height, :width]))


def scaled_tables(quality: int) -> Tensor:
    """The quantisation tables of a quality from 1 to 100, as IJG scales them: (2, 8, 8) float64."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    tables = torch.tensor([LUMINANCE, CHROMINANCE], dtype=torch.int64, device="cpu")
    return ((tables * percent + 50) // 100).clamp(1, 255).to(torch.float64)


def cosine_matrix() -> Tensor:
    """The orthonormal cosine transform of 8 values (DCT-II), in float64."""
    k = torch.arange(8, dtype=torch.float64, device="cpu")
    matrix = 0.5 * torch.cos(math.pi / 8 * torch.outer(k, k + 0.5))
    matrix[0] = math.sqrt(1 / 8)
    return matrix


def half_away(values: Tensor) -> Tensor:
    """Rounded to whole numbers, halves away from zero, as libjpeg does."""
    return values.sign() * (values.abs() + NEARLY_HALF).floor()


def smooth_round(values: Tensor) -> Tensor:
    """Rounded, with the cube of what was lost, so that the gradient is not zero."""
    whole = values.round().detach()
    return whole + (values - whole) ** 3


def averaged(levels: Tensor, rows: int, columns: int) -> Tensor:
    """The mean of each rows x columns pixels; the edge is repeated to fill the last ones."""
    height, width = levels.shape[2:]
    # To the right the encoder repeats pixels up to the end of the block, below only to an even row.
    right = -width % (8 * columns)
    filled = nn.functional.pad(levels, (0, right, 0, -height % rows), mode="replicate")
    pooled: Tensor = nn.functional.avg_pool2d(filled, (rows, columns))
    return pooled + tilt(pooled)


def spread(levels: Tensor, rows: int, columns: int) -> Tensor:
    """Each value for rows x columns pixels again, interpolated linearly (libjpeg's triangle)."""
    if (rows, columns) == (1, 1):
        return levels
    size = (levels.shape[2] * rows, levels.shape[3] * columns)
    wide: Tensor = nn.functional.interpolate(levels, size=size, mode="bilinear")
    return wide + (tilt(wide) if rows == 1 else -tilt(wide))


def tilt(levels: Tensor) -> Tensor:
    """Offsets that round halves down in even columns, up in odd ones, and change nothing else."""
    return ((indices(levels.shape[3], levels.device) % 2) * 2 - 1).to(levels) / 64


def _levels(values: Tensor) -> Tensor:
    """Clipped to 0 to 255, with the gradient of the identity."""
    return straight_through(values.clamp(0, 255), values)


def _middle(levels: Tensor) -> Tensor:
    """Offsets that bring luminance and colour differences to the range 0 to 255."""
    return levels.new_tensor([0.0, 128.0, 128.0]).view(3, 1, 1)

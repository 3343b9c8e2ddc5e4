"""Shape letters, fixed in one place and used in every public signature.

`batch` counts independent images; `layers` counts style rows (2·log2(size) - 2); `width` is the
style width; `measured` stands for the axes of a measurement. Images lie in [-1, 1].
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from jaxtyping import Float
from torch import Tensor

# The leading space keeps linters from reading the letters as an expression.
Images: TypeAlias = Float[Tensor, " batch channel height width"]
Measured: TypeAlias = Float[Tensor, " batch *measured"]
PerImage: TypeAlias = Float[Tensor, " batch"]
Vectors: TypeAlias = Float[Tensor, " batch width"]  # one latent an image: z or w
Styles: TypeAlias = Float[Tensor, " batch layers width"]  # one latent a layer: z+ or w+
Content: TypeAlias = Float[Tensor, " batch channel 4 4"]  # what replaces the learned constant
NoiseMap: TypeAlias = Float[Tensor, " maps 1 height width"]  # maps: batch, or 1 shared by all

Shape: TypeAlias = tuple[int, ...]  # of one image or measurement, without the batch axis
Spec: TypeAlias = Mapping[str, Any]  # JSON values only

"""Another prior's images, enlarged: how a search begins with small images."""

from collections.abc import Mapping
from typing import Annotated, Any, final

import torch
import torch.nn.functional as F
from torch import Tensor

from invprob.errors import ShapeError
from invprob.priors.base import Code, ParamGroup, Prior
from invprob.registry import register
from invprob.types import Images, PerImage, Shape, Spec


@final
@register.prior("enlarged")
class Enlarged(Prior):
    """The images of a prior, enlarged bilinearly. The free variables are those of that prior.

    Raises:
        ShapeError: the shape has another number of channels than the prior's images.
    """

    def __init__(
        self, prior: Annotated[Prior, "the prior of the small images"], image_shape: Shape
    ) -> None:
        super().__init__(image_shape)
        if len(image_shape) != 3 or image_shape[0] != prior.image_shape[0]:
            raise ShapeError(
                f"images of shape {prior.image_shape} are enlarged to "
                f"({prior.image_shape[0]}, height, width), not to {tuple(image_shape)}"
            )
        self.prior = prior

    def extra_repr(self) -> str:
        """The shape, and the prior of the small images."""
        return f"{super().extra_repr()}, {self.prior!r}"

    def start(self, batch: int, rng: torch.Generator) -> Code:
        """The variables of the small prior."""
        code: Code = self.prior.start(batch, rng)
        return code

    def decode(self, code: Code, rng: torch.Generator) -> Images:
        """The images of the small prior, enlarged."""
        return self._enlarged(self.prior.decode(code, rng))

    def groups(self, code: Code) -> list[ParamGroup]:
        """Those of the small prior."""
        return self.prior.groups(code)

    def regularisers(self, code: Code) -> Mapping[str, PerImage]:
        """Those of the small prior."""
        return self.prior.regularisers(code)

    def project_(self, code: Code) -> None:
        """As the small prior does."""
        self.prior.project_(code)

    def anneal_(self, code: Code, progress: float) -> None:
        """As the small prior does."""
        self.prior.anneal_(code, progress)

    def adopt_(self, code: Code, realised: Mapping[str, Tensor]) -> None:
        """As the small prior does."""
        self.prior.adopt_(code, realised)

    def realise(self, code: Code, rng: torch.Generator) -> dict[str, Tensor]:
        """What the small prior keeps."""
        return self.prior.realise(code, rng)

    def render(self, realised: Mapping[str, Tensor]) -> Images:
        """The images that the small prior renders, enlarged."""
        return self._enlarged(self.prior.render(realised))

    def mean_image(self) -> Images | None:
        """The mean image of the small prior, enlarged."""
        mean = self.prior.mean_image()
        return None if mean is None else self._enlarged(mean)

    def spec(self) -> dict[str, Any]:
        """The spec of the small prior, and the shape."""
        return {
            "type": "enlarged",
            "prior": self.prior.spec(),
            "image_shape": list(self.image_shape),
        }

    @classmethod
    def from_spec(cls, spec: Spec) -> "Enlarged":
        """Build the prior again."""
        return cls(Prior.from_spec(spec["prior"]), tuple(spec["image_shape"]))

    def _enlarged(self, images: Images) -> Images:
        size = self.image_shape[1:]
        return F.interpolate(images, size, mode="bilinear", align_corners=False)

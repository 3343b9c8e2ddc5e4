"""Another prior's images, of which every pixel then moves by itself."""

from collections.abc import Mapping
from typing import Annotated, Any, final

import torch
from torch import Tensor, nn

from invprob.errors import PriorError
from invprob.priors.base import Code, ParamGroup, Prior
from invprob.priors.parts.base import copy_
from invprob.registry import register
from invprob.types import Images, Spec


class RetouchedCode(Code):
    """The pixels, and what drew them at the start.

    Args:
        pixels: (batch, channel, height, width).
        drawn: the realised tensors of the other prior, by name. They do not move.
    """

    def __init__(self, pixels: Images, drawn: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.pixels = nn.Parameter(pixels)
        self._names = tuple(drawn)
        for name, tensor in drawn.items():
            self.register_buffer(_buffer(name), tensor.clone())

    @property
    def drawn(self) -> dict[str, Tensor]:
        """What the other prior drew the pixels from."""
        return {name: self.get_buffer(_buffer(name)) for name in self._names}


@final
@register.prior("retouched")
class Retouched(Prior[RetouchedCode]):
    """The images of a prior as free pixels, for a last stage that brings them to the measurements.

    A solution keeps the pixels, and beside them what the prior drew the first image from, so that
    its latents can still be used.
    """

    def __init__(self, prior: Annotated[Prior, "the prior that draws the images to begin with"]):
        super().__init__(prior.image_shape)
        self.prior = prior

    def extra_repr(self) -> str:
        """The prior that draws the images to begin with."""
        return repr(self.prior)

    @torch.no_grad()
    def start(self, batch: int, rng: torch.Generator) -> RetouchedCode:
        """The image at which the other prior starts."""
        drawn = self.prior.realise(self.prior.start(batch, rng), rng)
        return RetouchedCode(self.prior.render(drawn).clamp(-1, 1), drawn)

    def decode(self, code: RetouchedCode, rng: torch.Generator) -> Images:
        """The pixels."""
        del rng
        return code.pixels.clone()  # so that images of earlier steps stay as they were

    def groups(self, code: RetouchedCode) -> list[ParamGroup]:
        """The pixels."""
        return [ParamGroup([code.pixels])]

    @torch.no_grad()
    def adopt_(self, code: RetouchedCode, realised: Mapping[str, Tensor]) -> None:
        """Begin at the image of the other prior's solution, within [-1, 1].

        Raises:
            PriorError: it is the solution of another kind of prior.
        """
        for name, kept in code.drawn.items():
            if name not in realised:
                raise PriorError(
                    f"{name} is missing: what came before gives {', '.join(realised) or 'nothing'}"
                )
            copy_(kept, realised[name])
        code.pixels.copy_(self.prior.render(code.drawn).clamp(-1, 1))

    def realise(self, code: RetouchedCode, rng: torch.Generator) -> dict[str, Tensor]:
        """The pixels as "image", and what the other prior drew the first image from."""
        del rng
        return {**code.drawn, "image": code.pixels}

    def mean_image(self) -> Images | None:
        """That of the other prior."""
        return self.prior.mean_image()

    def spec(self) -> dict[str, Any]:
        """The spec of the other prior."""
        return {"type": "retouched", "prior": self.prior.spec()}

    @classmethod
    def from_spec(cls, spec: Spec) -> "Retouched":
        """Build the prior again."""
        return cls(Prior.from_spec(spec["prior"]))


def _buffer(name: str) -> str:
    """The name of a tensor's buffer, which may have no dot."""
    return name.replace(".", "_")

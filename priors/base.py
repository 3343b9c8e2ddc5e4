"""The contract of a prior: free variables in, images out."""

import operator
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

import torch
from torch import Tensor, nn
from typing_extensions import TypeVar

from invprob.errors import PriorError
from invprob.registry import register, registered_name
from invprob.types import Images, PerImage, Shape, Spec


class Code(nn.Module):
    """The free variables of some independent solves: what the optimiser moves, and nothing else.

    Every parameter has a leading batch axis; parameters of different images never mix.
    """

    @torch.no_grad()
    def take_(self, before: Mapping[str, Tensor]) -> None:
        """Go on from the state of a smaller code: its tensors become the first rows of these.

        What it does not name stays. Raises `PriorError` where a tensor is larger than here.
        """
        for name, value in self.state_dict().items():
            if name not in before:
                continue
            old = before[name]
            if old.ndim != value.ndim or any(map(operator.gt, old.shape, value.shape)):
                raise PriorError(
                    f"{name} is {tuple(value.shape)}, which cannot go on from {tuple(old.shape)}"
                )
            value[tuple(slice(length) for length in old.shape)] = old


@dataclass(frozen=True)
class ParamGroup:
    """Parameters of one learning rate: `lr_scale` of the optimiser's, ramped if `scheduled`."""

    parameters: Sequence[nn.Parameter]
    lr_scale: float = 1.0
    scheduled: bool = True


C = TypeVar("C", bound=Code, default=Any)


class Prior(nn.Module, ABC, Generic[C]):
    """A model of images that is searched by moving a `Code`.

    An author writes `start` and `decode`; the other methods have defaults that suit a prior whose
    images depend on the code alone.
    """

    image_shape: Shape

    def __init__(self, image_shape: Shape) -> None:
        super().__init__()
        self.image_shape = tuple(image_shape)

    @abstractmethod
    def start(self, batch: int, rng: torch.Generator) -> C:
        """Make the free variables at which `batch` independent solves begin, alike for all."""

    @abstractmethod
    def decode(self, code: C, rng: torch.Generator) -> Images:
        """Draw (batch, *image_shape) in about [-1, 1], differentiable in the code.

        What is drawn afresh at each step comes from `rng` and is shared by the batch.
        """

    def groups(self, code: C) -> list[ParamGroup]:
        """The parameters with their learning-rate scales; by default one scheduled group."""
        return [ParamGroup(list(code.parameters()))]

    def regularisers(self, code: C) -> Mapping[str, PerImage]:
        """Terms of the code that are added to the loss, by name; by default none."""
        del code
        return {}

    def project_(self, code: C) -> None:
        """Restore constraints on the code in place after a step; by default there are none."""
        del code

    def anneal_(self, code: C, progress: float) -> None:
        """Set in the code what changes over a stage; called before each step, `progress` in [0, 1).

        By default nothing does.
        """
        del code, progress

    def adopt_(self, code: C, realised: Mapping[str, Tensor]) -> None:
        """Move the code in place to where another prior's solution stands, as near as it can.

        What `realised` does not name stays where it is. Raises `PriorError` where this prior cannot
        go on from such a solution; by default it cannot from any.
        """
        del code
        raise PriorError(
            f"a {type(self).__name__} cannot go on from {', '.join(realised) or 'nothing'}; "
            "let it be the first stage, or write its `adopt_`"
        )

    def realise(self, code: C, rng: torch.Generator) -> dict[str, Tensor]:
        """What a solution keeps so that it can be drawn again; by default the image itself."""
        return {"image": self.decode(code, rng)}

    def render(self, realised: Mapping[str, Tensor]) -> Images:
        """Draw what `realise` kept: the same tensors give the same image, bit for bit."""
        return realised["image"]

    def mean_image(self) -> Images | None:
        """The prior's guess without any measurement, (1, *image_shape), where it has one."""
        return None

    def spec(self) -> dict[str, Any]:
        """JSON from which `from_spec` builds a prior that renders the same."""
        return {"type": registered_name(type(self))}

    @classmethod
    def from_spec(cls, spec: Spec) -> "Prior":
        """Build the prior that `spec` names; dispatches on its registered type."""
        kind: Any = register.prior[spec["type"]]
        prior: Prior = kind.from_spec(spec)
        return prior

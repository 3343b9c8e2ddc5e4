"""What moves the free variables: a contract, Adam, and steps along the gradient."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.priors.base import ParamGroup
from invprob.types import PerImage


class Stepper(ABC):
    """An optimiser at work on the parameters of one solve."""

    @abstractmethod
    def step(self, scale: float, losses: PerImage) -> None:
        """Move the parameters by their gradients, which are those of the losses' sum.

        `scale` is what the schedule says.
        """

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Everything the next step depends on besides parameters and gradients."""

    def settle(self) -> None:
        """Move the parameters to where the solve should end; by default they are there."""
        return

    @abstractmethod
    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` gave."""


class Optimiser(ABC):
    """A choice of how to descend; `start` binds it to parameters."""

    @abstractmethod
    def start(self, groups: Sequence[ParamGroup]) -> Stepper:
        """Begin with fresh state on these parameters."""


class Adam(Optimiser):
    """Adam (Kingma & Ba, ICLR 2015) with the paper's β = (0.9, 0.999)."""

    def __init__(
        self,
        learning_rate: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
    ) -> None:
        _check_rate(learning_rate)
        self.learning_rate, self.betas, self.epsilon = learning_rate, betas, epsilon

    def start(self, groups: Sequence[ParamGroup]) -> Stepper:
        return _AdamStepper(self, groups)


class _AdamStepper(Stepper):
    def __init__(self, optimiser: Adam, groups: Sequence[ParamGroup]) -> None:
        self._rates = [(optimiser.learning_rate * group.lr_scale, group) for group in groups]
        self._adam = torch.optim.Adam(
            [{"params": list(group.parameters)} for group in groups],
            lr=optimiser.learning_rate,
            betas=optimiser.betas,
            eps=optimiser.epsilon,
            fused=True,
        )

    def step(self, scale: float, losses: PerImage) -> None:
        del losses
        for (rate, group), settings in zip(self._rates, self._adam.param_groups, strict=True):
            settings["lr"] = rate * scale if group.scheduled else rate
        self._adam.step()
        self._adam.zero_grad()

    def state(self) -> dict[str, Tensor]:
        state = self._adam.state_dict()["state"]
        return {f"{index}.{key}": value for index in state for key, value in state[index].items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        whole = self._adam.state_dict()
        parameters = [value for group in self._adam.param_groups for value in group["params"]]
        entries: dict[int, dict[str, Tensor]] = {}
        for name, value in state.items():
            index, key = name.split(".", 1)
            like = parameters[int(index)]
            # The fused kernel walks through memory: moments have to lie there as parameters do.
            laid = torch.empty_like(like).copy_(value) if value.shape == like.shape else value
            entries.setdefault(int(index), {})[key] = laid
        whole["state"] = entries
        self._adam.load_state_dict(whole)


class GradientDescent(Optimiser):
    """x <- x - rate · gradient, without memory."""

    def __init__(self, learning_rate: float) -> None:
        _check_rate(learning_rate)
        self.learning_rate = learning_rate

    def start(self, groups: Sequence[ParamGroup]) -> Stepper:
        return _DescentStepper(self.learning_rate, groups, lambda gradient: gradient)


class NormalisedGradientDescent(Optimiser):
    """x <- x - rate · g / ||g||, without memory, each row by itself (arXiv:2302.06733).

    A row runs along the last axis: a style row moves by the learning rate, whatever the loss's size
    and units. A row without gradient stays.
    """

    def __init__(self, learning_rate: float) -> None:
        _check_rate(learning_rate)
        self.learning_rate = learning_rate

    def start(self, groups: Sequence[ParamGroup]) -> Stepper:
        return _DescentStepper(self.learning_rate, groups, unit_rows)


def unit_rows(gradient: Tensor) -> Tensor:
    """Scale each row (last axis) to length one; a row of zeros stays zero."""
    return torch.nn.functional.normalize(gradient, dim=-1, eps=torch.finfo(gradient.dtype).tiny)


class _DescentStepper(Stepper):
    def __init__(
        self,
        learning_rate: float,
        groups: Sequence[ParamGroup],
        direction: Callable[[Tensor], Tensor],
    ) -> None:
        self._rates = [(learning_rate * group.lr_scale, group) for group in groups]
        self._direction = direction

    @torch.no_grad()
    def step(self, scale: float, losses: PerImage) -> None:
        del losses
        for rate, group in self._rates:
            for value in group.parameters:
                if value.grad is not None:
                    value.sub_(
                        self._direction(value.grad), alpha=rate * (scale if group.scheduled else 1)
                    )
                    value.grad = None

    def state(self) -> dict[str, Tensor]:
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        del state


def _check_rate(learning_rate: float) -> None:
    if not 0 < learning_rate < float("inf"):
        raise ArgumentError(f"learning_rate must be positive and finite, not {learning_rate}")

"""L-BFGS for each image of a batch by itself, one evaluation a step and none waited for."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.priors.base import ParamGroup
from invprob.solver.optimisers import Optimiser, Stepper
from invprob.types import PerImage

DECREASE = 1e-4  # of what the slope promises, which a point has to keep (Armijo)
CURVATURE = 1e-6  # least cosine between a move and the change of the gradient


class LBFGS(Optimiser):
    """Limited-memory BFGS (Nocedal & Wright, section 7.2), going back where a point is too high.

    For losses that are the same smooth function at each step: no fresh draws. Each step evaluates
    one point for each image; one that is no better than the last is left for one nearer by.
    `memory` is how many moves, with the changes of the gradient, are remembered, each of the size
    of the variables; a group's `lr_scale` is the unit of its variables, and schedules do nothing.
    Raises `ArgumentError` for a memory below 1, and when it starts on variables without the batch
    in front.
    """

    def __init__(self, memory: int = 10) -> None:
        if memory < 1:
            raise ArgumentError(f"memory must be at least 1, not {memory}")
        self.memory = memory

    def start(self, groups: Sequence[ParamGroup]) -> Stepper:
        return _LBFGSStepper(self.memory, groups)


class _LBFGSStepper(Stepper):
    """The line search; one row of each tensor is one image."""

    def __init__(self, memory: int, groups: Sequence[ParamGroup]) -> None:
        self._values = [(value, group.lr_scale) for group in groups for value in group.parameters]
        batch = len(self._values[0][0])
        if any(value.ndim == 0 or len(value) != batch for value, _ in self._values):
            raise ArgumentError(
                "l-bfgs needs free variables that carry the batch in front; take adam"
            )
        size = sum(value[0].numel() for value, _ in self._values)
        self._base = self._values[0][0].detach().new_empty(batch, size)  # the best point so far
        self._read_point(self._base)
        self._gradient = torch.zeros_like(self._base)  # there
        self._found = torch.empty_like(self._base)  # what was evaluated, and is compared with them
        self._loss = self._base.new_full((batch,), torch.inf)
        self._slope = torch.zeros_like(self._loss)  # along the line that is being searched
        self._length = torch.zeros_like(self._loss)  # of the step on it that is being tried
        self._pairs = _Pairs(self._base, memory)

    @torch.no_grad()
    def step(self, scale: float, losses: PerImage) -> None:
        del scale
        good = losses <= self._loss + DECREASE * self._length * self._slope  # not a number is not
        self._length = torch.where(good, torch.ones_like(losses), self._nearer(losses))
        self._loss = torch.where(good, losses, self._loss)
        move, change = self._pairs.slot()
        self._read_point(self._found)
        self._advance(self._base, good, move)
        self._read_gradient(self._found)
        self._advance(self._gradient, good, change)
        line, self._slope = self._pairs.line(self._gradient)
        self._move_to(torch.addcmul(self._base, line, self._length[:, None], out=self._found))

    @torch.no_grad()
    def settle(self) -> None:
        self._move_to(self._base)

    def _advance(self, kept: Tensor, good: Tensor, difference: Tensor) -> None:
        """Where it is good, keep what was found, and the difference that makes."""
        torch.sub(self._found, kept, out=difference)
        difference.masked_fill_(~good[:, None], 0)
        torch.where(good[:, None], self._found, kept, out=kept)

    def _parts(self, whole: Tensor) -> Iterator[tuple[Tensor, float, Tensor]]:
        """Each variable, its unit, and the columns of `whole` that are its."""
        parts = whole.split([value[0].numel() for value, _ in self._values], 1)
        for (value, unit), part in zip(self._values, parts, strict=True):
            yield value, unit, part

    @torch.no_grad()
    def _read_point(self, whole: Tensor) -> None:
        for value, unit, part in self._parts(whole):
            torch.div(value.flatten(1), unit, out=part)

    def _read_gradient(self, whole: Tensor) -> None:
        for value, unit, part in self._parts(whole):
            if value.grad is None:
                part.zero_()
            else:
                torch.mul(value.grad.flatten(1), unit, out=part)
            value.grad = None

    def _move_to(self, point: Tensor) -> None:
        for value, unit, part in self._parts(point):
            value.copy_(part.view_as(value)).mul_(unit)

    def _nearer(self, losses: PerImage) -> PerImage:
        """Where a parabola through both losses and the slope is least, a tenth to a half of now."""
        expected = self._length * self._slope
        share = -expected / (2 * (losses - self._loss - expected))
        return self._length * share.nan_to_num(0.0, 0.0, 0.0).clamp(0.1, 0.5)

    def _tensors(self) -> dict[str, Tensor]:
        own = {
            "base": self._base,
            "gradient": self._gradient,
            "loss": self._loss,
            "slope": self._slope,
            "length": self._length,
        }
        return {**own, **self._pairs.tensors()}

    def state(self) -> dict[str, Tensor]:
        return {**self._tensors(), "seen": torch.tensor(self._pairs.seen)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        for name, own in self._tensors().items():
            own.copy_(state[name])
        self._pairs.seen = int(state["seen"])


class _Pairs:
    """Moves s and changes y of the gradient, in a ring, and their products in float64."""

    def __init__(self, like: Tensor, memory: int) -> None:
        batch, size = like.shape
        self._memory = memory
        self.seen = 0  # how many pairs so far
        self._rows = like.new_zeros(batch, 2 * memory, size)  # moves, then changes
        self._across = like.new_zeros(batch, memory, memory, dtype=torch.float64)  # s_i · y_j
        self._changes = torch.zeros_like(self._across)  # y_i · y_j
        self._known = self._across.new_zeros(batch, memory, dtype=torch.bool)
        self._unit = self._across.new_zeros(batch)  # inverse curvature where nothing is known

    def tensors(self) -> dict[str, Tensor]:
        """All that is remembered but for the count."""
        return {
            "rows": self._rows,
            "across": self._across,
            "changes": self._changes,
            "known": self._known,
            "unit": self._unit,
        }

    def slot(self) -> tuple[Tensor, Tensor]:
        """Where the next move and change are to be written, over the oldest; (batch, n) each."""
        at = self.seen % self._memory
        return self._rows[:, at], self._rows[:, self._memory + at]

    def line(self, gradient: Tensor) -> tuple[Tensor, PerImage]:
        """Take in the next pair; -H · gradient and its slope, (batch, n) and (batch,).

        A pair without curvature does not count, nor does that of a point that was left, which is
        zero. Where rounding leaves no descent, H is a multiple of the identity.
        """
        memory, at = self._memory, self.seen % self._memory
        move, change = self.slot()
        self.seen += 1
        # One by one: a product of three rows is slower than three of one each, on a CPU.
        by_move = torch.bmm(move[:, None], self._rows[:, memory:].mT)[:, 0].double()
        by_change = torch.bmm(change[:, None], self._rows.mT)[:, 0].double()
        by_gradient = torch.bmm(gradient[:, None], self._rows.mT)[:, 0].double()
        self._across[:, at], self._across[:, :, at] = by_move, by_change[:, :memory]
        self._changes[:, at] = self._changes[:, :, at] = by_change[:, memory:]
        along, square = self._across[:, at, at], self._changes[:, at, at]
        length = torch.linalg.vector_norm(move, dim=1).double()
        known = along > CURVATURE * length * square.sqrt()
        self._known[:, at] = known
        if self.seen == 1:
            self._unit = 1 / torch.linalg.vector_norm(gradient, 1, dim=1).double().clamp_min(1)
        self._unit = torch.where(known, along / square, self._unit)

        weights = self._weights(by_gradient, [(at + 1 + i) % memory for i in range(memory)])
        steepest = -self._unit * torch.linalg.vector_norm(gradient, dim=1).double().square()
        slope = steepest - (weights * by_gradient).sum(1)
        down = slope < 0
        # The unit multiplies the whole in the end, so that one product adds rows and gradient.
        weights = torch.where(down[:, None], weights / self._unit[:, None], 0).to(gradient)
        line = torch.baddbmm(gradient[:, None], weights[:, None], self._rows)[:, 0]
        line.mul_(-self._unit[:, None].to(gradient))
        return line, torch.where(down, slope, steepest).to(gradient)

    def _weights(self, by_gradient: Tensor, order: list[int]) -> Tensor:
        """Of each row in H · gradient - unit · gradient, (batch, 2 · memory).

        H in the compact form of Byrd, Nocedal & Schnabel (1994), theorem 2.2, whose R is `upper`;
        `order` names the pairs from the oldest on.
        """
        memory, unit = self._memory, self._unit[:, None, None]
        known = self._known[:, order]
        both = known[:, :, None] & known[:, None, :]
        across = torch.where(both, self._across[:, order][:, :, order], 0)
        changes = torch.where(both, self._changes[:, order][:, :, order], 0)
        moves, turns = (
            torch.where(known, half[:, order], 0)[..., None]
            for half in by_gradient.split(memory, 1)
        )
        upper = across.triu() + torch.diag_embed((~known).double())
        solved = torch.linalg.solve_triangular(upper, moves, upper=True)
        right = across.diagonal(dim1=1, dim2=2)[..., None] * solved
        right = right + unit * (changes @ solved - turns)
        weights = torch.zeros_like(by_gradient)
        weights[:, order] = torch.linalg.solve_triangular(upper.mT, right, upper=False)[..., 0]
        weights[:, [memory + index for index in order]] = -(unit * solved)[..., 0]
        return weights

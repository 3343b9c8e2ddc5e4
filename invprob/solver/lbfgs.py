"""L-BFGS for each image of a batch by itself.

A step evaluates one point for each image, and never waits for the device: what another program
would decide by an `if` is a `torch.where` here.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.priors.base import ParamGroup
from invprob.solver.optimisers import Optimiser, Stepper
from invprob.types import PerImage

DECREASE = 1e-4  # share of the decrease promised by the slope that a point must reach (Armijo)
CURVATURE = 1e-6  # least cosine between a move and the change of the gradient along it
STRIP = 16384  # variables in one piece of work for the threads of a CPU


class LBFGS(Optimiser):
    """Limited-memory BFGS (Nocedal & Wright, Numerical Optimization, section 7.2).

    For an objective that is the same smooth function at each step: nothing in it may be drawn
    afresh. Each step tries one point for each image. A point that is not low enough is left for one
    nearer to the best so far (backtracking line search). There is no learning rate, and schedules
    do nothing; the `lr_scale` of a group is the unit in which its variables are measured.

    Args:
        memory: how many moves are remembered, at least 1. Each takes twice the memory of the
            variables, for itself and for the change of the gradient.

    Raises:
        ArgumentError: the memory is below 1, or `start` is given variables without the batch in
            front.
    """

    scheduled = False

    def __init__(self, memory: int = 10) -> None:
        if memory < 1:
            raise ArgumentError(f"memory must be at least 1, not {memory}")
        self.memory = memory

    def start(self, groups: Sequence[ParamGroup]) -> Stepper:
        """Begin where the variables are, without any remembered move."""
        return _LBFGSStepper(self.memory, groups)


class _LBFGSStepper(Stepper):
    """The line search. A row of each tensor is one image."""

    def __init__(self, memory: int, groups: Sequence[ParamGroup]) -> None:
        self._values = [(value, group.lr_scale) for group in groups for value in group.parameters]
        batch = len(self._values[0][0])
        if any(value.ndim == 0 or len(value) != batch for value, _ in self._values):
            raise ArgumentError(
                "l-bfgs needs free variables that carry the batch in front; take adam"
            )
        self._size = sum(value[0].numel() for value, _ in self._values)
        strip = min(self._size, STRIP)
        like = self._values[0][0].detach()
        self._base = like.new_zeros(batch, -(-self._size // strip), strip)  # the best point so far
        self._read_point(self._base)
        self._gradient = torch.zeros_like(self._base)  # at the best point
        self._found = torch.zeros_like(self._base)  # the point, then the gradient, of this step
        self._loss = self._base.new_full((batch,), torch.inf)
        self._slope = torch.zeros_like(self._loss)  # along the line that is searched
        self._length = torch.zeros_like(self._loss)  # of the step that is tried on this line
        self._pairs = _Pairs(self._base, memory)

    @torch.no_grad()
    def step(self, scale: float, losses: PerImage) -> None:
        del scale
        good = losses <= self._loss + DECREASE * self._length * self._slope  # NaN is not good
        self._length = torch.where(good, torch.ones_like(losses), self._nearer(losses))
        self._loss = torch.where(good, losses, self._loss)
        move, change = self._pairs.slot()
        self._read_point(self._found)
        self._base, self._found = self._advanced(self._base, good, move)
        self._read_gradient(self._found)
        self._gradient, self._found = self._advanced(self._gradient, good, change)
        self._slope = self._pairs.add_pair(self._gradient)
        self._pairs.along(self._base, self._gradient, self._length, out=self._found)
        self._move_to(self._found)

    @torch.no_grad()
    def settle(self) -> None:
        self._move_to(self._base)

    def _advanced(self, kept: Tensor, good: Tensor, difference: Tensor) -> tuple[Tensor, Tensor]:
        """The rows of what was found where they are good, else of what was kept; and a free buffer.

        The difference to what was kept is written into `difference`.
        """
        torch.where(good[:, None, None], self._found, kept, out=self._found)
        torch.sub(self._found, kept, out=difference)
        return self._found, kept

    def _parts(self, whole: Tensor) -> Iterator[tuple[Tensor, float, Tensor]]:
        """Each variable with its unit and its columns of `whole`."""
        sizes = [value[0].numel() for value, _ in self._values]
        parts = whole.flatten(1)[:, : self._size].split(sizes, 1)
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
            torch.mul(part.view_as(value), unit, out=value)

    def _nearer(self, losses: PerImage) -> PerImage:
        """A shorter step: the minimum of the parabola through both losses and the slope.

        At least a tenth and at most half of the present one.
        """
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
        seen = torch.tensor(self._pairs.seen, dtype=torch.int64, device="cpu")
        return {**self._tensors(), "seen": seen}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        for name, own in self._tensors().items():
            own.copy_(state[name])
        self._pairs.seen = int(state["seen"])


class _Pairs:
    """The remembered moves s and changes y of the gradient, and their products in float64.

    The pairs lie in a ring, of which the newest replaces the oldest. A vector is (batch, strips,
    columns), because PyTorch gives a product of two long rows to one thread of a CPU.
    """

    def __init__(self, like: Tensor, memory: int) -> None:
        batch, strips, columns = like.shape
        self._memory = memory
        self.seen = 0  # how many pairs so far
        self._rows = like.new_zeros(batch, strips, 2 * memory, columns)  # s, y, s, y, ...
        self._across = like.new_zeros(batch, memory, memory, dtype=torch.float64)  # s_i · y_j
        self._changes = torch.zeros_like(self._across)  # y_i · y_j
        self._by_gradient = self._across.new_zeros(batch, memory, 2)  # with s_i, with y_i
        self._known = self._across.new_zeros(batch, memory, dtype=torch.bool)
        self._unit = self._across.new_zeros(batch)  # inverse curvature where nothing is known
        self._weights = torch.zeros_like(self._by_gradient)  # of the rows in H · gradient / unit

    def tensors(self) -> dict[str, Tensor]:
        """All that is remembered, without the count."""
        return {
            "rows": self._rows,
            "across": self._across,
            "changes": self._changes,
            "by_gradient": self._by_gradient,
            "known": self._known,
            "unit": self._unit,
        }

    def slot(self) -> tuple[Tensor, Tensor]:
        """Where to write the next move and the next change, over the oldest; shaped like points."""
        at = self.seen % self._memory
        return self._rows[:, :, 2 * at], self._rows[:, :, 2 * at + 1]

    def add_pair(self, gradient: Tensor) -> PerImage:
        """Count the pair that was written to `slot`; the slope along -H · gradient, (batch,).

        H is the approximate inverse Hessian. A pair without curvature is left out of it; that of a
        point which was left is zero, so it is left out as well. Where rounding leaves no descent, H
        is a multiple of the identity.
        """
        at = self.seen % self._memory
        move, change = self.slot()
        self.seen += 1
        before = self._by_gradient
        self._by_gradient = _products(gradient, self._rows).unflatten(1, (-1, 2))
        # The change is a difference of gradients, so its products with older rows are differences
        # of products that are known.
        self._across[:, :, at], self._changes[:, at] = (self._by_gradient - before).unbind(2)
        along, square = _dot(move, change), _dot(change, change)
        self._across[:, at, at], self._changes[:, at, at] = along, square
        self._changes[:, :, at] = self._changes[:, at]
        known = along > CURVATURE * (_dot(move, move) * square).sqrt()
        self._known[:, at] = known
        if self.seen == 1:
            self._unit = 1 / gradient.abs().sum((1, 2), dtype=torch.float64).clamp_min(1)
        self._unit = torch.where(known, along / square, self._unit)

        weights = self._compact([(at + 1 + i) % self._memory for i in range(self._memory)])
        steepest = -self._unit * _dot(gradient, gradient)
        slope = steepest - (weights * self._by_gradient).sum((1, 2))
        down = slope < 0
        self._weights = torch.where(down[:, None, None], weights / self._unit[:, None, None], 0)
        return torch.where(down, slope, steepest).to(gradient)

    def along(self, base: Tensor, gradient: Tensor, length: PerImage, *, out: Tensor) -> None:
        """Write base - length · H · gradient, for the gradient that `add_pair` was given last."""
        step = (-self._unit * length)[:, None, None]
        torch.addcmul(base, gradient, step.to(base), out=out)
        weights = (step * self._weights).to(base).flatten(1)[:, None, None]
        weights = weights.expand(-1, out.shape[1], -1, -1).flatten(0, 1)
        out.flatten(0, 1)[:, None].baddbmm_(weights, self._rows.flatten(0, 1))

    def _compact(self, order: list[int]) -> Tensor:
        """The weight of each row in H · gradient - unit · gradient, (batch, memory, 2).

        H in the compact form of Byrd, Nocedal & Schnabel (Mathematical Programming 63, 1994),
        theorem 2.2; `upper` is their R. `order` lists the pairs from the oldest on.
        """
        unit = self._unit[:, None, None]
        known = self._known[:, order]
        both = known[:, :, None] & known[:, None, :]
        across = torch.where(both, self._across[:, order][:, :, order], 0)
        changes = torch.where(both, self._changes[:, order][:, :, order], 0)
        by_gradient = torch.where(known[:, :, None], self._by_gradient[:, order], 0)
        moves, turns = by_gradient.split(1, 2)
        upper = across.triu() + torch.diag_embed((~known).double())
        solved = torch.linalg.solve_triangular(upper, moves, upper=True)
        right = across.diagonal(dim1=1, dim2=2)[..., None] * solved
        right = right + unit * (changes @ solved - turns)
        by_move = torch.linalg.solve_triangular(upper.mT, right, upper=False)
        weights = torch.empty_like(by_gradient)
        weights[:, order] = torch.cat((by_move, -unit * solved), 2)
        return weights


def _products(point: Tensor, rows: Tensor) -> Tensor:
    """The products of a point, (batch, strips, columns), with rows of points: (batch, rows).

    `rows` are (batch, strips, rows, columns); sums over strips are in float64.
    """
    each = torch.bmm(point.flatten(0, 1)[:, None], rows.flatten(0, 1).mT)
    return each.view(*rows.shape[:3]).sum(1, dtype=torch.float64)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """The product of two points of each image, (batch,), in float64."""
    return _products(a, b[:, :, None])[:, 0]

"""Priors small enough to know the answer, and callbacks that remember."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

import invprob
from invprob.callbacks import Callback, Iterate, Snapshot, Stop
from invprob.losses import BoundTerm, DataMisfit, Term
from invprob.operators import Identity
from invprob.priors import Code, Prior
from invprob.schedules import constant
from invprob.solver.optimisers import Adam
from invprob.solver.task import Stage

SHAPE = (3, 6, 6)


class Dots(Code):
    """Free pixels that start near 0, and what they are added to."""

    base: Tensor

    def __init__(self, first: Tensor, batch: int) -> None:
        super().__init__()
        self.pixels = nn.Parameter(0.1 * first.repeat(batch, 1, 1, 1))
        self.register_buffer("base", torch.zeros(batch, *first.shape[1:]).to(first))


class Shaken(Prior):
    """Free pixels that are drawn with a little fresh noise, and a buffer that remembers."""

    def start(self, batch: int, rng: torch.Generator) -> Code:
        first = torch.randn(1, *self.image_shape, generator=rng, dtype=torch.float64)
        return Dots(first, batch)

    def decode(self, code: Code, rng: torch.Generator) -> Tensor:
        assert isinstance(code, Dots)
        noise = torch.randn(self.image_shape, generator=rng, dtype=torch.float64)
        image: Tensor = code.base + code.pixels + 0.01 * noise
        return image

    def adopt_(self, code: Code, realised: Mapping[str, Tensor]) -> None:
        assert isinstance(code, Dots)
        with torch.no_grad():
            code.base.copy_(realised["image"])
            code.pixels.zero_()

    def spec(self) -> dict[str, Any]:
        return {"type": "shaken"}


class Energy(Term):
    """||x||² / n."""

    def __init__(self) -> None:
        super().__init__("energy", 0.1)

    def bind(self, target: Tensor, operator: invprob.Operator) -> BoundTerm:
        del target, operator
        return lambda image, prediction: image.square().flatten(1).mean(1)


def toy(*steps: int) -> list[Stage]:
    terms: list[list[Term]] = [[DataMisfit(), Energy()], [DataMisfit()]]
    return [
        Stage(Shaken(SHAPE), terms[index % 2], Adam(0.05), constant(), number)
        for index, number in enumerate(steps)
    ]


def data(batch: int = 2) -> tuple[invprob.Measurements, invprob.Operator]:
    rng = torch.Generator().manual_seed(1)
    truth = torch.rand(batch, *SHAPE, generator=rng, dtype=torch.float64) * 2 - 1
    operator = Identity(SHAPE).double()
    return invprob.measure(truth, operator), operator


class Watch(Callback):
    """Keeps every snapshot, what was told, and asks to stop at one step."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.began: list[tuple[int, int]] = []
        self.seen: list[tuple[int, int]] = []
        self.snapshots: list[Snapshot] = []
        self.ended = 0

    def on_start(self, taken: int, steps: int, snapshot: Any) -> Stop | None:
        self.began.append((taken, steps))
        self.snapshots.append(snapshot())
        return Stop("at once") if self.stop_at == taken else None

    def on_step(self, iterate: Iterate) -> Stop | None:
        self.seen.append((iterate.taken, iterate.steps))
        self.snapshots.append(iterate.snapshot())
        return Stop("enough") if iterate.taken == self.stop_at else None

    def on_end(self) -> None:
        self.ended += 1


def assert_same(first: invprob.Solution, second: invprob.Solution) -> None:
    assert torch.equal(first.image, second.image)
    for kind in ("realised", "code", "trace"):
        one, two = getattr(first, kind), getattr(second, kind)
        assert set(one) == set(two)
        for name in one:
            assert torch.equal(one[name].nan_to_num(-7), two[name].nan_to_num(-7)), (kind, name)
    assert (first.outcome, first.steps, first.seed) == (second.outcome, second.steps, second.seed)

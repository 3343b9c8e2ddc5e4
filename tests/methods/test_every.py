"""Contracts that every registered method keeps, on a small generator and full observations."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import networks
import pytest
import torch
from safetensors.torch import load, save
from torch.utils._python_dispatch import TorchDispatchMode

import invprob
from invprob.callbacks import Callback, Iterate, Snapshot
from invprob.methods import Recipe, make
from invprob.operators import Identity
from invprob.registry import register
from invprob.solver import loop
from invprob.solver.stages import solve_stages
from invprob.solver.state import State

STEPS = 5  # one for each stage of the method that has most
STEPLESS = ("psp", "pinv")
# Where a default needs what a small generator has not, and forms that are methods of their own.
FORMS: list[tuple[str, dict[str, Any]]] = [
    # From A⁺y of full observations, TV has no misfit left that could fall.
    *(
        (name, {"begin": "zero"} if name == "tv-descent" else {})
        for name in register.method
        if name != "auto"  # which solves by others
    ),
    ("sphinx", {"coarse": 8}),
    ("sphinx", {"optimiser": "l-bfgs"}),
    ("sphinx-style", {"optimiser": "l-bfgs", "coarse": 16}),
    ("w-plus-s-b", {"coarse": 16}),
    ("w-plus-s-b", {"optimiser": "l-bfgs"}),
    ("bdinvert", {"start": "mean", "skip": "kept"}),
    ("ilo", {"skip": "dropped", "ball": 0.01}),
    ("sphinx-adapted", {"coarse": 8}),
    ("sphinx-adapted", {"finish": "none"}),
    ("iagan", {"space": "z"}),
    ("pti", {"locality": 0}),
    ("i2s++", {"second": "content", "begin": "uniform"}),
    ("p-norm+", {"form": "clip"}),
    ("pgd-z", {"rows": "each", "gaussian": 1e-3}),
    ("wulff", {"rows": "one"}),
    ("z-plus-s-b", {"through": "mapping"}),
    ("wavelet", {"wavelet": "db2", "levels": 2}),
    ("deep-image-prior", {"width": 8, "average": 0.0}),
]


def recipe(name: str, options: Mapping[str, Any]) -> Recipe:
    generator = networks.random_generator(dtype=torch.float64)
    shape = generator.image_shape
    made = make(name, generator, shape, measurement_shape=shape, **options)
    for stage in made.stages:
        stage.prior.double()
    return made


def data(batch: int) -> tuple[invprob.Measurements, invprob.Operator]:
    operator = Identity((3, 32, 32)).double()
    rng = torch.Generator().manual_seed(5)
    truth = torch.rand(batch, 3, 32, 32, generator=rng, dtype=torch.float64) * 2 - 1
    return invprob.measure(truth, operator), operator


def run(made: Recipe, batch: int = 2, index: int | None = None, **more: Any) -> invprob.Solution:
    measurements, operator = data(batch)
    if index is not None:
        one = measurements.values[index : index + 1]
        measurements = invprob.Measurements.from_array(one, operator)
    steps = more.pop("steps", STEPS)
    seed = more.pop("seed", 0)
    return solve_stages(made.task(measurements, operator, steps=steps, seed=seed), **more)


class Keep(Callback):
    """Keeps a snapshot after every step."""

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []

    def on_step(self, iterate: Iterate) -> None:
        self.snapshots.append(iterate.snapshot())


def same(one: invprob.Solution, other: invprob.Solution) -> bool:
    return (
        torch.equal(one.image, other.image)
        and all(torch.equal(one.code[name], other.code[name]) for name in one.code)
        # A stage has NaN for the terms of other stages, and NaN is not equal to itself.
        and all(
            torch.equal(one.trace[name].nan_to_num(-1.0), other.trace[name].nan_to_num(-1.0))
            for name in one.trace
        )
    )


@pytest.mark.parametrize(("name", "options"), FORMS)
def test_a_batch_is_solved_as_its_images_would_be_and_goes_on_from_anywhere(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    keep = Keep()
    together = run(recipe(name, options), callbacks=[keep])
    assert together.image.shape == (2, 3, 32, 32) and together.image.isfinite().all()
    assert torch.equal(together.render(), together.image)
    assert together.steps == len(keep.snapshots) == (0 if name in STEPLESS else STEPS)
    alone = run(recipe(name, options), index=1)
    difference = (alone.image[0] - together.image[1]).norm() / alone.image.norm()
    assert difference < 1e-8
    together.save(tmp_path / "solution.safetensors")
    assert same(invprob.Solution.load(tmp_path / "solution.safetensors"), together)
    for snapshot in keep.snapshots:
        kept = load(save(snapshot))
        assert same(run(recipe(name, options), snapshot=kept), together)


class Reads(TorchDispatchMode):
    """Counts operations whose result Python has to know, for which it waits for the device."""

    NAMES = ("_local_scalar_dense", "nonzero", "equal", "masked_select", "_unique2")

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        self.count += func.overloadpacket.__name__ in self.NAMES
        return func(*args, **(kwargs or {}))


def test_reads_are_seen() -> None:
    with Reads() as reads:
        assert torch.ones(3).sum().item() == 3
        assert bool(torch.ones(()).isfinite())
    assert reads.count == 2


@pytest.mark.parametrize(("name", "options"), FORMS)
def test_no_step_waits_for_the_device(
    name: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, step = Reads(), loop.step

    def watched(state: State) -> Iterate:
        with reads:
            return step(state)

    monkeypatch.setattr(loop, "step", watched)
    run(recipe(name, options))
    # This one counts its steps, on the host.
    assert reads.count == (STEPS if name == "pgd-projected" else 0)


@pytest.mark.parametrize(("name", "options"), FORMS)
def test_the_misfit_falls(name: str, options: dict[str, Any]) -> None:
    if name in STEPLESS:
        pytest.skip("takes no step")
    measurements, _ = data(2)
    made = recipe(name, options)
    rates = [
        (run(made, steps=steps).image - measurements.values).square().mean((1, 2, 3))
        for steps in (len(made.stages), 16)
    ]
    assert (rates[1] < rates[0]).all(), rates

"""Compare optimisers, and searches that begin with small images (coarse to fine).

    python examples/compare_optimisers.py [--method sphinx] [--steps 400] [--only lion] \
        [--operator identity] [--noise gaussian:sigma=0.2] [--image FILE ...]

Each line is a way to spend about the same time. The first way, the method with Adam, is the one
that the others are compared with. All shipped samples, or the images given, are solved at once,
with the data term alone, on one thread. Seconds are the processor time of this process.
`SETTINGS.md` has the results. Of these optimisers, the package has Adam and L-BFGS; each
evaluation of L-BFGS counts as a step.
"""

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from benchmark_quality import named
from torch import Tensor

import invprob
from invprob.methods import Recipe, make
from invprob.metrics import psnr
from invprob.priors import load_generator
from invprob.priors.base import ParamGroup
from invprob.registry import build
from invprob.run.build import build_operator
from invprob.run.config import Named
from invprob.run.samples import samples
from invprob.solver.loop import solve
from invprob.solver.optimisers import Adam, Optimiser, Stepper
from invprob.solver.stages import solve_stages
from invprob.solver.task import Stage
from invprob.types import Images, PerImage


class ByTensor(Optimiser, Stepper):
    """Move each parameter by its own gradient and memory; one object serves one solve."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.memory: dict[int, dict[str, Tensor]] = {}
        self.taken = 0

    @abstractmethod
    def move(self, value: Tensor, gradient: Tensor, kept: dict[str, Tensor], rate: float) -> None:
        """Change `value` in place."""

    def start(self, groups: Sequence[ParamGroup]) -> Stepper:
        """Take the parameters."""
        self.groups = groups
        return self

    @torch.no_grad()
    def step(self, scale: float, losses: PerImage) -> None:
        """Move every parameter that has a gradient."""
        del losses
        self.taken += 1
        for group in self.groups:
            rate = self.rate * group.lr_scale * (scale if group.scheduled else 1)
            for value in group.parameters:
                if value.grad is not None:
                    self.move(value, value.grad, self.memory.setdefault(id(value), {}), rate)
                    value.grad = None

    def state(self) -> dict[str, Tensor]:
        """Return nothing, because these runs are not resumed."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Do nothing, because nothing was kept."""

    def adam(self, value: Tensor, gradient: Tensor, kept: dict[str, Tensor], rate: float) -> None:
        """Take a step of Adam, for parameters that are not matrices."""
        first = kept.setdefault("first", torch.zeros_like(gradient)).lerp_(gradient, 0.1)
        second = kept.setdefault("second", torch.zeros_like(gradient))
        second.lerp_(gradient.square(), 0.001)
        first = first / (1 - 0.9**self.taken)
        value.sub_(rate * first / ((second / (1 - 0.999**self.taken)).sqrt() + 1e-8))


class Lion(ByTensor):
    """The sign of a running mean of gradients (Chen et al., NeurIPS 2023), β = (0.9, 0.99)."""

    def move(self, value: Tensor, gradient: Tensor, kept: dict[str, Tensor], rate: float) -> None:
        """Algorithm 2, without decay."""
        mean = kept.setdefault("mean", torch.zeros_like(gradient))
        value.sub_(rate * mean.lerp(gradient, 0.1).sign())
        mean.lerp_(gradient, 0.01)


class Muon(ByTensor):
    """Heads move along the nearest semi-orthogonal matrix of their momentum (Jordan et al., 2024);
    what is no matrix by Adam. `rate` is Adam's, `gain` multiplies it for matrices."""

    def __init__(self, rate: float, gain: float) -> None:
        super().__init__(rate)
        self.gain = gain

    def move(self, value: Tensor, gradient: Tensor, kept: dict[str, Tensor], rate: float) -> None:
        """Nesterov momentum 0.95, five Newton-Schulz steps, root mean square as Adam's."""
        if not is_matrix(value):
            self.adam(value, gradient, kept, rate)
            return
        mean = kept.setdefault("mean", torch.zeros_like(gradient)).lerp_(gradient, 0.05)
        direction = orthogonalised(gradient.lerp(mean, 0.95))
        value.sub_(self.gain * rate * max(value.shape[-2:]) ** 0.5 * direction)


class Soap(ByTensor):
    """Adam in the eigenbases of Shampoo's two factors (Vyas et al., ICLR 2025), every 10 steps
    anew; what is no matrix by Adam."""

    def move(self, value: Tensor, gradient: Tensor, kept: dict[str, Tensor], rate: float) -> None:
        """Algorithm 3; the first moment is kept unrotated."""
        if not is_matrix(value):
            self.adam(value, gradient, kept, rate)
            return
        sides = (gradient @ gradient.mT, gradient.mT @ gradient)
        for name, side in zip(("left", "right"), sides, strict=True):
            factor = kept.setdefault(name, torch.zeros_like(side)).lerp_(side, 0.05)
            if self.taken % 10 == 1:
                kept[f"{name} basis"] = eigenbasis(factor)
        left, right = kept["left basis"], kept["right basis"]
        first = kept.setdefault("first", torch.zeros_like(gradient)).lerp_(gradient, 0.1)
        turned, mean = left.mT @ gradient @ right, left.mT @ first @ right
        second = kept.setdefault("second", torch.zeros_like(gradient)).lerp_(turned.square(), 0.001)
        scale = (second / (1 - 0.999**self.taken)).sqrt() + 1e-8
        direction = left @ (mean / (1 - 0.9**self.taken) / scale) @ right.mT
        value.sub_(rate * direction)


def eigenbasis(factor: Tensor) -> Tensor:
    """Eigenvectors of symmetric matrices, in float64 and away from zero, where they converge."""
    scale = factor.double() / (factor.abs().amax((-2, -1), keepdim=True).double() + 1e-30)
    shifted = scale + 1e-9 * torch.eye(factor.shape[-1], dtype=torch.float64)
    return torch.linalg.eigh(shifted).eigenvectors.to(factor)


def is_matrix(value: Tensor) -> bool:
    """Whether a parameter is the matrix of a head, not a bias or a noise map (batch, 1, h, w)."""
    is_map = value.ndim == 4 and value.shape[1] == 1
    return value.ndim >= 3 and min(value.shape[-2:]) > 1 and not is_map


def orthogonalised(matrices: Tensor) -> Tensor:
    """Bring the singular values near 1, by the quintic iteration of Muon."""
    x = matrices / (matrices.norm(dim=(-2, -1), keepdim=True) + 1e-12)
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.mT if tall else x


class Problem:
    """The samples, what was measured of them, and a method."""

    def __init__(
        self,
        method: str,
        operator: str,
        noise: str | None,
        steps: int,
        paths: Sequence[Path],
        seed: int,
    ) -> None:
        self.generator = load_generator("faces-128")
        size = self.generator.resolution
        self.truth = torch.cat([invprob.load_image(path, size=size) for path in paths])
        name, options = named("operator", operator)
        shape = self.generator.image_shape
        self.operator = build_operator([Named(name, options)], shape, operator_seed=seed)
        self.noise = None if noise is None else build("noise", *named("noise", noise))
        self.measurements = invprob.measure(self.truth, self.operator, self.noise, seed=seed)
        self.method, self.options = named("method", method)
        self.steps, self.seed = steps, seed

    def recipe(self, coarse: int | None = None, **more: Any) -> Recipe:
        """Return the method's recipe, with Adam unless it is told otherwise."""
        return make(
            self.method,
            self.generator,
            self.generator.image_shape,
            measurement_shape=self.operator.measurement_shape,
            observed=self.operator.measured,
            smooth=self.operator.smooth,
            noise=self.noise,
            coarse=coarse,
            **{"optimiser": "adam", **self.options, **more},
        )

    def stage(self) -> Stage:
        """Return the method's search, at the full size from the beginning."""
        (stage,) = self.recipe(coarse=self.generator.resolution).stages
        return stage

    def rate(self, stage: Stage) -> float:
        """Return the method's own learning rate."""
        assert isinstance(stage.optimiser, Adam)
        return stage.optimiser.learning_rate

    def with_optimiser(self, make_one: Callable[[float], Optimiser]) -> Images:
        """Return the method with another optimiser, which is given the learning rate."""
        stage = self.stage()
        return self.solved(replace(stage, optimiser=make_one(self.rate(stage))))

    def solved(self, stage: Stage) -> Images:
        """Solve with all steps."""
        return solve(
            self.measurements,
            self.operator,
            stage.prior,
            terms=stage.terms,
            optimiser=stage.optimiser,
            schedule=stage.schedule,
            steps=self.steps,
            seed=self.seed,
        ).image

    def by_lbfgs(self) -> Images:
        """Solve by L-BFGS, at the full size from the beginning."""
        recipe = self.recipe(coarse=self.generator.resolution, optimiser="l-bfgs")
        return self.solved(recipe.stages[0])

    def coarse(self, size: int) -> Images:
        """Search from `size` pixels on, with half of the steps at each size."""
        recipe = self.recipe(coarse=size)
        steps = self.steps // 2 * len(recipe.stages)
        task = recipe.task(self.measurements, self.operator, steps=steps, seed=self.seed)
        return solve_stages(task).image


def ways(problem: Problem) -> dict[str, Callable[[], Images]]:
    """Return each way to solve, by name."""

    def optimiser(make_one: Callable[[float], Optimiser]) -> Callable[[], Images]:
        return lambda: problem.with_optimiser(make_one)

    def coarse(size: int) -> Callable[[], Images]:
        return lambda: problem.coarse(size)

    return {
        "adam (the method's own)": optimiser(Adam),
        "adam, beta2 0.99": optimiser(lambda rate: Adam(rate, betas=(0.9, 0.99))),
        "adam, beta2 0.95": optimiser(lambda rate: Adam(rate, betas=(0.9, 0.95))),
        "adam, beta1 0.95": optimiser(lambda rate: Adam(rate, betas=(0.95, 0.999))),
        "lion, rate / 3": optimiser(lambda rate: Lion(rate / 3)),
        "lion, rate / 10": optimiser(lambda rate: Lion(rate / 10)),
        "muon, gain 0.2": optimiser(lambda rate: Muon(rate, 0.2)),
        "muon, gain 1": optimiser(lambda rate: Muon(rate, 1.0)),
        "soap": optimiser(Soap),
        "soap, rate / 3": optimiser(lambda rate: Soap(rate / 3)),
        "l-bfgs": problem.by_lbfgs,
        **{f"coarse {size}": coarse(size) for size in (16, 32, 64)},
    }


def main(
    method: Annotated[
        str, typer.Option(help="a method of one stage: NAME[:option=value,...]")
    ] = "sphinx",
    steps: Annotated[int, typer.Option(help="steps of Adam")] = 400,
    operator: Annotated[str, typer.Option(help="NAME[:option=value,...]")] = "identity",
    noise: Annotated[str | None, typer.Option(help="NAME[:option=value,...]")] = None,
    image: Annotated[list[Path] | None, typer.Option(help="default: the samples")] = None,
    seed: Annotated[int, typer.Option(help="seed of operator, noise and solver")] = 0,
    only: Annotated[
        list[str] | None, typer.Option(help="only ways whose name begins like this; may repeat")
    ] = None,
    smoke: Annotated[bool, typer.Option(help="four steps for one image")] = False,
) -> None:
    """Print the PSNR and the time of each way."""
    torch.set_num_threads(1)
    paths = image or [sample.path for sample in samples().values()]
    if smoke:
        paths, steps = paths[:1], 4
    problem = Problem(method, operator, noise, steps, paths, seed)
    names = ", ".join(path.stem for path in paths)
    print(f"{method}, {names}, {operator}, {noise or 'no noise'}, {steps} steps of Adam")
    first: float | None = None
    for name, way in ways(problem).items():
        if not name.startswith(tuple(only or [""])):
            continue
        begun = time.process_time()
        each = psnr(way(), problem.truth)
        seconds = time.process_time() - begun
        first = first or seconds
        shown = [round(value, 2) for value in each.tolist()]
        share = seconds / first
        print(f"{name}: {each.mean():.2f} dB {shown} in {share:.2f} of the time", flush=True)


if __name__ == "__main__":
    typer.run(main)

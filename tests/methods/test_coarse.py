"""Coarse to fine: sizes, what is enlarged, what goes on, and what is refused."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import networks
import numpy as np
import pytest
import torch

import invprob
from invprob.callbacks import Callback, Iterate
from invprob.errors import ArgumentError, PriorError, ShapeError
from invprob.methods import Recipe, make
from invprob.methods.coarse import cut
from invprob.operators import (
    AreaDownsample,
    BoxMask,
    Brightness,
    Identity,
    Operator,
    PartialCirculant,
    RandomMask,
    each,
    stack,
)
from invprob.priors import Pixels, Prior, StyleGANPrior, load_generator, save_generator
from invprob.priors.enlarged import Enlarged
from invprob.solver.stages import solve_stages
from invprob.solver.stopping import Plateau
from invprob.solver.task import Stage, Task, allot
from invprob.testing import check_prior

SHAPE = (3, 32, 32)


def made(coarse: int | None = 8, name: str = "sphinx", **options: Any) -> Recipe:
    return make(name, networks.random_generator(), SHAPE, coarse=coarse, **options)


def variables(stage: Stage) -> list[str]:
    return [name for name, _ in stage.prior.start(1, torch.Generator()).named_parameters()]


def test_each_size_is_searched_for_half_the_steps() -> None:
    stages = made(steps=60).stages
    assert [stage.steps for stage in stages] == [30, 30, 30]
    assert [stage.continues for stage in stages] == [False, True, True]
    sizes = []
    for stage in stages[:-1]:
        assert isinstance(stage.prior, Enlarged) and isinstance(stage.prior.prior, StyleGANPrior)
        sizes.append(stage.prior.prior.generator.resolution)
    assert sizes == [8, 16]
    assert isinstance(stages[-1].prior, StyleGANPrior)
    assert all(tuple(stage.prior.image_shape) == SHAPE for stage in stages)


def test_noise_maps_are_free_at_every_size_or_at_none() -> None:
    """Of 40 % of the numbers, more than a small image has, Adam searches P_s alone throughout."""
    few = PartialCirculant(SHAPE, ratio=0.4)
    stages = made(measurement_shape=few.measurement_shape, optimiser="adam").stages
    assert len(stages) == 3
    assert not any(name.startswith("noise") for stage in stages for name in variables(stage))
    for stage in made().stages:
        assert any(name.startswith("noise") for name in variables(stage))


def test_images_are_enlarged_bilinearly() -> None:
    """Halfway between centres: 1, 3/4 and 1/4 of the nearest two, along each axis."""
    pixels = Pixels((3, 8, 8))
    prior = Enlarged(pixels, (3, 16, 16))
    line = np.zeros((16, 8))
    for index in range(16):
        near, other = index // 2, index // 2 + (1 if index % 2 else -1)
        line[index, near] += 0.75
        line[index, min(max(other, 0), 7)] += 0.25
    image = torch.rand(2, 3, 8, 8)
    expected = np.einsum("ai,nciw,bw->ncab", line, image.numpy(), line)
    found = prior.render({"image": image})
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_it_keeps_the_contract_and_is_rebuilt(tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    save_generator(networks.random_generator(), path)
    prior = Enlarged(cut(StyleGANPrior(load_generator(path)), 16), SHAPE)
    check_prior(prior)
    realised = prior.realise(prior.start(1, torch.Generator()), torch.Generator())
    again = Prior.from_spec(prior.spec())
    assert isinstance(again, Enlarged)
    assert torch.equal(again.render(realised), prior.render(realised))
    mean = prior.mean_image()
    assert mean is not None and mean.shape == (1, *SHAPE)
    with pytest.raises(ShapeError, match="enlarged to"):
        Enlarged(Pixels((3, 8, 8)), (1, 16, 16))


@pytest.mark.parametrize("name", ["sphinx", "w-plus-s-b"])
def test_a_larger_search_goes_on_where_the_smaller_one_stood(name: str) -> None:
    """Same variables, same draws: the blocks that both have draw the same colours."""
    full = made(None, name).prior
    assert isinstance(full, StyleGANPrior)
    small = cut(full, 16)
    rng = torch.Generator().manual_seed(1)
    before, code = small.start(2, rng), full.start(2, torch.Generator().manual_seed(2))
    with torch.no_grad():
        for value in before.parameters():
            value.add_(0.1 * torch.randn(value.shape, generator=rng))
    fresh = {name: value.clone() for name, value in code.state_dict().items()}
    code.load_smaller_(before.state_dict())
    for key, value in code.state_dict().items():
        if key not in before.state_dict():
            assert torch.equal(value, fresh[key]), key
    draws = [torch.Generator().manual_seed(3) for _ in range(2)]
    small_drawn = small.realise(before, draws[0])
    drawn = full.realise(code, draws[1])
    rows = small.generator.num_layers
    if name == "w-plus-s-b":  # heads see a code of another length, and draw other ones after it
        assert torch.equal(drawn["styles"][:, :rows], small_drawn["styles"])
        assert torch.equal(drawn["content"], small_drawn["content"])
    for index in range(len(small.generator.noise_shapes)):
        assert torch.equal(drawn[f"noise.{index}"], small_drawn[f"noise.{index}"])
    with pytest.raises(PriorError, match="cannot start from"):
        before.load_smaller_(code.state_dict())


class Codes(Callback):
    """Keeps the variables after each step."""

    def __init__(self) -> None:
        self.found: list[dict[str, torch.Tensor]] = []

    def on_step(self, iterate: Iterate) -> None:
        self.found.append({name: value.clone() for name, value in iterate.code.items()})


def test_stages_hand_their_variables_on() -> None:
    """With a rate of nearly nothing, all that changes is which rows there are."""
    recipe = made(8, "w-plus", learning_rate=1e-12)
    operator = Identity(SHAPE)
    truth = torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(4)) * 2 - 1
    first = made(8, "w-plus", learning_rate=0.1).stages[0]  # which alone moves
    codes = Codes()
    stages = allot((first, *recipe.stages[1:]), 9)
    task = Task(invprob.measure(truth, operator), operator, stages)
    solve_stages(task, callbacks=[codes])
    (rows,) = (value for name, value in codes.found[2].items() if name.startswith("style"))
    (later,) = (value for name, value in codes.found[-1].items() if name.startswith("style"))
    mean = networks.random_generator().mean_w
    assert later.shape[1] == networks.random_generator().num_layers > rows.shape[1]
    torch.testing.assert_close(later[:, : rows.shape[1]], rows)
    fresh = later[0, rows.shape[1] :]
    torch.testing.assert_close(fresh, mean.expand(len(fresh), -1))
    assert (rows - mean).abs().max() > 0.05


@pytest.mark.parametrize(
    ("name", "coarse", "message"),
    [
        ("sphinx", 12, "power of two from 8 to 16"),
        ("sphinx", 64, "power of two from 8 to 16"),
        ("sphinx", 4, "power of two from 8 to 16"),
        ("deep-image-prior", 8, "searches a generator first"),
    ],
)
def test_what_cannot_be_is_refused(name: str, coarse: int, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        made(coarse, name)


@pytest.mark.parametrize(
    ("operator", "stages"),
    [
        (PartialCirculant(SHAPE, ratio=0.1), 3),
        (PartialCirculant(SHAPE, ratio=0.3), 1),  # by L-BFGS
        (RandomMask(SHAPE, ratio=0.1), 3),
        (RandomMask(SHAPE, ratio=0.1) @ Identity(SHAPE), 3),
        (BoxMask(SHAPE), 1),
        (AreaDownsample(SHAPE, factor=4), 3),
    ],
    ids=str,
)
def test_sphinx_begins_small_where_little_was_observed(operator: Operator, stages: int) -> None:
    def count(name: str = "sphinx", coarse: int | None = None, **options: Any) -> int:
        seen = {"measurement_shape": operator.measurement_shape, "observed": operator.measured}
        return len(made(coarse, name, **seen, **options).stages)

    assert count() == stages
    assert count(optimiser="l-bfgs") == 1
    assert count(optimiser="adam") == (1 if isinstance(operator, BoxMask) else 3)
    assert count(coarse=32) == 1  # the generator's own size
    assert count("sphinx-style") == 1
    assert count(content="constant", noise_maps="stored") == 1
    assert count("w-plus") == 1


def test_how_much_operators_observe() -> None:
    """Numbers of a measurement that say something: of a mask, the elements that are seen."""
    mask = RandomMask(SHAPE, ratio=0.25)
    hidden = int((mask(torch.ones(1, *SHAPE)) == 0).sum())
    assert mask.measured == 3 * 32 * 32 - hidden == 768
    assert BoxMask(SHAPE, share=0.5).measured == 3 * (1024 - 256)
    assert Identity(SHAPE).measured == 3072
    assert (Identity(SHAPE) @ mask).measured == 768
    assert (Brightness(SHAPE, 1.2) @ mask).measured == 768
    assert stack([mask, Identity(SHAPE)]).measured == 768 + 3072
    assert each([mask, Identity(SHAPE)]).measured == 768


def test_what_may_stop_early_begins_at_the_full_size() -> None:
    """A rule among the callbacks leaves one size of three."""
    operator = PartialCirculant(SHAPE, ratio=0.1)
    measurements = invprob.measure(torch.zeros(1, *SHAPE), operator)
    generator = networks.random_generator()
    rule = Plateau(measurements, operator, window=5, drop=0.01)

    def restored(callbacks: Sequence[Callback] = (), coarse: int | None = None) -> torch.Tensor:
        return invprob.restore(
            measurements, "sphinx", generator, steps=6, callbacks=callbacks, coarse=coarse
        ).image

    first, ruled, full = restored(), restored([rule]), restored(coarse=generator.resolution)
    assert torch.equal(ruled, full) and not torch.equal(first, full)

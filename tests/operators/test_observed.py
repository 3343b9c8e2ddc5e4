"""What operators observe, against their dense matrices; noise and means spare the rest."""

import math

import pytest
import torch
from torch import Tensor

from invprob.errors import ContractError
from invprob.measurements import Measurements, measure
from invprob.operators import (
    CT,
    MRI,
    BoxMask,
    Brightness,
    ChannelMix,
    Crop,
    GaussianBlur,
    GaussianNoise,
    HoldOut,
    Identity,
    LinearEach,
    LinearOperator,
    Luminance,
    Mask,
    Noise,
    Operator,
    PartialCirculant,
    PoissonNoise,
    Quantise,
    RandomMask,
    Rotate,
    SaltAndPepperNoise,
    SpeckleNoise,
    Translate,
    UniformNoise,
    compose,
    each,
    hold_out,
    stack,
)
from invprob.operators.observed import Observed, varies
from invprob.operators.partial import left_out
from invprob.registry import register
from invprob.testing import check_operator, dense

SHAPE = (3, 8, 8)
FEW, MANY = RandomMask(SHAPE, ratio=0.3, seed=1), RandomMask(SHAPE, ratio=0.7, seed=2)
HOLE, TURN = BoxMask(SHAPE, share=0.5), Rotate(SHAPE, degrees=30)
BLUR = GaussianBlur((3, 24, 24), sigma=0.5)
NOISES: list[Noise] = [
    GaussianNoise(sigma=0.3),
    UniformNoise(width=0.3),
    SpeckleNoise(sigma=0.3),
    PoissonNoise(photons=9),
    SaltAndPepperNoise(share=0.9),
]


def images(operator: Operator, batch: int = 1) -> Tensor:
    rng = torch.Generator().manual_seed(5)
    return 1.8 * torch.rand(batch, *operator.image_shape, generator=rng) - 0.9


def rows(operator: LinearOperator) -> Tensor:
    """Which rows of the dense matrix are not empty."""
    return (dense(operator).abs().amax(1) > 1e-12).view(1, *operator.measurement_shape)


@pytest.mark.parametrize("name", register.operator)
def test_registered_operators_observe_what_their_matrix_reads(name: str) -> None:
    example = register.operator[name].example()
    small = register.operator[name].illustration((3, 12, 10))
    for operator in (example, small):
        seen = operator.observed()
        assert seen.dtype == torch.bool and tuple(seen.shape) == (1, *operator.measurement_shape)
        if operator.measurement_shape != operator.image_shape:
            assert seen.all()  # numbers that are kept, and no others
        elif isinstance(operator, LinearOperator):
            assert torch.equal(seen, rows(operator))
        else:
            assert torch.equal(seen, varies(operator))


LINEAR_CHAINS: dict[str, LinearOperator] = {
    "mask after rotate": FEW @ TURN,
    "rotate after mask": TURN @ HOLE,
    "mask after mask": FEW @ MANY,
    "grey of a mask": Luminance(SHAPE) @ FEW,
    "part of a mask": Crop(SHAPE, height=4, width=3) @ FEW,
    "blurred hole": BLUR @ BoxMask((3, 24, 24), share=0.75),
    "moved, masked, moved": Translate(SHAPE, dx=2) @ FEW @ Translate(SHAPE, dx=-3),
    "what a mask gives back": FEW.H,
    "a band without light": ChannelMix(SHAPE, matrix="1 0 0; 0 0 0; 0 1 1"),
}


@pytest.mark.parametrize("name", LINEAR_CHAINS)
def test_a_chain_observes_what_its_matrix_reads(name: str) -> None:
    operator = LINEAR_CHAINS[name]
    assert torch.equal(operator.observed(), rows(operator))
    assert 0 < operator.observed().sum() < operator.observed().numel()


def test_what_acts_on_each_number_hides_what_was_hidden() -> None:
    for outer in (Brightness(SHAPE, 1.2), Quantise(SHAPE, levels=4), Identity(SHAPE)):
        assert torch.equal((outer @ FEW).observed(), FEW.observed())
        assert (outer @ FEW).measured == 3 * round(0.3 * 64)
    kept = HoldOut(SHAPE, share=0.3)
    assert torch.equal((kept @ FEW).observed()[0], kept.seen & FEW.seen)


def test_detectors_read_beside_the_object_but_not_behind_a_mask() -> None:
    """Rays that miss the image are read, whatever is in front; those through the hole are not."""
    ct = CT(SHAPE, degrees="0")
    assert ct.observed().all() and (ct @ TURN).observed().all()
    assert (MRI(SHAPE, acceleration=2.0) @ FEW).observed().all()
    column = torch.zeros(8, 8)
    column[:, 5] = 1
    behind = (ct @ Mask(SHAPE, mask=column.tolist())).observed()
    missed, through = dense(ct).abs().amax(1).view(3, 12) == 0, torch.zeros(12, dtype=torch.bool)
    through[7] = True  # pixels 0 to 7 lie on detectors 2 to 9
    assert torch.equal(behind[0, :, 0], missed | through)


def test_a_stack_observes_what_its_parts_do() -> None:
    both = stack([FEW, PartialCirculant(SHAPE, 0.2), MANY @ TURN])
    parts = [part.observed().flatten() for part in both.parts()]
    assert torch.equal(both.observed()[0], torch.cat(parts))
    assert both.measured == 57 + 38 + (MANY @ TURN).measured


def test_each_image_has_its_own() -> None:
    masks = each([FEW, MANY])
    assert torch.equal(masks.observed()[0], FEW.observed()[0])
    assert torch.equal(masks.observed()[1], MANY.observed()[0]) and masks.measured == 57
    moved = Translate(SHAPE, dx=3)
    chains: list[tuple[Operator, list[Operator]]] = [
        (masks @ TURN, [FEW @ TURN, MANY @ TURN]),
        (TURN @ masks, [TURN @ FEW, TURN @ MANY]),
        (each([TURN, moved]) @ HOLE, [TURN @ HOLE, moved @ HOLE]),
        (stack([masks, HOLE]), [stack([FEW, HOLE]), stack([MANY, HOLE])]),
        (LinearEach([FEW, MANY]).H, [FEW.H, MANY.H]),
    ]
    for chain, alone in chains:
        assert torch.equal(chain.observed(), torch.cat([one.observed() for one in alone]))
        for index, one in enumerate(alone):
            own = chain.for_images(slice(index, index + 1))
            assert torch.equal(own.observed(), one.observed())


def test_what_is_left_out_is_not_observed() -> None:
    for operator in (FEW, TURN @ HOLE, each([FEW, MANY]), each([FEW, MANY]) @ TURN, FEW.H):
        part = hold_out(operator, 0.3, seed=0)
        hidden = left_out(part)
        assert not (part.observed() & hidden).any()
        assert torch.equal(part.observed() | hidden, operator.observed() | torch.zeros_like(hidden))
        assert bool((hidden & operator.observed()).any())


def test_only_what_is_observed_is_left_out_where_an_operator_offers_nothing() -> None:
    class Bare(BoxMask):
        def units(self) -> None:  # type: ignore[override]
            return None

    hidden = left_out(hold_out(Bare(SHAPE), 0.25, seed=0))
    assert int(hidden.sum()) == round(0.25 * 144) and bool(Bare(SHAPE).observed()[0, hidden].all())


KEPT_SHAPES = [
    name
    for name in register.operator
    if register.operator[name].example().measurement_shape
    == register.operator[name].example().image_shape
]


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.describe())
@pytest.mark.parametrize("name", [*KEPT_SHAPES, "stack", "each", "chain"])
def test_noise_is_drawn_where_something_is_seen(name: str, noise: Noise) -> None:
    """Elsewhere stands what the operator puts there, and the other numbers are those of ever."""
    structures: dict[str, Operator] = {
        "stack": stack([FEW, HOLE, Brightness(SHAPE, 1.1)]),
        "each": each([FEW, MANY]),
        "chain": compose([FEW, Identity(SHAPE), TURN]),
    }
    operator = structures.get(name) or register.operator[name].illustration(SHAPE)
    image = images(operator, 2).clamp(-0.7, 0.7)
    clean, seen = operator(image), operator.observed().expand(2, *operator.measurement_shape)
    noisy = measure(image, operator, noise, seed=3).values
    assert torch.equal(noisy[~seen], clean[~seen])
    changed = (noisy != clean)[seen].double().mean()
    assert float(changed) > 0.6
    everywhere = measure(clean, Identity(operator.measurement_shape), noise, seed=3).values
    assert torch.equal(noisy[seen], everywhere[seen])


def test_numbers_that_are_stored_all_have_noise() -> None:
    for operator in (MRI(SHAPE, acceleration=2.0), PartialCirculant(SHAPE, 0.3), CT(SHAPE, 5)):
        image = images(operator)
        assert (measure(image, operator, GaussianNoise(sigma=0.1)).values != operator(image)).all()


def test_means_are_over_what_is_observed() -> None:
    rng = torch.Generator().manual_seed(6)
    values = torch.randn(2, *SHAPE, generator=rng)
    found = Observed(each([FEW, MANY])).mean(values)
    expected = [values[0, :, FEW.seen].mean(), values[1, :, MANY.seen].mean()]
    torch.testing.assert_close(found, torch.stack(expected))
    assert torch.equal(Observed(Identity(SHAPE)).mean(values), values.flatten(1).mean(1))
    hidden = values.masked_fill(~FEW.seen, math.nan)
    torch.testing.assert_close(
        Observed(FEW).mean(hidden), values[:, :, FEW.seen].mean((1, 2)), rtol=1e-5, atol=1e-6
    )
    nothing = Translate(SHAPE, dx=8) @ FEW
    assert Observed(nothing).mean(values).tolist() == [0, 0]


def test_hidden_numbers_of_a_foreign_measurement_are_not_kept() -> None:
    """Not even where they are no numbers; what the operator puts there takes their place."""
    image = images(HOLE, 2)
    foreign = image.masked_fill(~HOLE.seen, math.nan)
    taken = Measurements.from_array(foreign, HOLE).values
    assert torch.equal(taken[..., HOLE.seen], image[..., HOLE.seen])
    assert not taken[..., ~HOLE.seen].any()
    rounded = Quantise(SHAPE, levels=4) @ HOLE
    grey = Measurements.from_array(foreign, rounded).values[..., ~HOLE.seen]
    assert torch.equal(grey, rounded(image)[..., ~HOLE.seen])


class Untold(LinearOperator):
    """A mosaic of which the author does not say what it hides."""

    def __init__(self) -> None:
        super().__init__(SHAPE, SHAPE)

    def forward(self, image: Tensor) -> Tensor:
        shown = torch.zeros(SHAPE, dtype=image.dtype)
        shown[0, ::2, ::2] = shown[1, ::2, 1::2] = shown[1, 1::2, ::2] = shown[2, 1::2, 1::2] = 1
        return image * shown


class Told(Untold):
    """The same, with a word on it."""

    def observed(self) -> Tensor:
        return self(torch.ones(1, *SHAPE)) != 0


class Wrong(Told):
    def observed(self) -> Tensor:
        return ~super().observed()


class Misshapen(Told):
    def observed(self) -> Tensor:
        return super().observed()[0]


@pytest.mark.parametrize(
    ("operator", "words"),
    [
        (Untold(), "128 of 192 numbers are the same whatever the image; write observed"),
        (Wrong(), "64 numbers change with the image, but observed"),
        (Misshapen(), "observed.. gives torch.bool of shape .3, 8, 8., not bool of shape"),
    ],
)
def test_the_contract_examines_what_is_observed(operator: Operator, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        check_operator(operator)


@pytest.mark.parametrize("operator", [Told(), *LINEAR_CHAINS.values(), TURN.H])
def test_the_contract_is_kept(operator: Operator) -> None:
    check_operator(operator)

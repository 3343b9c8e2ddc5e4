"""What can be left out of a measurement, against what the operators are made of."""

import pytest
import torch
from torch import Tensor

from invprob.errors import ArgumentError, ContractError
from invprob.operators import (
    CT,
    MRI,
    AreaDownsample,
    BoxMask,
    DenseGaussian,
    Flip,
    GaussianBlur,
    HoldOut,
    Identity,
    LinearOperator,
    MulticoilMRI,
    Operator,
    PartialCirculant,
    PhaseRetrieval,
    Quantise,
    RandomMask,
    Rotate,
    SubsampledFourier,
    compose,
    each,
    hold_out,
    stack,
)
from invprob.operators.masks import block_side
from invprob.operators.partial import left_out
from invprob.operators.units import NEVER, depends
from invprob.registry import register
from invprob.testing import check_operator, dense

SHAPE = (3, 8, 8)


def units(operator: Operator) -> Tensor:
    labels = operator.units()
    assert labels is not None
    return labels


class Bare(LinearOperator):
    """An outsider's operator, which offers nothing."""

    def __init__(self) -> None:
        super().__init__(SHAPE, SHAPE)

    def forward(self, image: Tensor) -> Tensor:
        return 2 * image


@pytest.mark.parametrize("name", register.operator)
def test_every_registered_operator_offers_units(name: str) -> None:
    """Of the right shape, and -1 where nothing of the image is seen."""
    operator = register.operator[name].example()
    labels = units(operator)
    assert tuple(labels.shape) == operator.measurement_shape
    assert int((labels != NEVER).sum()) <= operator.measured
    if operator.measured < labels.numel():
        assert bool((labels == NEVER).any())
    assert not depends(operator)[labels == NEVER].any() or name in (
        "fourier",  # frequency zero is seen, and never left out
        "mri",
        "multicoil-mri",
        "phase-retrieval",
    )


def test_random_measurements_are_units_by_themselves() -> None:
    for operator in (PartialCirculant(SHAPE, 0.2), DenseGaussian(SHAPE, 0.2)):
        assert units(operator).tolist() == list(range(38))


def test_pictures_have_pixels() -> None:
    labels = units(BoxMask(SHAPE, share=0.5))
    assert torch.equal(labels[0], labels[1]) and torch.equal(labels[0], labels[2])
    assert (labels[0, 2:6, 2:6] == NEVER).all() and len(labels.unique()) == 1 + 64 - 16
    assert len(units(AreaDownsample(SHAPE, factor=2)).unique()) == 16
    assert len(units(Identity((5,))).unique()) == 5


def test_holes_are_judged_by_blocks_half_as_large() -> None:
    """Of a square hole of side s the mean distance of its pixels from the border is s/6 or more."""
    large = (3, 64, 64)
    assert block_side(BoxMask(large, share=0.25).seen) == 10  # mean distance 3.2 of 16 x 16 pixels
    assert block_side(BoxMask(large, share=0.5).seen) == 16  # at most a quarter of the image
    assert block_side(RandomMask(large, ratio=0.1).seen) == 1
    labels = units(BoxMask(large, share=0.5))
    assert len(labels.unique()) == 1 + 12 and int((labels == NEVER).sum()) == 3 * 32 * 32
    wide = torch.ones(4, 40, dtype=torch.bool)
    wide[:, 10:30] = False  # distances 1 to 10 from both sides
    assert block_side(wide) == 1 and block_side(wide.repeat(10, 1)) == 10


def test_tomography_has_views() -> None:
    labels = units(CT(SHAPE, views=7))
    for view in range(7):
        assert (labels[:, view] == view).all()


def test_lines_of_k_space_go_with_their_mirror_images() -> None:
    """The mirror image of column k of a centred transform of 8 columns is 8 - k; zero is at 4."""
    for operator in (
        MRI(SHAPE, acceleration=1.0, centre_fraction=0.0),
        MulticoilMRI(SHAPE, coils=3, acceleration=1.0, centre_fraction=0.0),
    ):
        labels = units(operator).movedim(-2, 0).flatten(1)
        assert (labels == labels[:, :1]).all()
        lines = labels[:, 0].tolist()
        assert lines[4] == NEVER
        assert [lines[8 - k] for k in (1, 2, 3)] == lines[1:4]
        assert len(set(lines[:5])) == 5


def test_frequencies_of_equal_magnitude_go_together() -> None:
    operator = PhaseRetrieval(SHAPE)
    labels, magnitudes = units(operator)[0], operator(torch.rand(1, *SHAPE))[0, 0]
    height, width = labels.shape
    for row in range(height):
        for column in range(width):
            other = -row % height, -column % width
            assert labels[row, column] == labels[other]
            assert magnitudes[row, column] == pytest.approx(float(magnitudes[other]), rel=1e-4)
    assert labels[height // 2, width // 2] == NEVER
    # Four frequencies are their own opposites.
    assert len(labels[labels != NEVER].unique()) == (height * width - 4) // 2 + 3


def test_a_frequency_has_two_parts_in_all_channels() -> None:
    labels = units(SubsampledFourier(SHAPE, ratio=1.0))
    assert (labels == labels[:1, :, :1]).all()
    assert labels[0, 0, 0] == NEVER and len(labels.unique()) == labels.shape[1]


def test_a_chain_has_the_units_of_what_moves_numbers() -> None:
    mri = MRI(SHAPE, acceleration=2.0, centre_fraction=0.25)
    window = HoldOut(mri.measurement_shape, share=0.3)
    labels = units(window @ mri)
    assert torch.equal(labels[window.seen], units(mri)[window.seen])
    assert (labels[~window.seen] == NEVER).all()
    circulant = PartialCirculant(SHAPE, 0.2)
    assert torch.equal(units(Quantise((38,), levels=9) @ circulant), torch.arange(38))
    assert torch.equal(units(circulant @ Rotate(SHAPE, 10)), torch.arange(38))
    assert torch.equal(units(Quantise(SHAPE, 4) @ Identity(SHAPE)), units(Identity(SHAPE)))


def test_what_a_chain_does_not_see_is_never_left_out() -> None:
    """The hole, moved by the flip and shrunk by the blur, has no labels."""
    hole = BoxMask(SHAPE, share=0.5, x=0.0)
    flipped = units(Flip(SHAPE) @ hole)
    assert torch.equal(flipped == NEVER, units(hole).flip(2) == NEVER)
    blurred = GaussianBlur(SHAPE, sigma=0.5) @ BoxMask(SHAPE, share=0.75, x=0.0)
    rows = dense(blurred).abs().amax(1).view(SHAPE)
    assert torch.equal(units(blurred) == NEVER, rows < 1e-9)
    assert bool((units(blurred) == NEVER).any())


def test_a_stack_keeps_units_apart() -> None:
    mask, few = RandomMask(SHAPE, ratio=0.5), PartialCirculant(SHAPE, 0.1)
    labels = units(stack([mask, few, few]))
    parts = labels.split([192, 19, 19])
    assert torch.equal(parts[0] == NEVER, units(mask).flatten() == NEVER)
    seen = [set(part[part != NEVER].tolist()) for part in parts]
    assert [len(one) for one in seen] == [32, 19, 19]
    assert len(seen[0] | seen[1] | seen[2]) == 70
    assert stack([mask, Bare()]).units() is None


def test_images_with_operators_of_their_own() -> None:
    masks = [RandomMask(SHAPE, ratio=0.6, seed=seed) for seed in (1, 2)]
    both = each(masks)
    assert torch.equal(units(both) != NEVER, masks[0].seen & masks[1].seen.expand(SHAPE))
    assert each([Bare(), Bare()]).units() is None
    part = hold_out(both, 0.25, seed=3)
    hidden = left_out(part)
    for index, mask in enumerate(masks):
        alone = left_out(hold_out(mask, 0.25, seed=3))
        assert torch.equal(hidden[index], alone) and bool(mask.seen.expand(SHAPE)[alone].all())
    one = part.for_images(slice(1, 2))
    assert torch.equal(left_out(one)[0], hidden[1])


@pytest.mark.parametrize(
    "operator",
    [
        PartialCirculant(SHAPE, 0.2),
        BoxMask(SHAPE),
        CT((1, 8, 8), views=5),
        MRI(SHAPE, acceleration=1.0, centre_fraction=0.0),
        Quantise(SHAPE, 4) @ Rotate(SHAPE, 10),
        Bare(),
        stack([PartialCirculant(SHAPE, 0.1), BoxMask(SHAPE)]),
    ],
    ids=lambda operator: operator.describe() if not isinstance(operator, Bare) else "bare",
)
def test_a_partial_operator_hides_whole_units(operator: Operator) -> None:
    part = hold_out(operator, 0.4, seed=7)
    assert part.linear == operator.linear
    if not isinstance(operator, Bare):
        check_operator(part)
    hidden, labels = left_out(part), operator.units()
    image = torch.rand(2, *operator.image_shape) * 2 - 1
    expected = operator(image).masked_fill(hidden, 0)
    assert torch.equal(part(image), expected)
    assert torch.equal(left_out(hold_out(operator, 0.4, seed=7)), hidden)
    others = [left_out(hold_out(operator, 0.4, seed=seed)) for seed in range(8, 13)]
    assert any(not torch.equal(other, hidden) for other in others)
    if labels is not None:
        out, kept = set(labels[hidden].tolist()), set(labels[~hidden].tolist())
        assert NEVER not in out and not out & kept
        assert len(out) == round(0.4 * len((out | kept) - {NEVER}))
    assert part.measured < operator.measured


def test_hiding_twice_hides_more() -> None:
    operator = PartialCirculant(SHAPE, 0.5)
    once = hold_out(operator, 0.25, seed=0)
    twice = hold_out(once, 0.5, seed=1)
    assert int(left_out(once).sum()) == 24 and once.measured == 72
    assert int(left_out(twice).sum()) == 36 and not (left_out(twice) & left_out(once)).any()
    assert twice.measured == 36


def test_single_numbers_are_drawn_as_ever() -> None:
    """The same numbers as `HoldOut` hides, which earlier releases put in front."""
    operator = PartialCirculant(SHAPE, 0.5)
    window = HoldOut(operator.measurement_shape, share=0.1, seed=5)
    assert torch.equal(left_out(hold_out(operator, 0.1, seed=5)), ~window.seen)


@pytest.mark.parametrize("share", [0.0, 1.0, float("nan"), 0.99])
def test_a_share_that_leaves_nothing_is_refused(share: float) -> None:
    with pytest.raises(ArgumentError, match=r"in \(0, 1\)|leaves nothing of the 38 parts"):
        hold_out(PartialCirculant(SHAPE, 0.2), share, seed=0)
    with pytest.raises(ArgumentError, match="leaves nothing of the 1 parts"):
        hold_out(CT(SHAPE, views=1), 0.1, seed=0)
    with pytest.raises(ArgumentError, match="nothing is left out of"):
        left_out(Identity(SHAPE))


class Mislabelled(Identity):
    """An identity whose labels a test may spoil."""

    def __init__(self, labels: Tensor) -> None:
        super().__init__(SHAPE)
        self._labels = labels

    def units(self) -> Tensor:
        return self._labels


class MislabelledMask(BoxMask):
    def units(self) -> Tensor:
        return Identity(SHAPE).units()


@pytest.mark.parametrize(
    ("operator", "words"),
    [
        (Mislabelled(torch.zeros(8, 8, dtype=torch.int64)), "units are torch.int64 of shape"),
        (Mislabelled(torch.zeros(SHAPE)), "units are torch.float32"),
        (Mislabelled(torch.full(SHAPE, -2)), "a label of -2"),
        (MislabelledMask(SHAPE), "16 of 64 units do not depend on the image"),
    ],
)
def test_the_contract_examines_units(operator: Operator, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        check_operator(operator)


def test_compositions_of_three() -> None:
    chain = compose([Quantise((38,), 9), PartialCirculant(SHAPE, 0.2), BoxMask(SHAPE)])
    assert torch.equal(units(chain), torch.arange(38))

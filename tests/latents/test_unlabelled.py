"""Directions that are found without labels, on generators whose directions are known."""

import networks
import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from invprob.errors import ArgumentError, PriorError
from invprob.latents import factorised_directions, principal_directions
from invprob.latents.direction import StyleDirection
from invprob.latents.unlabelled import modulation_weights
from invprob.priors import Generator
from invprob.priors.stylegan.inputs import SynthesisInputs
from invprob.priors.stylegan.statistics import draws_of_w
from invprob.streams import stream

WIDTH = 16
DEVIATIONS = np.array([3.0, 1.0, 0.25])


class Straight(Generator):
    """A generator of which w is a linear map of z, whose covariance is therefore known.

    z is turned to draws that have no correlation within each batch, so that the directions are
    found to rounding and not to the error of a sample.
    """

    def mapping(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        del label
        centred = z.double().numpy() - z.double().numpy().mean(0)
        white = np.linalg.svd(centred, full_matrices=False)[0] * len(z) ** 0.5
        return torch.from_numpy(5 + white[:, :3] * DEVIATIONS @ AXES)


def _signed(vectors: np.ndarray) -> np.ndarray:
    """Rows with their largest entries positive."""
    at = np.abs(vectors).argmax(1)
    return vectors * np.sign(vectors[np.arange(len(vectors)), at])[:, None]


AXES = _signed(np.linalg.qr(np.random.default_rng(3).normal(size=(WIDTH, WIDTH)))[0][:3])


@pytest.fixture
def straight() -> Generator:
    generator = Straight(networks.SMALL)
    generator.load_state_dict(networks.random_generator().state_dict())
    return generator.double()


def rows(directions: list[StyleDirection]) -> np.ndarray:
    return np.stack([one.rows.numpy() for one in directions])


def test_the_principal_directions_of_a_linear_mapping(straight: Generator) -> None:
    found = principal_directions(straight, 3, draws=2_000)
    expected = DEVIATIONS[:, None] * AXES
    np.testing.assert_allclose(rows(found), np.repeat(expected[:, None], 8, 1), atol=1e-6)
    assert [one.name for one in found] == ["pca-0", "pca-1", "pca-2"]
    np.testing.assert_allclose([one.facts["deviation"] for one in found], DEVIATIONS, atol=1e-6)
    shares = DEVIATIONS**2 / (DEVIATIONS**2).sum()
    np.testing.assert_allclose([one.facts["share"] for one in found], shares, atol=1e-6)
    assert found[0].unit == "one standard deviation of W along the direction"


def test_they_agree_with_numpy_over_several_batches() -> None:
    generator = networks.random_generator(dtype=torch.float64)
    found = rows(principal_directions(generator, 5, draws=12_000, seed=4))
    w = torch.cat(list(draws_of_w(generator, stream(4, "directions"), count=12_000))).numpy()
    _, lengths, vectors = np.linalg.svd(w - w.mean(0), full_matrices=False)
    expected = lengths[:5, None] / 12_000**0.5 * _signed(vectors[:5])
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-6)


def test_an_edit_of_one_is_one_standard_deviation_of_w(straight: Generator) -> None:
    (first, *_) = principal_directions(straight, 3, draws=500)
    still = SynthesisInputs(styles=torch.zeros(1, 8, WIDTH, dtype=torch.float64))
    moved = first.move(straight, still, torch.tensor([2.0]))
    assert moved.styles is not None
    np.testing.assert_allclose(moved.styles[0, 5] @ torch.from_numpy(AXES[0]), 6.0, rtol=1e-6)


@pytest.mark.parametrize("chosen", [None, [0, 1, 2], [3], [6, 7], [7]])
def test_factors_are_the_eigenvectors_of_stacked_weights(chosen: list[int] | None) -> None:
    generator = networks.random_generator(dtype=torch.float64)
    state = {name: value.numpy() for name, value in generator.state_dict().items()}
    names = [f"layers.{row}" if row < 7 else "to_rgb.3" for row in chosen or range(8)]
    stacked = np.concatenate([state[f"{name}.affine.weight"] for name in names])
    stacked = stacked / np.linalg.norm(stacked, axis=1, keepdims=True)
    _, singular, vectors = scipy.linalg.svd(stacked, full_matrices=False)
    found = factorised_directions(generator, 4, chosen, draws=3_000)
    w = torch.cat(list(draws_of_w(generator, stream(0, "directions"), count=3_000))).numpy()
    for number, one in enumerate(found):
        vector = _signed(vectors[number : number + 1])[0]
        step = (w @ vector).std() * vector
        for row in range(8):
            moves = chosen is None or row in chosen
            np.testing.assert_allclose(one.rows[row].numpy(), step * moves, atol=1e-8)
        assert one.name == f"sefa-{number}"
        assert one.facts["eigenvalue"] == pytest.approx(singular[number] ** 2, rel=1e-9)


def test_the_factors_of_weights_along_known_axes(straight: Generator) -> None:
    """Scales of a layer that all follow one axis make one factor, whatever their lengths."""
    state = straight.state_dict()
    lengths = np.random.default_rng(5).uniform(0.1, 9, 12)
    for name, axis in (("layers.0", 1), ("layers.1", 0), ("layers.2", 1)):
        scales = len(state[f"{name}.affine.weight"])
        state[f"{name}.affine.weight"] = torch.from_numpy(lengths[:scales, None] * AXES[axis])
    straight.load_state_dict(state)
    found = factorised_directions(straight, 2, [0, 1, 2], draws=500)
    np.testing.assert_allclose(found[0].rows[0], AXES[1] * DEVIATIONS[1], atol=1e-6)
    np.testing.assert_allclose(found[1].rows[2], AXES[0] * DEVIATIONS[0], atol=1e-6)
    assert [one.facts["eigenvalue"] for one in found] == pytest.approx([22.0, 12.0], rel=1e-9)
    assert not found[0].rows[3:].any()


def test_colours_of_lower_sizes_take_no_part() -> None:
    """Rows 1, 3, 5 also serve a ToRGB; the published code takes the convolutions alone."""
    generator = networks.random_generator()
    assert modulation_weights(generator, [1]).shape == (12, WIDTH)
    assert modulation_weights(generator, None).shape == (12 + 12 + 10 + 10 + 8 + 8 + 6 + 6, WIDTH)
    assert modulation_weights(generator, [7]).shape == (6, WIDTH)


@pytest.mark.parametrize("find", [principal_directions, factorised_directions])
def test_the_same_again_and_signs_by_rule(find) -> None:
    generator = networks.random_generator()
    found, again = (rows(find(generator, 6, draws=1_000, seed=3)) for _ in range(2))
    np.testing.assert_array_equal(found, again)
    largest = np.abs(found[:, 0]).argmax(1)
    assert (found[np.arange(6), 0, largest] > 0).all()
    assert find(generator, 2, [1, 4], draws=1_000)[1].rows.any(1).tolist() == [
        *(False, True, False, False, True, False, False, False)
    ]


@pytest.mark.parametrize("find", [principal_directions, factorised_directions])
@pytest.mark.parametrize(
    ("count", "chosen", "draws", "complaint"),
    [
        (0, None, 100, "count must be from 1 to 16"),
        (17, None, 100, "count must be from 1 to 16"),
        (2, [8], 100, "rows must be from 0 to 7"),
        (2, [-1], 100, "rows must be from 0 to 7"),
        (2, [], 100, "rows must be"),
        (2, None, 1, "draws must be at least 2, not 1"),
    ],
)
def test_what_cannot_be_asked(find, count, chosen, draws, complaint: str) -> None:
    with pytest.raises(ArgumentError, match=complaint):
        find(networks.random_generator(), count, chosen, draws=draws)


def test_no_more_directions_than_w_has(straight: Generator) -> None:
    with pytest.raises(ArgumentError, match="from 1 to 3, the number of directions along which W"):
        principal_directions(straight, 4, draws=500)


def test_a_factor_along_which_w_does_not_vary(straight: Generator) -> None:
    state = straight.state_dict()
    across = scipy.linalg.null_space(AXES)[:, 0]
    state["layers.0.affine.weight"] = torch.from_numpy(np.tile(across, (12, 1)))
    straight.load_state_dict(state)
    with pytest.raises(PriorError, match="does not vary along sefa-0; ask for fewer"):
        factorised_directions(straight, 1, [0], draws=500)

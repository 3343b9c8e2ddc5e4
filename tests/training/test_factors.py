"""Factors and their normal coordinates: round trips, N(0, 1) marginals, the laws themselves."""

import json
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
import shared_files
from scipy import stats
from training.face_factors import face_laws
from training.factors import (
    RACES,
    Ancestry,
    Array,
    Factors,
    Law,
    Name,
    Sometimes,
    beta,
    decode,
    encode,
    flat,
    normal,
    places,
    tabled,
)

COUNT = 20_000


def laws_without_assets() -> list[Law]:
    """One law of each kind; a parent (`a`) acts on its children."""
    return [
        beta("a", 2.0, 3.0, scale=2.0, offset=-1.0),
        normal("b", 0.5, 0.3, 0.0, 1.0),
        Sometimes("c", flat("c", 0.1, 0.7), lambda g: np.where(g["a"] > 0, 0.6, 0.1)),
        Name("d", "xyz", lambda g: np.stack([1 + g["a"], 0.5 + 0 * g["a"], 0.2 + 0 * g["a"]], 1)),
        tabled("e", np.sort(np.random.default_rng(3).gamma(2, size=500))),
        Ancestry(),
    ]


def draws(laws: Sequence[Law], seed: int = 0) -> tuple[Array, Factors]:
    width = sum(law.width for law in laws)
    z = np.random.default_rng(seed).standard_normal((COUNT, width))
    return z, decode(laws, z)


def check_round_trip(laws: Sequence[Law]) -> None:
    """factors -> z -> factors gives the same factors, and z is standard normal."""
    _, factors = draws(laws)
    z = encode(laws, factors, np.random.default_rng(1))
    again = decode(laws, z)
    assert again.keys() == factors.keys()
    for name, values in factors.items():
        wrong = ~np.isclose(again[name], values, rtol=1e-3, atol=1e-3)
        assert wrong.mean() < 1e-3, f"{name} does not come back on {wrong.sum()} of {COUNT}"
    for name, place in places(laws).items():
        for column in z[:, place].T:
            distance = stats.kstest(column, "norm").statistic
            assert distance < 2.2 / np.sqrt(COUNT), f"{name}: {distance:.4f} from N(0, 1)"
    correlation = np.corrcoef(z.T) - np.eye(z.shape[1])
    assert np.abs(correlation).max() < 5.5 / np.sqrt(COUNT)


def test_round_trip_of_every_kind_of_law() -> None:
    check_round_trip(laws_without_assets())


def test_decoded_factors_follow_their_laws() -> None:
    _, factors = draws(laws_without_assets())
    assert stats.kstest((factors["a"] + 1) / 2, stats.beta(2, 3).cdf).pvalue > 1e-3
    assert (factors["b"] <= 0).mean() == pytest.approx(stats.norm.cdf(-0.5 / 0.3), abs=0.01)
    likely = factors["a"] > 0
    assert (factors["c"][likely] > 0).mean() == pytest.approx(0.6, abs=0.015)
    assert (factors["c"][~likely] > 0).mean() == pytest.approx(0.1, abs=0.015)
    present = factors["c"][factors["c"] > 0]
    assert stats.kstest(present, stats.uniform(0.1, 0.6).cdf).pvalue > 1e-3
    chance = (1 + factors["a"]) / (1.7 + factors["a"])
    assert (factors["d"] == 0).mean() == pytest.approx(chance.mean(), abs=0.012)
    # A share of Dirichlet(α) is Beta(α_i, Σα - α_i).
    shares = np.clip(factors[RACES[2]], 1e-12, 1 - 1e-12)
    assert stats.kstest(shares, stats.beta(0.55, 0.8).cdf).statistic < 0.02


def test_a_name_keeps_its_index_and_its_neighbours_normal() -> None:
    law = Name("d", "wxyz", lambda g: np.tile([0.7, 0.2, 0.1, 0.0], (len(g["d"]), 1)))
    index = np.random.default_rng(0).choice(4, COUNT, p=[0.7, 0.2, 0.1, 0.0])
    z = law.encode({"d": index}, np.random.default_rng(1))
    again: Factors = {"d": index}
    law.decode(z, again)
    np.testing.assert_array_equal(again["d"], index)
    for column in z.T:
        assert stats.kstest(column, "norm").statistic < 2.2 / np.sqrt(COUNT)


def test_places_tile_the_coordinates() -> None:
    laws = laws_without_assets()
    slices = list(places(laws).values())
    assert slices[0].start == 0
    assert slices[-1].stop == sum(law.width for law in laws)
    for before, after in pairwise(slices):
        assert before.stop == after.start


def test_round_trip_of_the_face_factors() -> None:
    tables = json.loads(shared_files.shared("faces/assets/tables.json").read_text("utf-8"))
    rng = np.random.default_rng(2)
    names = ("bg_hue", "bg_saturation", "bg_value")
    names += ("garment_grey", "garment_warmth", "garment_green")
    check_round_trip(face_laws(tables, {name: rng.random(2000) for name in names}))

"""Names to objects."""

import pytest

from invprob.errors import ArgumentError, DeviceError, ShapeError
from invprob.operators.circulant import PartialCirculant
from invprob.operators.geometry import Rotate
from invprob.run.build import build_device, build_operator
from invprob.run.config import Named
from invprob.streams import derive

SHAPE = (3, 8, 8)
CIRCULANT = Named("circulant", {"ratio": 0.5})
ROTATE = Named("rotate", {"degrees": 10.0})


def test_a_chain_is_the_composition_in_reading_order() -> None:
    built = build_operator([CIRCULANT, ROTATE], SHAPE, seed=3)
    seed = derive(3, "operator")
    direct = PartialCirculant(SHAPE, ratio=0.5, seed=seed) @ Rotate(SHAPE, degrees=10)
    assert built.spec() == direct.spec()
    assert built.fingerprint() == direct.fingerprint()


def test_each_operator_is_built_for_what_the_inner_one_measures() -> None:
    assert build_operator([ROTATE, Named("luminance")], SHAPE).measurement_shape == (1, 8, 8)


def test_an_operator_that_does_not_fit_is_refused() -> None:
    with pytest.raises((ArgumentError, ShapeError)):
        build_operator([ROTATE, CIRCULANT], SHAPE)


def test_two_random_operators_take_different_seeds() -> None:
    twice = build_operator([Named("circulant", {"ratio": 1.0}), CIRCULANT], SHAPE, operator_seed=5)
    outer, inner = (leaf.spec()["seed"] for leaf in twice.leaves())
    assert inner == 5 and outer not in (5, derive(0, "operator"))


def test_devices() -> None:
    assert build_device("cpu").type == "cpu"
    assert build_device("auto").type in ("cpu", "cuda", "mps")
    for name in ("gpu", "cuda:99", "meta", ""):
        with pytest.raises(DeviceError):
            build_device(name)

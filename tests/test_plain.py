"""Values of NumPy and PyTorch are Python's own from the constructor on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from torch import Tensor

import invprob
from invprob.errors import ArgumentError
from invprob.losses import DataMisfit
from invprob.operators import (
    CT,
    Affine,
    Blur,
    ChannelMix,
    Crop,
    GaussianNoise,
    Identity,
    LinearOperator,
    Mask,
    Operator,
    PartialCirculant,
    RandomMask,
    Rotate,
    Saturate,
    hold_out,
)
from invprob.plain import plain
from invprob.priors import DeepImagePrior, Pixels
from invprob.priors.parts import FreeWeights
from invprob.registry import build, register
from invprob.streams import whole_seed

SHAPE = (3, 8, 8)
ANGLES = [0.0, 22.5, 45.0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_("rotate"), "rotate"),
        (np.array(2.5), 2.5),
        (torch.tensor(7), 7),
        (np.arange(3), [0, 1, 2]),
        (torch.tensor(ANGLES, dtype=torch.bfloat16), ANGLES),
        (np.eye(2, dtype=np.float16), [[1.0, 0.0], [0.0, 1.0]]),
        ([np.int8(1), (np.float64(2), None)], [1, (2.0, None)]),
        ({"a": np.arange(2)}, {"a": [0, 1]}),
    ],
    ids=str,
)
def test_numbers_and_arrays_become_plain(value: object, expected: object) -> None:
    found = plain("x", value)
    assert found == expected and type(found) is type(expected)
    assert json.loads(json.dumps(found)) == json.loads(json.dumps(expected))


def test_a_column_of_a_table_is_an_array() -> None:
    class Column:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return np.array(ANGLES)

    assert CT((1, 8, 8), degrees=Column()).degrees == tuple(ANGLES)  # type: ignore[arg-type]


PAIRS: dict[str, tuple[Callable[[], Operator], Callable[[], Operator]]] = {
    "degrees": (
        lambda: CT((1, 8, 8), degrees=np.array(ANGLES)),  # type: ignore[arg-type]
        lambda: CT((1, 8, 8), degrees=ANGLES),
    ),
    "degrees as a tensor": (
        lambda: CT((1, 8, 8), degrees=torch.tensor(ANGLES)),  # type: ignore[arg-type]
        lambda: CT((1, 8, 8), degrees=ANGLES),
    ),
    "an angle": (
        lambda: Rotate(SHAPE, degrees=torch.tensor(20)),  # type: ignore[arg-type]
        lambda: Rotate(SHAPE, degrees=20.0),
    ),
    "seed": (
        lambda: RandomMask(SHAPE, ratio=np.float32(0.5), seed=np.uint8(7)),  # type: ignore[arg-type]
        lambda: RandomMask(SHAPE, ratio=0.5, seed=7),
    ),
    "matrix": (
        lambda: ChannelMix(SHAPE, matrix=np.eye(3)),  # type: ignore[arg-type]
        lambda: ChannelMix(SHAPE, matrix=np.eye(3).tolist()),
    ),
    "affine": (
        lambda: Affine(SHAPE, matrix=[np.array([1.0, 0.2]), np.array([0.0, 1.0])]),  # type: ignore[list-item]
        lambda: Affine(SHAPE, matrix=[[1.0, 0.2], [0.0, 1.0]]),
    ),
    "image_shape": (
        lambda: PartialCirculant(np.array(SHAPE), ratio=0.5),  # type: ignore[arg-type]
        lambda: PartialCirculant(SHAPE, ratio=0.5),
    ),
    "a shape of numbers": (
        lambda: Identity(tuple(np.array(SHAPE))),
        lambda: Identity(torch.zeros(SHAPE).shape),
    ),
    "rows": (
        lambda: Crop(SHAPE, height=np.int64(4), width=np.int16(3)),  # type: ignore[arg-type]
        lambda: Crop(SHAPE, height=4, width=3),
    ),
    "mask as a tensor": (
        lambda: Mask(SHAPE, mask=torch.eye(8)),  # type: ignore[arg-type]
        lambda: Mask(SHAPE, mask=np.eye(8)),
    ),
    "kernel as a tensor": (
        lambda: Blur(SHAPE, kernel=torch.ones(3, 3)),  # type: ignore[arg-type]
        lambda: Blur(SHAPE, kernel=np.ones((3, 3))),
    ),
    "left out": (
        lambda: hold_out(Identity(SHAPE), np.float64(0.25), np.int64(3)),  # type: ignore[arg-type]
        lambda: hold_out(Identity(SHAPE), 0.25, 3),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_operators_take_numpy_and_tensors(name: str) -> None:
    foreign, own = (make() for make in PAIRS[name])
    assert foreign.fingerprint() == own.fingerprint() and repr(foreign) == repr(own)
    spec = json.dumps(foreign.spec())
    assert spec == json.dumps(own.spec())
    assert Operator.from_spec(json.loads(spec)).fingerprint() == own.fingerprint()


NUMPY = {int: np.int64, float: np.float32, bool: np.bool_, str: np.str_}


@pytest.mark.parametrize("name", register.operator)
def test_every_option_of_every_operator_may_be_numpys(name: str) -> None:
    """The example's spec with each number, word and list as NumPy has it."""
    own = register.operator[name].example()

    def foreign(value: Any) -> Any:
        if isinstance(value, list):
            return np.array(value)
        return NUMPY[type(value)](value) if type(value) in NUMPY else value

    spec = own.spec()
    kind = spec.pop("type")
    rounded = {
        key: float(np.float32(value)) if type(value) is float else value
        for key, value in spec.items()
    }
    built = build("operator", kind, {key: foreign(value) for key, value in spec.items()})
    assert built.spec() == Operator.from_spec({"type": kind, **rounded}).spec()
    json.dumps(built.spec())


MASKED = np.ma.masked_greater(np.arange(4.0), 2)
REFUSED: dict[str, Callable[[], object]] = {
    "degrees": lambda: CT((1, 8, 8), degrees=MASKED),  # type: ignore[arg-type]
    "mask": lambda: Mask(SHAPE, mask=np.ma.ones((8, 8))),
    "a number": lambda: Rotate(SHAPE, degrees=np.ma.masked),  # type: ignore[arg-type]
    "image_shape": lambda: Identity(np.ma.array(SHAPE)),  # type: ignore[arg-type]
    "in a list": lambda: ChannelMix(SHAPE, matrix=[MASKED[:3]] * 3),  # type: ignore[list-item]
    "noise": lambda: GaussianNoise(sigma=MASKED[3]),
    "prior": lambda: Pixels(np.ma.array(SHAPE)),  # type: ignore[arg-type]
    "term": lambda: DataMisfit(weight=np.ma.masked),  # type: ignore[arg-type]
    "method": lambda: invprob.methods.make("tv", None, SHAPE, steps=np.ma.masked),
    "seed": lambda: invprob.measure(torch.zeros(1, *SHAPE), Identity(SHAPE), seed=np.ma.masked),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", REFUSED)
def test_masked_arrays_are_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match=r"is a masked array, .* write array\.compressed\(\)"):
        REFUSED[name]()


def test_a_tensor_that_wants_a_gradient_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"degrees is a tensor that requires a gradient"):
        Rotate(SHAPE, degrees=torch.tensor(3.0, requires_grad=True))  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [3.0, np.float64(3), True, -1, 2**63, "3", None, np.arange(2)])
def test_seeds_are_whole_numbers(seed: object) -> None:
    with pytest.raises(ArgumentError, match=r"seed must be a whole number from 0 to 2\*\*63 - 1"):
        whole_seed(seed)
    with pytest.raises(ArgumentError, match="seed must be"):
        invprob.measure(torch.zeros(1, *SHAPE), Identity(SHAPE), seed=seed)  # type: ignore[arg-type]


def test_what_is_measured_and_solved_with_numpys_numbers_can_be_saved(tmp_path: Path) -> None:
    operator = RandomMask(SHAPE, ratio=0.5)
    measured = invprob.measure(
        torch.zeros(1, *SHAPE),
        operator,
        GaussianNoise(sigma=np.float32(0.1)),  # type: ignore[arg-type]
        seed=np.int64(3),  # type: ignore[arg-type]
        record={"angles": np.array(ANGLES)},
    )
    measured.save(tmp_path / "y.safetensors")
    again = invprob.Measurements.load(tmp_path / "y.safetensors")
    assert again.seed == 3 and again.record == {"angles": ANGLES}
    steps: Any = np.int64(2)
    solutions = [
        invprob.restore(measured, "tv", steps=steps, seed=np.int32(5)),  # type: ignore[arg-type]
        invprob.solve(measured, operator, Pixels(SHAPE), steps=steps, seed=np.int32(5)),  # type: ignore[arg-type]
    ]
    for solution in solutions:
        assert type(solution.seed) is int
        solution.save(tmp_path / "solution.safetensors")
    for prior in (DeepImagePrior(np.array(SHAPE), width=np.int64(4)), Pixels(np.array(SHAPE))):  # type: ignore[arg-type]
        assert json.loads(json.dumps(prior.spec()))["image_shape"] == list(SHAPE)


def test_options_of_methods_and_parts_are_plain() -> None:
    settings: dict[str, Any] = {"sigma": np.array(0.5)}
    assert build("noise", "gaussian", settings).sigma == 0.5
    part = FreeWeights(layers=np.array([1, 3]))  # type: ignore[arg-type]
    assert part.layers == [1, 3] or part.layers == (1, 3)
    assert type(DataMisfit(weight=np.float32(2)).weight) is float  # type: ignore[arg-type]


class Weighted(LinearOperator):
    """An outsider's operator whose annotation asks for a tensor."""

    def __init__(self, image_shape: tuple[int, ...], weights: Annotated[Tensor, "a factor each"]):
        super().__init__(image_shape, image_shape)
        self.register_buffer("weights", weights)

    weights: Tensor

    def forward(self, image: Tensor) -> Tensor:
        return image * self.weights


def test_an_annotation_keeps_a_tensor() -> None:
    weights = torch.ones(SHAPE)
    assert Weighted(SHAPE, weights).weights is weights
    assert Saturate(SHAPE).fingerprint() == Saturate(list(SHAPE)).fingerprint()  # type: ignore[arg-type]

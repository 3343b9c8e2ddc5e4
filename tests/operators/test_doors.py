"""What operators and noise refuse to read, and what they leave to the caller."""

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from invprob.errors import ArgumentError, ShapeError
from invprob.operators import (
    CT,
    MRI,
    Crop,
    GaussianNoise,
    Identity,
    LinearOperator,
    Luminance,
    PartialCirculant,
    Rotate,
    hold_out,
    stack,
)
from invprob.registry import register

SHAPE = (3, 8, 8)
BYTES = torch.arange(192, dtype=torch.uint8).view(1, *SHAPE)


@pytest.mark.parametrize(
    ("image", "got", "remedy"),
    [
        (BYTES, "torch.uint8", "write image.float() / 127.5 - 1, which is in [-1, 1]"),
        (BYTES.bool(), "torch.bool", "write image.float() * 2 - 1, which is in [-1, 1]"),
        (BYTES.to(torch.uint16), "torch.uint16", "write image.float() / 32767.5 - 1"),
        (BYTES.long(), "torch.int64", "write image.float(), and bring the values to [-1, 1]"),
        (
            BYTES.to(torch.complex64),
            "torch.complex64",
            "images are real: write image.real or image.abs()",
        ),
        (BYTES.to(torch.float8_e4m3fn), "torch.float8_e4m3fn", "write image.float()"),
        (BYTES.double().numpy(), "a NumPy array of float64", "write torch.from_numpy(image)"),
        (
            BYTES.numpy(),
            "a NumPy array of uint8",
            "write torch.from_numpy(image).float() / 127.5 - 1",
        ),
        (np.ma.masked_less(BYTES.double().numpy(), 3), "a masked array", "image.filled(0)"),
        (BYTES.tolist(), "a list", "the first axis counts the images of a batch"),
        (None, "None", "the first axis counts the images of a batch"),
        ("face.png", "a str", "the first axis counts the images of a batch"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_images_are_floating_point_tensors(image: Tensor, got: str, remedy: str) -> None:
    operator = Rotate(SHAPE, degrees=10)
    for read in (operator, operator.surrogate, operator.normal):
        with pytest.raises(ArgumentError) as caught:
            read(image)
        message = str(caught.value)
        assert message.startswith(repr(operator)) and len(message.splitlines()) == 1
        assert f"got {got}; " in message and remedy in message


@pytest.mark.parametrize(
    ("measurement", "remedy"),
    [
        (
            torch.zeros(1, 1, 16, 8, dtype=torch.complex64),
            "write torch.view_as_real(measurement), whose last axis has real and imaginary part",
        ),
        (torch.zeros(1, 1, 16, 8, 2).int(), "write measurement.float(), in the units that images"),
        (np.zeros((1, 1, 16, 8, 2), np.float32), "write torch.from_numpy(measurement)"),
        (
            np.zeros((1, 1, 16, 8), np.complex64),
            "write torch.view_as_real(torch.from_numpy(measurement))",
        ),
    ],
    ids=["complex", "int32", "NumPy", "complex NumPy"],
)
def test_measurements_are_floating_point_tensors(measurement: Tensor, remedy: str) -> None:
    operator = MRI((1, 16, 16), acceleration=2)
    for read in (operator.adjoint, operator.pinv):
        with pytest.raises(ArgumentError, match=re.escape(remedy)):
            read(measurement)


def test_what_a_remedy_says_is_taken() -> None:
    operator = MRI((1, 16, 16), acceleration=2)
    spectrum = torch.view_as_complex(operator(torch.zeros(1, 1, 16, 16)))
    operator.adjoint(torch.view_as_real(spectrum))
    image = torch.from_numpy(BYTES.numpy()).float() / 127.5 - 1
    assert float(image.min()) == -1 and float(Identity(SHAPE)(image).max()) < 1


READERS: dict[str, Callable[[Tensor], object]] = {
    "fbp": CT(SHAPE, views=3).fbp,
    "split": stack([Identity(SHAPE), Luminance(SHAPE)]).split,
    "without": getattr(hold_out(Identity(SHAPE), 0.1, 0), "without"),  # noqa: B009
    "H": Identity(SHAPE).H,
    "chain": Rotate((1, 8, 8), degrees=3) @ Luminance(SHAPE),
    "keyword": lambda wrong: Identity(SHAPE).adjoint(measurement=wrong),
    "keyword of an image": lambda wrong: Identity(SHAPE).normal(image=wrong),
    "noise": lambda wrong: GaussianNoise(sigma=0.1)(wrong, torch.Generator()),
}


@pytest.mark.parametrize("name", READERS)
def test_every_reader_has_a_door(name: str) -> None:
    with pytest.raises(ArgumentError, match=r"takes (images|measurements) as torch tensors"):
        READERS[name](BYTES)
    if name != "noise":
        with pytest.raises(ShapeError, match=r"of shape \(batch, "):
            READERS[name](torch.zeros(1, 7))


class Forgetful(LinearOperator):
    """An outsider's operator, whose methods check nothing by themselves."""

    def __init__(self) -> None:
        super().__init__(SHAPE, SHAPE)

    def forward(self, image: Tensor) -> Tensor:
        return image * 0.5

    def adjoint(self, measurement: Tensor) -> Tensor:
        return measurement * 0.5

    def pinv(self, measurement: Tensor, *, iterations: int = 1, tolerance: float = 1) -> Tensor:
        return measurement * 2


def test_methods_of_outsiders_are_guarded_too() -> None:
    operator = Forgetful()
    for read in (operator, operator.adjoint, operator.pinv):
        with pytest.raises(ArgumentError, match=r"got torch\.uint8"):
            read(BYTES)
    with pytest.raises(ShapeError, match=r"reads measurements of shape \(batch, 3, 8, 8\)"):
        operator.pinv(torch.zeros(SHAPE))


@pytest.mark.parametrize("name", register.operator)
def test_half_precisions_are_measured_in_their_dtype(name: str) -> None:
    """An iterative pseudo-inverse works in float32: in float16 it would leave its range."""
    operator = register.operator[name].example()
    image = 1.8 * torch.rand(2, *operator.image_shape, generator=torch.Generator()) - 0.9
    for dtype in (torch.float16, torch.bfloat16):
        measured = operator(image.to(dtype))
        assert measured.dtype == dtype and bool(measured.isfinite().all())
        if isinstance(operator, LinearOperator):
            found, reference = operator.pinv(measured), operator.pinv(measured.float())
            assert found.dtype == dtype
            error = (found.float() - reference).norm() / reference.norm()
            assert error < 10 * torch.finfo(dtype).eps


def test_results_can_be_changed_in_place() -> None:
    image = torch.zeros(1, *SHAPE)
    whole = Crop(SHAPE, height=8, width=8)
    for operator in (Identity(SHAPE), whole, Crop(SHAPE, height=4, width=4)):
        measured = operator(image)
        for result in (operator.adjoint(measured), operator.pinv(measured), measured):
            result.add_(1)
    assert not image.any()
    assert Crop(SHAPE, height=4, width=4)(image).is_contiguous()


def test_a_pseudo_inverse_under_vmap_is_that_of_each() -> None:
    """Each image ends by itself, so that the number of steps is that of the slowest."""
    operator = PartialCirculant(SHAPE, ratio=0.2)
    y = torch.randn(3, *operator.measurement_shape, generator=torch.Generator())
    y[1] = 0
    together = torch.func.vmap(lambda one: operator.pinv(one[None])[0])(y)
    torch.testing.assert_close(together, operator.pinv(y))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:FutureWarning")  # PyTorch's own use of it
@pytest.mark.parametrize("operator", [CT((1, 8, 8), views=4), Forgetful()], ids=["ct", "autograd"])
def test_transforms_of_linear_maps_nest(operator: LinearOperator) -> None:
    """The Hessian of ||Ax||² / 2 is A'A, by forward over reverse and by reverse over reverse."""
    x = torch.randn(1, *operator.image_shape, generator=torch.Generator(), dtype=torch.float64)
    n = x.numel()

    def half(image: Tensor) -> Tensor:
        return operator(image).square().sum() / 2

    basis = torch.eye(n, dtype=torch.float64).view(n, *operator.image_shape)
    normal = operator.adjoint(operator(basis)).flatten(1)
    for hessian in (torch.func.hessian(half), torch.func.jacrev(torch.func.jacrev(half))):
        torch.testing.assert_close(hessian(x).view(n, n), normal)
    assert torch.autograd.gradcheck(operator, x.requires_grad_(), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(operator, x, check_fwd_over_rev=True)

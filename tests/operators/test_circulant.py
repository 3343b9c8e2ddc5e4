"""The partial circulant operator against SciPy's circulant matrix and the published formulas."""

import copy
import math
import pickle
from typing import Literal

import numpy as np
import pytest
import scipy.linalg
import torch

from invprob.errors import ArgumentError
from invprob.operators import LinearOperator, PartialCirculant
from invprob.testing import check_operator, dense

Spectrum = Literal["gaussian", "unit", "sign"]
SPECTRA: tuple[Spectrum, ...] = ("gaussian", "unit", "sign")
SHAPES = [(3, 4, 4), (3, 5, 3), (1, 7, 7)]  # n = 48, and two odd ones


def _matrix(operator: PartialCirculant) -> np.ndarray:
    """Build the matrix from the public tensors, by SciPy."""
    n, m = operator.kernel.numel(), operator.indices.numel()
    circulant = scipy.linalg.circulant(operator.kernel.numpy())
    scale = math.sqrt(n / m) if operator.spectrum == "unit" else 1 / math.sqrt(m)
    return scale * circulant[operator.indices.numpy()] * operator.signs.numpy()


def _images(shape: tuple[int, ...], batch: int = 2) -> torch.Tensor:
    rng = torch.Generator().manual_seed(5)
    return 2 * torch.rand(batch, *shape, generator=rng, dtype=torch.float64) - 1


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_it_is_rows_of_a_circulant_matrix(shape: tuple[int, ...], spectrum: Spectrum) -> None:
    operator = PartialCirculant(shape, ratio=0.3, seed=4, spectrum=spectrum)
    matrix = _matrix(operator)
    x = _images(shape)
    y = torch.randn(2, len(matrix), dtype=torch.float64)
    np.testing.assert_allclose(operator(x), x.flatten(1).numpy() @ matrix.T, atol=1e-12)
    np.testing.assert_allclose(operator.adjoint(y).flatten(1), y.numpy() @ matrix, atol=1e-12)
    reference = y.numpy() @ np.linalg.pinv(matrix).T
    image = operator.pinv(y, iterations=500, tolerance=1e-12).flatten(1)
    np.testing.assert_allclose(image, reference, atol=1e-8)
    assert operator.norm() == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-4)


@pytest.mark.parametrize("shape", [(3, 19, 17), (1, 16, 8)])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_contract_at_awkward_shapes(shape: tuple[int, ...], spectrum: Spectrum) -> None:
    check_operator(PartialCirculant(shape, ratio=0.05, seed=1, spectrum=spectrum))


def test_it_is_not_the_elementwise_product() -> None:
    operator = PartialCirculant((3, 4, 4), ratio=1.0)
    x = _images((3, 4, 4))
    product = x.flatten(1) * operator.signs * operator.kernel / math.sqrt(48)
    assert not torch.allclose(operator(x), product[:, operator.indices], rtol=0.1)


def test_the_documented_draws() -> None:
    operator = PartialCirculant((3, 8, 8), ratio=0.1, seed=11)
    rng = torch.Generator().manual_seed(11)
    kernel = torch.randn(192, generator=rng, dtype=torch.float64)
    signs = torch.randint(0, 2, (192,), generator=rng) * 2 - 1
    indices = torch.randperm(192, generator=rng)[:19].sort().values
    assert torch.equal(operator.kernel, kernel)
    assert torch.equal(operator.signs, signs.double())
    assert torch.equal(operator.indices, indices)
    assert operator.indices.dtype == torch.int64


def test_the_index_set_is_ascending_and_without_repetition() -> None:
    indices = PartialCirculant((3, 16, 16), ratio=0.5).indices
    assert bool((indices.diff() > 0).all())
    assert (int(indices[0]) >= 0, int(indices[-1]) < 768) == (True, True)


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("ratio", [0.02, 0.2, 1.0])
def test_the_expected_energy_is_kept(spectrum: Spectrum, ratio: float) -> None:
    # Over 200 operators the mean of ||Ax||²/||x||² has a spread of about 0.1 at most.
    x = _images((3, 16, 16), batch=1)
    energies = [
        float(PartialCirculant((3, 16, 16), ratio=ratio, seed=s, spectrum=spectrum)(x).norm() ** 2)
        for s in range(200)
    ]
    assert np.mean(energies) / float(x.norm() ** 2) == pytest.approx(1.0, abs=0.1)


def test_the_unit_spectrum_is_a_tight_frame() -> None:
    operator = PartialCirculant((3, 5, 3), ratio=0.4, spectrum="unit")
    matrix = dense(operator)
    identity = torch.eye(18, dtype=torch.float64)
    torch.testing.assert_close(matrix @ matrix.T, 45 / 18 * identity, rtol=0, atol=1e-12)
    assert operator.norm() == math.sqrt(45 / 18)
    y = torch.randn(2, 18, dtype=torch.float64)
    torch.testing.assert_close(operator(operator.pinv(y)), y, rtol=0, atol=1e-12)


def test_the_sign_kernel_has_entries_of_one_modulus() -> None:
    gaussian = PartialCirculant((3, 5, 3), ratio=0.4, seed=3)
    operator = PartialCirculant((3, 5, 3), ratio=0.4, seed=3, spectrum="sign")
    assert torch.equal(operator.kernel, gaussian.kernel.sign())
    assert torch.equal(operator.indices, gaussian.indices)
    modulus = torch.full((18, 45), 1 / math.sqrt(18), dtype=torch.float64)
    torch.testing.assert_close(dense(operator).abs(), modulus, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("ratio", "m"), [(0.01, 492), (1.0, 49152), (2.5 / 49152, 2), (1e-5, 0)])
def test_the_number_of_measurements(ratio: float, m: int) -> None:
    if m == 0:
        with pytest.raises(ArgumentError, match=r"leaves no measurement.*2\.03e-05"):
            PartialCirculant((3, 128, 128), ratio=ratio)
    else:
        assert PartialCirculant((3, 128, 128), ratio=ratio).measurement_shape == (m,)


@pytest.mark.parametrize("ratio", [0, -1, 2, math.nan, math.inf, 1.0000001])
def test_ratios_that_cannot_be_used(ratio: float) -> None:
    with pytest.raises(ArgumentError, match=r"ratio must be a number in \(0, 1\].*0.00521"):
        PartialCirculant((3, 8, 8), ratio=ratio)


def test_other_arguments_that_cannot_be_used() -> None:
    with pytest.raises(ArgumentError, match="spectrum must be one of 'gaussian', 'unit'"):
        PartialCirculant((3, 8, 8), 0.1, spectrum="white")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="image_shape"):
        PartialCirculant((3, 0, 8), 0.1)
    with pytest.raises(ArgumentError, match="seed"):
        PartialCirculant((3, 8, 8), 0.1, seed=0.5)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="seed"):
        PartialCirculant((3, 8, 8), 0.1, seed=2**65)


def test_casting_and_copying_keep_every_digit() -> None:
    operator = PartialCirculant((3, 8, 8), ratio=0.2, seed=2)
    x = _images((3, 8, 8))
    expected, single = operator(x), operator(x.float())  # fills the cache
    assert single.dtype == torch.float32
    for other in (
        copy.deepcopy(operator),
        pickle.loads(pickle.dumps(operator)),
        copy.deepcopy(operator).double(),
        copy.deepcopy(operator).float(),
        copy.deepcopy(operator).half().double(),
    ):
        assert other.kernel.dtype == torch.float64
        assert torch.equal(other(x), expected)
        assert other.fingerprint() == operator.fingerprint()
    torch.testing.assert_close(single.double(), expected, rtol=0, atol=1e-6)


def test_half_precision_images() -> None:
    operator = PartialCirculant((3, 8, 8), ratio=0.2)
    x = _images((3, 8, 8))
    for dtype in (torch.float16, torch.bfloat16):
        measured = operator(x.to(dtype))
        assert measured.dtype == dtype
        torch.testing.assert_close(measured.double(), operator(x), rtol=0, atol=0.05)


def test_the_cache_follows_the_kernel_and_stays_at_home() -> None:
    operator = PartialCirculant((3, 8, 8), ratio=0.2)
    x = _images((3, 8, 8))
    before = operator(x)
    assert "_spectra" not in str(operator.state_dict().keys())
    assert not pickle.loads(pickle.dumps(operator))._spectra
    operator.kernel.mul_(2)
    torch.testing.assert_close(operator(x), 2 * before)


def test_built_in_inference_mode() -> None:
    with torch.inference_mode():
        operator = PartialCirculant((3, 8, 8), ratio=0.2)
    x = _images((3, 8, 8))
    assert torch.equal(operator(x), PartialCirculant((3, 8, 8), ratio=0.2)(x))


def test_gradients_after_a_first_call_in_inference_mode() -> None:
    operator = PartialCirculant((3, 8, 8), ratio=0.2)
    x = _images((3, 8, 8))
    with torch.inference_mode():
        operator(x)
    y = operator(x.requires_grad_())
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient, operator.adjoint(torch.ones_like(y)))


def test_the_written_adjoint_is_the_derived_one() -> None:
    operator = PartialCirculant((3, 5, 3), ratio=0.4)
    y = torch.randn(2, 18, dtype=torch.float64)
    torch.testing.assert_close(
        operator.adjoint(y), LinearOperator.adjoint(operator, y), rtol=0, atol=1e-12
    )

"""Subsampled transforms against SciPy's cosine and Hadamard matrices and NumPy's Fourier one."""

import math

import numpy as np
import pytest
import scipy.fft
import scipy.linalg
import torch

from invprob.errors import ArgumentError
from invprob.operators import (
    DenseGaussian,
    LinearOperator,
    Operator,
    SubsampledDCT,
    SubsampledFourier,
    SubsampledHadamard,
)
from invprob.operators.transforms import hadamard_transform
from invprob.testing import check_operator, dense

RANDOM = [SubsampledDCT, SubsampledFourier, SubsampledHadamard, DenseGaussian]


def _normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def _scipys(rows: np.ndarray) -> np.ndarray:
    return np.asarray(scipy.fft.dct(rows, type=2, norm="ortho"))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 105, 128])
def test_the_cosine_transform_is_scipys(n: int) -> None:
    operator = SubsampledDCT((n,), ratio=1.0)
    x = _normal(2, n)
    expected = _scipys((x * operator.signs).numpy())
    np.testing.assert_allclose(operator(x), expected, atol=1e-13)
    np.testing.assert_allclose(operator.adjoint(torch.from_numpy(expected)), x, atol=1e-13)


@pytest.mark.parametrize("bits", [0, 1, 3, 5, 6, 11])
def test_the_hadamard_transform_is_scipys(bits: int) -> None:
    x = _normal(2, 2**bits)
    expected = x.numpy() @ scipy.linalg.hadamard(2**bits) / math.sqrt(2**bits)
    np.testing.assert_allclose(hadamard_transform(x), expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 4, 4), (3, 5, 3), (1, 8, 8), (1, 1, 1)], ids=str)
def test_dct_is_rows_of_the_matrix_after_the_documented_draws(shape: tuple[int, ...]) -> None:
    n = math.prod(shape)
    m = max(round(0.3 * n), 1)
    operator = SubsampledDCT(shape, ratio=m / n, seed=4)
    rng = torch.Generator().manual_seed(4)
    signs = torch.randint(0, 2, (n,), generator=rng).numpy() * 2 - 1
    rows = np.sort(torch.randperm(n, generator=rng)[:m].numpy())
    matrix = math.sqrt(n / m) * _scipys(np.eye(n)).T[rows] * signs
    np.testing.assert_allclose(dense(operator), matrix, atol=1e-13)
    y = _normal(2, m)
    np.testing.assert_allclose(operator.adjoint(y).flatten(1), y.numpy() @ matrix, atol=1e-12)
    reference = y.numpy() @ np.linalg.pinv(matrix).T
    np.testing.assert_allclose(operator.pinv(y).flatten(1), reference, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 4, 4), (3, 5, 3), (1, 8, 8), (1, 1, 1)], ids=str)
def test_hadamard_is_rows_of_the_matrix_after_the_documented_draws(shape: tuple[int, ...]) -> None:
    n = math.prod(shape)
    m, length = max(round(0.3 * n), 1), 2 ** math.ceil(math.log2(n))
    operator = SubsampledHadamard(shape, ratio=m / n, seed=4)
    rng = torch.Generator().manual_seed(4)
    signs = torch.randint(0, 2, (n,), generator=rng).numpy() * 2 - 1
    rows = np.sort(torch.randperm(length, generator=rng)[:m].numpy())
    matrix = scipy.linalg.hadamard(length)[rows][:, :n] * signs / math.sqrt(m)
    np.testing.assert_allclose(dense(operator), matrix, atol=1e-13)
    y = _normal(2, m)
    np.testing.assert_allclose(operator.adjoint(y).flatten(1), y.numpy() @ matrix, atol=1e-12)
    reference = y.numpy() @ np.linalg.pinv(matrix).T
    image = operator.pinv(y, iterations=500, tolerance=1e-13).flatten(1)
    np.testing.assert_allclose(image, reference, atol=1e-9)
    assert operator.norm() == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-5)


@pytest.mark.parametrize("size", [(4, 6), (5, 6), (6, 5), (5, 7), (1, 4), (4, 1), (2, 2)], ids=str)
def test_all_free_frequencies_together_hold_the_image(size: tuple[int, int]) -> None:
    # With ratio 1 the rows are an orthonormal basis, and some rows of zeros.
    operator = SubsampledFourier((2, *size), ratio=1.0)
    matrix = dense(operator).numpy()
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(2 * math.prod(size)), atol=1e-12)
    empty = int((np.abs(matrix).max(1) < 1e-12).sum())
    assert len(matrix) - empty == 2 * math.prod(size)


@pytest.mark.parametrize("size", [(4, 6), (5, 6), (6, 5), (5, 7), (1, 4), (4, 1)], ids=str)
def test_fourier_is_numpys_at_the_frequencies_it_names(size: tuple[int, int]) -> None:
    operator = SubsampledFourier((2, *size), ratio=0.4, seed=2)
    x = _normal(2, 2, *size)
    rows, columns = operator.rows.numpy(), operator.columns.numpy()
    spectrum = np.fft.fft2(x.numpy(), norm="ortho")[..., rows, columns]
    own = (-rows % size[0] == rows) & (-columns % size[1] == columns)
    weights = operator.scale * np.where(own, 1.0, math.sqrt(2))
    measured = torch.view_as_complex(operator(x))
    np.testing.assert_allclose(measured, spectrum * weights, atol=1e-13)
    matrix = dense(operator).numpy()
    y = _normal(2, *operator.measurement_shape)
    back = y.flatten(1).numpy() @ matrix
    np.testing.assert_allclose(operator.adjoint(y).flatten(1), back, atol=1e-12)
    reference = y.flatten(1).numpy() @ np.linalg.pinv(matrix).T
    np.testing.assert_allclose(operator.pinv(y).flatten(1), reference, atol=1e-12)
    assert operator.norm() == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-9)


def test_no_frequency_is_kept_beside_its_conjugate() -> None:
    operator = SubsampledFourier((1, 6, 8), ratio=1.0)
    kept = set(zip(operator.rows.tolist(), operator.columns.tolist(), strict=True))
    assert len(kept) == 26 == operator.measurement_shape[1]
    assert all((-r % 6, -c % 8) not in kept or (-r % 6, -c % 8) == (r, c) for r, c in kept)


def test_dense_gaussian_is_the_documented_draw() -> None:
    operator = DenseGaussian((3, 4, 4), ratio=0.25, seed=9)
    rng = torch.Generator().manual_seed(9)
    matrix = torch.randn(12, 48, generator=rng, dtype=torch.float32).double() / math.sqrt(12)
    torch.testing.assert_close(dense(operator), matrix, rtol=0, atol=1e-12)
    y = _normal(2, 12)
    torch.testing.assert_close(operator.adjoint(y).flatten(1), y @ matrix, rtol=0, atol=1e-12)
    assert torch.equal(operator.half().double().matrix, DenseGaussian((3, 4, 4), 0.25, 9).matrix)


def test_a_large_dense_matrix_is_refused_before_it_is_drawn() -> None:
    with pytest.raises(ArgumentError, match=r"ratio 0\.01 .* use circulant, dct or hadamard"):
        DenseGaussian((3, 1024, 1024), ratio=0.01)
    with pytest.raises(ArgumentError, match=r"67,108,864.*a ratio of at most 0\.028"):
        DenseGaussian((3, 128, 128), ratio=0.5)


@pytest.mark.parametrize("kind", RANDOM)
@pytest.mark.parametrize("ratio", [0.05, 0.4])
def test_the_expected_energy_is_kept(kind: type[SubsampledDCT], ratio: float) -> None:
    # 300 operators, not a power of two: the mean of ||Ax||²/||x||² spreads by 0.02 at most.
    x = _normal(1, 3, 9, 10)
    energies = [float(kind((3, 9, 10), ratio=ratio, seed=s)(x).norm() ** 2) for s in range(300)]
    assert np.mean(energies) / float(x.norm() ** 2) == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize("kind", RANDOM)
def test_seeds_matter_and_suffice(kind: type[SubsampledDCT]) -> None:
    first, again, other = (kind((3, 8, 8), ratio=0.2, seed=s) for s in (1, 1, 2))
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()
    assert first.fingerprint() == Operator.from_spec(first.spec()).fingerprint()


@pytest.mark.parametrize("kind", RANDOM)
@pytest.mark.parametrize("shape", [(3, 19, 17), (1, 16, 8), (2, 1, 5)], ids=str)
def test_the_contract_at_awkward_shapes(kind: type[SubsampledDCT], shape: tuple[int, ...]) -> None:
    check_operator(kind(shape, ratio=0.5, seed=1))


@pytest.mark.parametrize("kind", RANDOM)
def test_the_written_adjoint_is_the_derived_one(kind: type[SubsampledDCT]) -> None:
    operator = kind((3, 5, 3), ratio=0.4)
    y = _normal(2, *operator.measurement_shape)
    derived = LinearOperator.adjoint(operator, y)
    torch.testing.assert_close(operator.adjoint(y), derived, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", RANDOM)
def test_single_and_half_precision(kind: type[SubsampledDCT]) -> None:
    operator = kind((3, 8, 8), ratio=0.5)
    x = 0.3 * _normal(2, 3, 8, 8)
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.float16, 5e-3), (torch.bfloat16, 5e-2)):
        measured = operator(x.to(dtype))
        assert measured.dtype == dtype
        torch.testing.assert_close(measured.double(), operator(x), rtol=0, atol=tolerance)
        back = operator.adjoint(operator(x).to(dtype))
        assert back.dtype == dtype


def test_a_million_coefficients_in_single_precision() -> None:
    operator = SubsampledDCT((2**20,), ratio=1.0)
    x = _normal(1, 2**20).float()
    expected = _scipys((x * operator.signs).double().numpy())
    np.testing.assert_allclose(operator(x), expected, atol=2e-5)
    np.testing.assert_allclose(operator.adjoint(operator(x)), x, atol=2e-5)


@pytest.mark.parametrize("kind", RANDOM)
@pytest.mark.parametrize("ratio", [0, -1, 2, math.nan, 1e-9])
def test_ratios_that_cannot_be_used(kind: type[SubsampledDCT], ratio: float) -> None:
    with pytest.raises(ArgumentError, match=r"ratio .*smallest"):
        kind((3, 8, 8), ratio=ratio)


def test_other_arguments_that_cannot_be_used() -> None:
    with pytest.raises(ArgumentError, match="channels, height, width"):
        SubsampledFourier((64,), ratio=0.5)
    with pytest.raises(ArgumentError, match="seed"):
        SubsampledDCT((3, 8, 8), ratio=0.5, seed=-1)

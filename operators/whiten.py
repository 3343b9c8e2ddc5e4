"""Measurements whose noise is correlated, freed of that.

Composed on the left of an operator A with noise of covariance C = L L', it makes least squares
generalised ones: ||L⁻¹(A x - y)||² = (A x - y)' C⁻¹ (A x - y).
"""

from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invprob.arrays import Contents, carry, read_array
from invprob.errors import ArgumentError
from invprob.fast.derived import Derived
from invprob.operators.base import LinearOperator
from invprob.operators.checks import checked_shape
from invprob.operators.units import numbers
from invprob.registry import register
from invprob.types import Images, Measured, Shape


@register.operator("whiten")
class Whiten(LinearOperator):
    """Free the numbers along one axis of the correlation of their noise.

        y = L⁻¹ x along the axis,   covariance = L Lᴴ (Cholesky)

    Noise of this covariance becomes white, of standard deviation 1. A complex covariance E[n nᴴ],
    as that of the coils of a scanner, is one of complex numbers, whose real and imaginary part the
    last axis holds; each part of the white noise then has a variance of 1/2. Measurements have the
    shape of the image. Source: Pruessmann et al., Magn. Reson. Med. 46, 2001.

    Raises:
        ArgumentError: there is no such axis, the covariance does not fit it, or is not Hermitian
            and positive definite.
    """

    exact = ("root", "inverse")
    fingerprinted = ("root",)

    root: Tensor  # L, (n, n, 2) float64, real and imaginary part
    inverse: Tensor  # L⁻¹, likewise

    def __init__(
        self,
        image_shape: Shape,
        covariance: Annotated[
            Contents, "the matrix, real or complex (n, n), or (n, n, 2); an array or a .npy file"
        ],
        axis: Annotated[int, "the axis, counted from 0, without that of the batch"] = 0,
    ) -> None:
        shape = checked_shape("image_shape", image_shape)
        if not 0 <= axis < len(shape):
            raise ArgumentError(f"axis must be 0 to {len(shape) - 1} for {shape}, got {axis}")
        matrix = read_covariance("covariance", covariance)
        if len(matrix) != shape[axis]:
            raise ArgumentError(
                f"covariance is {len(matrix)} x {len(matrix)}, but axis {axis} of {shape} has "
                f"{shape[axis]} numbers"
            )
        self._complex = bool(matrix.imag.any())
        if self._complex and (shape[-1] != 2 or axis == len(shape) - 1):
            raise ArgumentError(
                f"a complex covariance needs a last axis of 2, real and imaginary part, behind "
                f"axis {axis}, which {shape} has not"
            )
        super().__init__(shape, shape)
        self.axis = axis
        parts = np.stack([matrix.real, matrix.imag], -1)
        self._given = carry(parts if self._complex else matrix.real.copy())
        root = np.linalg.cholesky(matrix)
        for name, value in (("root", root), ("inverse", np.linalg.inv(root))):
            planes = torch.from_numpy(np.stack([value.real, value.imag], -1))
            self.register_buffer(name, planes, persistent=False)
        self._roots, self._inverses = Derived(), Derived()

    def carried(self) -> dict[str, Any]:
        """The covariance itself."""
        return {"covariance": self._given}

    def units(self) -> Tensor:
        """What lies along the axis together."""
        shape = list(self.measurement_shape)
        size, shape[self.axis] = shape[self.axis], 1
        last = shape[-1]
        if self._complex:
            shape[-1] = 1
        labels = numbers(tuple(shape))
        labels = labels.repeat_interleave(size, self.axis)
        return labels.repeat_interleave(last, -1) if self._complex else labels

    def forward(self, image: Images) -> Measured:
        """L⁻¹ x."""
        return self._times(self._inverses.of(self.inverse, image), image)

    def adjoint(self, measurement: Measured) -> Images:
        """L⁻ᴴ y."""
        real, imaginary = self._inverses.of(self.inverse, measurement).unbind(-1)
        return self._times(torch.stack([real.T, -imaginary.T], -1), measurement)

    def pinv(
        self, measurement: Measured, *, iterations: int = 200, tolerance: float = 1e-6
    ) -> Images:
        """L y."""
        return self._times(self._roots.of(self.root, measurement), measurement)

    @classmethod
    def illustration(cls, image_shape: Shape) -> "Whiten":
        """Channels whose noise is correlated, of standard deviation 2."""
        return cls(image_shape, 4 * _neighbours(image_shape[0]))

    @classmethod
    def example(cls) -> "Whiten":
        """Three coils with a complex covariance, on 4 x 4 numbers."""
        matrix = _neighbours(3) + 0.2j * (np.eye(3, k=1) - np.eye(3, k=-1))
        return cls((3, 4, 4, 2), np.stack([matrix.real, matrix.imag], -1))

    def extra_repr(self) -> str:
        """The shapes and the axis."""
        return f"{super().extra_repr()}, axis={self.axis}"

    def _times(self, matrix: Tensor, values: Tensor) -> Tensor:
        """A complex matrix (n, n, 2) times the numbers along the axis."""
        real, imaginary = matrix.unbind(-1)
        moved = values.movedim(self.axis + 1, -1)
        product = moved @ real.T
        if self._complex:  # i (a + ib) = -b + ia; the parts are now on the last axis but one
            turned = torch.stack([-moved[..., 1, :], moved[..., 0, :]], -2)
            product = product + turned @ imaginary.T
        return product.movedim(-1, self.axis + 1)


def read_covariance(name: str, source: Contents) -> NDArray[np.complex128]:
    """Read a Hermitian positive definite matrix.

    Args:
        name: the name of the argument, for messages.
        source: (n, n), real or complex, or (n, n, 2) with real and imaginary part.

    Returns:
        The matrix, (n, n).

    Raises:
        ArgumentError: it is none.
    """
    values = read_array(name, source)
    if values.ndim == 3 and values.shape[2] == 2:
        values = values[..., 0] + 1j * values[..., 1]
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise ArgumentError(f"{name} must be a square matrix, got the shape {values.shape}")
    matrix = values.astype(np.complex128)
    largest = np.abs(matrix).max()
    if np.abs(matrix - matrix.conj().T).max() > 1e-6 * largest:
        raise ArgumentError(f"{name} must be symmetric, or Hermitian; take numpy.cov of the noise")
    least = np.linalg.eigvalsh(matrix)[0]
    if not least > 1e-12 * largest:
        raise ArgumentError(
            f"{name} must be positive definite, but its least eigenvalue is {least:.3g}; estimate "
            "it from more samples of noise than it has rows"
        )
    return matrix


def _neighbours(size: int) -> NDArray[np.float64]:
    """Correlations that fall with the distance."""
    places = np.arange(size)
    return np.asarray(0.5 ** np.abs(places[:, None] - places), np.float64)

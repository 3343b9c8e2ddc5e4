"""The real Fourier transform of a long line, in two steps of short ones.

A line of n = rows · columns elements is transformed along the rows' index, turned, and transformed
along the columns': Bailey's four steps (J. Supercomputing 4, 1990) without the last, which would
put the frequencies in order. Memory is read a few times instead of at each of log n stages, which
for millions of elements is several times as fast; what multiplies or picks frequencies can do so in
any order.
"""

import math
from typing import Any

import torch
from torch import Tensor

from invprob.indices import indices


class Line:
    """The transform of real lines of one length, laid out as grids.

    Element j = columns · j1 + j2 of a line lies at [j2, j1] of its grid (..., columns, rows), and
    spectra are (..., columns, rows // 2 + 1): frequency k = k1 + rows · k2 lies at [k2, k1]; where
    k1 is above rows // 2, its conjugate lies at the place of n - k.
    """

    def __init__(self, length: int) -> None:
        self.length = length
        self.columns = next(d for d in range(math.isqrt(length), 0, -1) if length % d == 0)
        self.rows = length // self.columns
        self._turns: dict[tuple[torch.dtype, torch.device], tuple[Tensor, Tensor]] = {}

    def grid(self, lines: Tensor) -> Tensor:
        """The grids of these lines (..., n), as a view."""
        grid: Tensor = lines.unflatten(-1, (self.rows, self.columns)).transpose(-1, -2)
        return grid

    def flat(self, grid: Tensor) -> Tensor:
        """The lines of these grids."""
        return grid.transpose(-1, -2).flatten(-2)

    def elements(self, indices: Tensor) -> Tensor:
        """Where elements of a line lie in a flattened grid."""
        return indices % self.columns * self.rows + indices // self.columns

    def spectrum(self, grid: Tensor) -> Tensor:
        """The transform of each line."""
        turned = torch.fft.rfft(grid).mul_(self._turned(grid.dtype, grid.device)[0])
        spectrum: Tensor = torch.fft.fft(turned, dim=-2)
        return spectrum

    def inverse(self, spectrum: Tensor) -> Tensor:
        """The grids of the lines that have these spectra, or the real part of what has them."""
        turns = self._turned(spectrum.dtype.to_real(), spectrum.device)[1]
        turned = torch.fft.ifft(spectrum, dim=-2).mul_(turns)
        grid: Tensor = torch.fft.irfft(turned, n=self.rows)
        return grid

    def places(self, frequencies: Tensor) -> tuple[Tensor, Tensor]:
        """Where frequencies below n lie in a flattened spectrum, and which are conjugates there."""
        mirrored = frequencies % self.rows > self.rows // 2
        stored = torch.where(mirrored, self.length - frequencies, frequencies)
        width = self.rows // 2 + 1
        return stored // self.rows * width + stored % self.rows, mirrored

    def shares(self, frequencies: Tensor) -> Tensor:
        """How often `inverse` counts what lies at the place of a frequency: once or twice."""
        first = frequencies % self.rows
        return torch.where(2 * first % self.rows == 0, 1, 2)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles compute their own factors."""
        return Line, (self.length,)

    def _turned(self, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
        """exp(-2πi j k / n) for column j and frequency k of the rows, and its conjugate."""
        turns = self._turns.get((dtype, device))
        if turns is None:
            with torch.inference_mode(False), torch.no_grad():
                j = indices(self.columns, device).unsqueeze(1)
                k = indices(self.rows // 2 + 1, device)
                angles = (j * k).double() * (-2 * math.pi / self.length)
                turn = torch.polar(torch.ones_like(angles), angles).to(dtype.to_complex())
                turns = self._turns[dtype, device] = (turn, turn.conj().resolve_conj())
        return turns

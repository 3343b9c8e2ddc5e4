"""Files as scanners write them, by the libraries of their formats, and what they should hold."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import ismrmrd
import numpy as np
from numpy.typing import NDArray

HEADER = """<?xml version="1.0" encoding="utf-8"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
 <experimentalConditions><H1resonanceFrequency_Hz>63500000</H1resonanceFrequency_Hz>
 </experimentalConditions>
 <encoding>
  <encodedSpace><matrixSize><x>{x}</x><y>{y}</y><z>1</z></matrixSize>
   <fieldOfView_mm><x>{field_x}</x><y>{field_y}</y><z>5</z></fieldOfView_mm></encodedSpace>
  <reconSpace><matrixSize><x>{rows}</x><y>{y}</y><z>1</z></matrixSize>
   <fieldOfView_mm><x>{recon_x}</x><y>{field_y}</y><z>5</z></fieldOfView_mm></reconSpace>
  <trajectory>{trajectory}</trajectory>
  <encodingLimits><kspace_encoding_step_1><minimum>0</minimum><maximum>{most}</maximum>
   <center>{middle}</center></kspace_encoding_step_1></encodingLimits>
 </encoding>
</ismrmrdHeader>"""


def header(
    x: int,
    y: int,
    rows: int,
    *,
    middle: int | None = None,
    trajectory: str = "cartesian",
    millimetres: float = 2.0,
) -> str:
    """A header of `x` samples for an image of `rows` rows, and `y` columns."""
    return HEADER.format(
        x=x,
        y=y,
        rows=rows,
        field_x=x * millimetres,
        field_y=y * millimetres,
        recon_x=rows * millimetres,
        most=y - 1,
        middle=y // 2 if middle is None else middle,
        trajectory=trajectory,
    )


def transformed(image: NDArray[np.complexfloating]) -> NDArray[np.complex128]:
    """The centred orthonormal transform over the last two axes, by NumPy alone."""
    axes = (-2, -1)
    moved = np.fft.ifftshift(image, axes=axes)
    return np.fft.fftshift(np.fft.fft2(moved, axes=axes, norm="ortho"), axes=axes)


def phantom(height: int, width: int) -> NDArray[np.float64]:
    """Smooth blobs and an edge, from 0 to 1, that look alike in no direction."""
    y, x = np.mgrid[-1 : 1 : 1j * height, -1 : 1 : 1j * width]
    blobs = np.exp(-((x - 0.2) ** 2 + (y + 0.3) ** 2) / 0.1) * 0.6
    return blobs + 0.4 * ((x + 0.3) ** 2 / 0.2 + (y - 0.1) ** 2 / 0.5 < 1)


def coil_maps(coils: int, height: int, width: int) -> NDArray[np.complex128]:
    """Smooth maps with phases."""
    y, x = np.mgrid[-1 : 1 : 1j * height, -1 : 1 : 1j * width]
    turns = np.arange(coils) * 2 * np.pi / coils
    return np.stack(
        [
            np.exp(-((x - np.cos(a)) ** 2 + (y - np.sin(a)) ** 2) / 3 + 1j * (x * np.sin(a) + a))
            for a in turns
        ]
    )


def padded(image: NDArray[np.complexfloating], rows: int) -> NDArray[np.complexfloating]:
    """The image within a field of view of more rows, as a receiver that samples faster sees it."""
    start = rows // 2 - image.shape[-2] // 2
    whole = np.zeros((*image.shape[:-2], rows, image.shape[-1]), complex)
    whole[..., start : start + image.shape[-2], :] = image
    return whole


class RawFile:
    """A file of raw data that `ismrmrd` writes."""

    def __init__(self, path: Path, text: str, group: str = "dataset") -> None:
        self._data = ismrmrd.Dataset(str(path), group)
        self._data.write_xml_header(text.encode())

    def add(
        self,
        samples: NDArray[np.inexact],
        line: int = 0,
        *,
        flags: Sequence[int] = (),
        centre: int = 0,
        **counters: int,
    ) -> None:
        """Append an acquisition (coils, samples); counters are slice, average, ..."""
        taken: Any = ismrmrd.Acquisition.from_array(np.ascontiguousarray(samples, np.complex64))
        taken.idx.kspace_encode_step_1 = line
        taken.center_sample = centre
        for name, value in counters.items():
            setattr(taken.idx, name, value)
        for flag in flags:
            taken.setFlag(flag)
        self._data.append_acquisition(taken)

    def close(self) -> None:
        """Write the rest."""
        self._data.close()


def write_fastmri(
    path: Path,
    kspace: NDArray[np.inexact],
    text: str,
    mask: NDArray[np.generic] | None = None,
) -> None:
    """A file with the keys that fastMRI documents."""
    with h5py.File(path, "w") as file:
        file["kspace"] = kspace.astype(np.complex64)
        file["ismrmrd_header"] = text
        file["reconstruction_esc"] = np.zeros((len(kspace), 8, 8), np.float32)
        if mask is not None:
            file["mask"] = mask
        file.attrs["max"], file.attrs["norm"] = 1.0, 2.0


def write_cfl(base: Path, values: NDArray[np.complexfloating]) -> None:
    """A pair of files in the published layout of BART: 16 lengths, the first axis fastest."""
    lengths = [*values.shape, *[1] * (16 - values.ndim)]
    base.with_name(base.name + ".hdr").write_text(f"# Dimensions\n{' '.join(map(str, lengths))}\n")
    values.astype(np.complex64).ravel("F").tofile(base.with_name(base.name + ".cfl"))

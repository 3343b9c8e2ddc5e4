"""Measurements: what the instrument delivered, with everything needed to use them later.

They are made once and saved; a solver sees these and never the true image. The file is safetensors
with one tensor, `values`, and JSON: reading it runs no code.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from safetensors import SafetensorError
from safetensors.torch import load as parse_safetensors
from safetensors.torch import save as format_safetensors
from torch import Tensor

from invprob.errors import ArgumentError, FileError, MeasurementError, UnknownNameError
from invprob.files import atomic_write, file_error
from invprob.operators.base import Operator
from invprob.operators.noise import Noise
from invprob.streams import stream
from invprob.types import Images, Measured, PerImage, Shape, Spec

VERSION = 1
_KEY = "invprob-measurements"  # one key, because safetensors does not keep the order of several
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "image_shape": list,
    "operator": dict,
    "fingerprint": str,
    "noise": (dict, type(None)),
    "seed": int,
    "record": dict,
}


@dataclass(frozen=True)
class Measurements:
    """Measurements of `len(values)` images of `image_shape`, and how they came about.

    `values` are float32 on the CPU, (batch, *measurement_shape). `noise_spec` is None where no
    noise was added or where it is not known; `seed` is what noise was drawn from. `record` is free
    JSON: the source's name, how it was fitted. Raises `MeasurementError` if values are not finite.
    """

    values: Measured
    image_shape: Shape
    operator_spec: Spec
    fingerprint: str
    noise_spec: Spec | None = None
    seed: int = 0
    record: Spec = field(default_factory=dict)
    version: int = VERSION

    def __post_init__(self) -> None:
        if self.values.ndim == 0 or len(self.values) == 0:
            raise MeasurementError("there are no measurements: the batch is empty")
        if not bool(self.values.isfinite().all()):
            count = int((~self.values.isfinite()).sum())
            raise MeasurementError(
                f"{count} of {self.values.numel()} measurements are NaN or infinite; "
                "leave them out of the operator, or mend them first"
            )

    @staticmethod
    def from_array(
        array: Tensor | ArrayLike,
        operator: Operator,
        *,
        noise: Noise | None = None,
        seed: int = 0,
        record: Spec | None = None,
    ) -> "Measurements":
        """Take measurements that were made elsewhere, with or without the batch axis.

        Raises `MeasurementError` if they are not real finite numbers of the operator's measurement
        shape.
        """
        values = _real(array)
        shape = operator.measurement_shape
        if tuple(values.shape) == shape:
            values = values[None]
        _check_shape(values, operator)
        return _of(values, operator, noise, seed, record)

    def operator(self) -> Operator:
        """Build the operator again; raises `MeasurementError` if it is not what it was."""
        try:
            operator = Operator.from_spec(self.operator_spec)
        except UnknownNameError as error:
            raise MeasurementError(
                f"the operator of these measurements cannot be built: {error} If it comes from a "
                "plugin, load that first (--plugin FILE, or invprob.registry.load_plugin)."
            ) from error
        except (ArgumentError, KeyError, TypeError, AttributeError) as error:
            raise MeasurementError(
                f"the operator of these measurements cannot be built: {error}"
            ) from error
        self.check(operator)
        return operator

    def for_images(self, rows: slice, operator: Operator) -> "Measurements":
        """The measurements of some images, made by `operator`, which is the operator of all.

        What the record says of each image stays as it is.
        """
        own = operator.for_images(rows)
        return replace(
            self, values=self.values[rows], operator_spec=own.spec(), fingerprint=own.fingerprint()
        )

    def noise(self) -> Noise | None:
        """Build the noise again; None where none was added or it is not known.

        Raises `MeasurementError` if it cannot be built.
        """
        if self.noise_spec is None:
            return None
        try:
            return Noise.from_spec(self.noise_spec)
        except (UnknownNameError, ArgumentError) as error:
            raise MeasurementError(
                f"the noise of these measurements cannot be built: {error}"
            ) from error

    def check(self, operator: Operator) -> None:
        """Raise `MeasurementError` unless these are measurements of this very operator."""
        _check_shape(self.values, operator)
        found = operator.fingerprint()
        if found != self.fingerprint:
            raise MeasurementError(
                f"these measurements were made with an operator of fingerprint "
                f"{self.fingerprint[:12]}, but {operator!r} has {found[:12]}; use "
                "`measurements.operator()`, or the same options, seed and version as when measuring"
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file, whole or not at all; raises `FileError`."""
        about = {
            "version": self.version,
            "image_shape": list(self.image_shape),
            "image_range": [-1.0, 1.0],
            "operator": self.operator_spec,
            "fingerprint": self.fingerprint,
            "noise": self.noise_spec,
            "seed": self.seed,
            "record": self.record,
        }
        metadata = {_KEY: json.dumps(about)}
        content = format_safetensors({"values": self.values.contiguous()}, metadata)
        with atomic_write(path) as temporary:
            temporary.write_bytes(content)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> "Measurements":
        """Read a file and verify it, its operator included, bit for bit what was saved.

        Raises `FileError` if there is no such file or it is of another kind; `MeasurementError` if
        what it holds does not fit together.
        """
        content = _read(path)
        with _named(path):
            about = _metadata(content)
            version = about.get("version")
            if not isinstance(version, int) or version > VERSION:
                raise MeasurementError(
                    f"they are of version {version!r}, this program reads up to {VERSION}; "
                    "install a newer invprob"
                )
            missing = [name for name in _FIELDS if name not in about]
            tensors = parse_safetensors(content)
            missing += [] if "values" in tensors else ["values"]
            if missing:
                raise MeasurementError(f"it lacks {', '.join(missing)}; measure again")
            for name, kind in _FIELDS.items():
                if not isinstance(about[name], kind):
                    raise MeasurementError(f"its {name} is {about[name]!r}; measure again")
            values = tensors["values"]
            if values.dtype != torch.float32:
                raise MeasurementError(f"values must be float32, got {values.dtype}")
            loaded = Measurements(
                values=values,
                image_shape=tuple(about["image_shape"]),
                operator_spec=about["operator"],
                fingerprint=about["fingerprint"],
                noise_spec=about["noise"],
                seed=about["seed"],
                record=about["record"],
                version=version,
            )
            operator = loaded.operator()
            if operator.image_shape != loaded.image_shape:
                raise MeasurementError(
                    f"its images are {loaded.image_shape}, its operator reads "
                    f"{operator.image_shape}; measure again"
                )
            return loaded


def measure(
    image: Images,
    operator: Operator,
    noise: Noise | None = None,
    *,
    seed: int = 0,
    record: Spec | None = None,
) -> Measurements:
    """Measure images (batch, *image_shape) in [-1, 1], and add noise where some is given.

    Every image of the batch gets the same draw of noise, so that each is measured as it would be
    alone. Raises `ShapeError` for images that do not fit, `MeasurementError` for values not finite,
    `ArgumentError` where such noise makes no sense of the measurement.
    """
    with torch.no_grad():
        clean = operator(image)
        if noise is not None:
            noise.check(clean)
        values = clean if noise is None else noise(clean, stream(seed, "noise"))
    return _of(values, operator, noise, seed, record)


def snr(clean: Measured, noisy: Measured) -> PerImage:
    """Signal-to-noise ratio in dB: 10 log10(||clean||² / ||noisy - clean||²), infinite if equal."""
    power = clean.flatten(1).square().sum(1)
    return 10 * torch.log10(power / (noisy - clean).flatten(1).square().sum(1))


def _of(
    values: Tensor, operator: Operator, noise: Noise | None, seed: int, record: Spec | None
) -> Measurements:
    return Measurements(
        values=values.detach().to("cpu", torch.float32, copy=True).contiguous(),
        image_shape=operator.image_shape,
        operator_spec=operator.spec(),
        fingerprint=operator.fingerprint(),
        noise_spec=None if noise is None else noise.spec(),
        seed=seed,
        record=dict(record or {}),
    )


def _real(array: Tensor | ArrayLike) -> Tensor:
    if not isinstance(array, Tensor):
        try:
            numbers = np.asarray(array)
        except ValueError as error:
            raise MeasurementError(f"measurements must be one array of numbers: {error}") from error
        if numbers.dtype.kind not in "buifc":
            raise MeasurementError(f"measurements must be numbers, got {numbers.dtype} elements")
        if numbers.dtype.kind == "c":
            array = torch.from_numpy(numbers.astype(np.complex128))
        else:
            array = torch.from_numpy(numbers.astype(np.float64))
    if array.is_complex():
        raise MeasurementError(
            "measurements must be real; give complex ones a last axis of 2 (torch.view_as_real)"
        )
    return array


def _check_shape(values: Tensor, operator: Operator) -> None:
    shape = operator.measurement_shape
    if tuple(values.shape[1:]) != shape or values.ndim == 0:
        raise MeasurementError(
            f"{operator!r} makes measurements of shape {shape}, or (batch, {str(shape)[1:]} for "
            f"several images; got {tuple(values.shape)}"
        )


def _read(path: str | os.PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise file_error(path, error, "read") from error


def _metadata(content: bytes) -> Mapping[str, Any]:
    """The JSON of a measurements file; raises `FileError` for any other file."""
    other = "this is not a file of measurements; make one with `invprob measure`"
    if len(content) < 8 or int.from_bytes(content[:8], "little") > len(content) - 8:
        raise FileError(other)
    try:
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        about = json.loads(header["__metadata__"][_KEY])
    except (ValueError, KeyError, TypeError):
        raise FileError(other) from None
    if not isinstance(about, dict):
        raise FileError(other)
    return about


@contextmanager
def _named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Begin every message with the file's name."""
    try:
        yield
    except SafetensorError as error:
        raise FileError(f"{os.fspath(path)!r}: the file is damaged ({error})") from error
    except FileError as error:
        raise FileError(f"{os.fspath(path)!r}: {error}") from error
    except MeasurementError as error:
        raise MeasurementError(f"{os.fspath(path)!r}: {error}") from error

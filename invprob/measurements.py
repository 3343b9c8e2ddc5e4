"""Measurements: what the instrument delivered, with all that it takes to use them later.

They are made once and saved. A solver sees measurements and never the true image. The file is
safetensors with one tensor, `values`, and JSON, so reading it runs no code.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from numpy.typing import ArrayLike
from safetensors.torch import load as parse_safetensors
from safetensors.torch import save as format_safetensors
from torch import Tensor

from invprob.ambient import own_precision, undisturbed
from invprob.arrays import Contents
from invprob.calls import checked
from invprob.cards import measurement_card
from invprob.errors import ArgumentError, MeasurementError, UnknownNameError
from invprob.files import atomic_write
from invprob.image_range import doubt_images, doubt_measurements, doubt_noise
from invprob.kinds import remedy
from invprob.measurement_file import KEY, checked_parts, metadata, named, read
from invprob.operators.base import Operator
from invprob.operators.noise import Noise
from invprob.operators.observed import Observed
from invprob.plain import plain
from invprob.real_numbers import check_finite, check_shape, real_numbers
from invprob.streams import stream, whole_seed
from invprob.types import Images, Measured, PerImage, Shape, Spec
from invprob.units import Units, in_units
from invprob.warned import warn_of
from invprob.whitening import weighed, whitened

VERSION = 1


@remedy("measure(image, operator), or Measurements.from_array(values, operator)")
@checked
@dataclass(frozen=True)
class Measurements:
    """Measurements of one or more images, and how they came about.

    `measure` makes them from images, `from_array` takes in those that were made elsewhere, and
    `load` reads them from a file.

    Args:
        values: what was measured, (batch, *measurement_shape), float32 on the CPU.
        image_shape: the shape of the images, without the batch axis.
        operator_spec: JSON from which `Operator.from_spec` builds what measured.
        fingerprint: the operator's, by which it is known again.
        noise_spec: JSON from which `Noise.from_spec` builds the noise. None: none was added, or it
            is not known.
        seed: what the noise was drawn from.
        record: free JSON, such as the names of the images and how they were fitted.
        version: that of the file format.

    Raises:
        MeasurementError: there are no values, or some are not finite.
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
        if self.values.is_inference():  # autograd could not keep them
            with undisturbed():
                object.__setattr__(self, "values", self.values.clone())
        if self.values.ndim == 0 or len(self.values) == 0:
            raise MeasurementError("there are no measurements: the batch is empty")
        check_finite(self.values)
        Units.of(self.record)  # raises where it is damaged

    def __repr__(self) -> str:
        """The facts in one line, without the numbers."""
        noise = None if self.noise_spec is None else self.noise_spec.get("type")
        return (
            f"Measurements(values={tuple(self.values.shape)}, image_shape={self.image_shape}, "
            f"operator={self.operator_spec.get('type')!r}, noise={noise!r}, seed={self.seed})"
        )

    def _repr_html_(self) -> str:
        return measurement_card(self.values, self.image_shape, self.operator_spec, self.noise_spec)

    @staticmethod
    @checked
    @undisturbed()
    def from_array(
        array: Tensor | ArrayLike,
        operator: Operator,
        *,
        noise: Noise | None = None,
        seed: int = 0,
        record: Spec | None = None,
        image_range: Sequence[float] | None = None,
        gain: float | Literal["auto"] = 1.0,
        offset: float | Literal["auto"] = 0.0,
        weights: Contents | None = None,
        covariance: Contents | None = None,
    ) -> "Measurements":
        """Take in measurements that were made elsewhere.

        Where the operator observes nothing, they may hold anything; it is not kept. What was
        measured is gain · A(u) + offset, where u is the image in its own units.

        Args:
            array: (batch, *measurement_shape), or the measurement shape alone for one image.
            operator: what would measure the same.
            noise: what the measurements hold besides, if it is known.
            seed: what the noise was drawn from.
            record: free JSON to keep with them.
            image_range: what black and white are in the units of the image, such as (0, 255). None:
                images are in [-1, 1]. See `invprob.units`.
            gain: what the operator's measurement was multiplied by. "auto": it is not known, and is
                estimated with the image.
            offset: what was added to it, or "auto".
            weights: how much each squared residual counts; see `invprob.whitening.weighed`.
            covariance: that of the noise along one axis; see `invprob.whitening.whitened`.

        Returns:
            The measurements, in float32 and in the units of images in [-1, 1].

        Raises:
            MeasurementError: the array does not hold real finite numbers, or not those of the
                operator's measurement shape.
            ArgumentError: the units, the weights or the covariance make no sense.
            MeasurementWarning: as a warning, where the operator doubts them (`Operator.doubts`),
                and where they or the noise are much larger than images in [-1, 1] allow.
        """
        values = real_numbers(array)
        shape = operator.measurement_shape
        if tuple(values.shape) == shape:
            values = values[None]
        check_shape(values, operator)
        units = Units.asked(image_range, gain, offset)
        values, operator, noise, units = in_units(values, operator, noise, units)
        values = Observed(operator).target(values.to(torch.float32), operator)
        check_finite(values)
        warn_of(*operator.doubts(values), doubt_measurements(values, operator, noise))
        if noise is not None:
            warn_of(doubt_noise(noise, values, operator))
        if weights is not None and covariance is not None:
            raise ArgumentError("weights and a covariance both weigh; leave one out")
        if weights is not None:
            values, operator, noise = weighed(values, operator, noise, weights)
        if covariance is not None:
            values, operator, noise = whitened(values, operator, noise, covariance)
            noise = noise and noise.scaled(1 / abs(units.divided_by))
        return _of(values, operator, noise, seed, {**(record or {}), **units.to_record()})

    @property
    def units(self) -> Units:
        """The units in which they were given."""
        return Units.of(self.record)

    @checked
    def physical(self, image: Images) -> Images:
        """An image in its own units.

        Args:
            image: in [-1, 1], of any shape.

        Returns:
            The image between the two values of `image_range`.
        """
        return self.units.physical(image)

    @undisturbed()
    def operator(self) -> Operator:
        """Build the operator again.

        Returns:
            The operator, on the CPU.

        Raises:
            MeasurementError: the operator is not registered, or not the one that measured.
        """
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

    @checked
    def for_images(self, rows: slice, operator: Operator) -> "Measurements":
        """The measurements of some of the images.

        Args:
            rows: which images.
            operator: the operator of all images.

        Returns:
            Their measurements. The record stays that of all images.
        """
        own = operator.for_images(rows)
        return replace(
            self, values=self.values[rows], operator_spec=own.spec(), fingerprint=own.fingerprint()
        )

    @undisturbed()
    def noise(self) -> Noise | None:
        """Build the noise again.

        Returns:
            The noise. None where none was added or it is not known.

        Raises:
            MeasurementError: the noise cannot be built.
        """
        if self.noise_spec is None:
            return None
        try:
            return Noise.from_spec(self.noise_spec)
        except (UnknownNameError, ArgumentError) as error:
            reason = f"the noise of these measurements cannot be built: {error}"
            raise MeasurementError(reason) from error

    @checked
    def check(self, operator: Operator) -> None:
        """See that an operator is the one that measured.

        Args:
            operator: an operator, such as one that was built anew.

        Raises:
            MeasurementError: it is another one, or one with other options or another seed.
        """
        check_shape(self.values, operator)
        found = operator.fingerprint()
        if found != self.fingerprint:
            raise MeasurementError(
                f"these measurements were made with an operator of fingerprint "
                f"{self.fingerprint[:12]}, but {operator!r} has {found[:12]}; use "
                "`measurements.operator()`, or the same options, seed and version as when measuring"
            )

    @checked
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file.

        Args:
            path: the file; one of that name is replaced.

        Raises:
            FileError: the file cannot be written. Then there is no half of it.
        """
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
        header = {KEY: json.dumps(about)}
        content = format_safetensors({"values": self.values.contiguous()}, header)
        with atomic_write(path) as temporary:
            temporary.write_bytes(content)

    @staticmethod
    @checked
    @undisturbed()
    def load(path: str | os.PathLike[str]) -> "Measurements":
        """Read what `save` wrote, and see that the operator can be built from it.

        Args:
            path: the file.

        Returns:
            The measurements, bit for bit as they were saved.

        Raises:
            FileError: there is no such file, or it is of another kind.
            MeasurementError: what it holds does not fit together.
            MeasurementWarning: as a warning, where the values are much larger than images in
                [-1, 1] allow.
        """
        content = read(path)
        with named(path):
            about = metadata(content)
            version = about.get("version")
            if not isinstance(version, int) or version > VERSION:
                raise MeasurementError(
                    f"they are of version {version!r}, this program reads up to {VERSION}; "
                    "install a newer invprob"
                )
            values = checked_parts(about, parse_safetensors(content))
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
            doubt = doubt_measurements(values, operator, loaded.noise())
        warn_of(None if doubt is None else f"{os.fspath(path)!r}: {doubt}")
        return loaded


@checked
@undisturbed()
def measure(
    image: Images,
    operator: Operator,
    noise: Noise | None = None,
    *,
    seed: int = 0,
    record: Spec | None = None,
) -> Measurements:
    """Measure images, and add noise.

    Args:
        image: the images, (batch, *image_shape) in [-1, 1].
        operator: what measures them.
        noise: what is added to the measurements, where something is observed. None: nothing. All
            images of the batch get the same draw, so that each is measured as it would be alone.
        seed: what the noise is drawn from.
        record: free JSON to keep with the measurements.

    Returns:
        The measurements, in float32 on the CPU.

    Raises:
        ShapeError: the images are not of the operator's image shape.
        ArgumentError: the noise makes no sense of such measurements.
        MeasurementError: some values are not finite.
        MeasurementWarning: as a warning, where images or noise are far out of the range [-1, 1].
    """
    with torch.no_grad():
        values = clean = operator(image)
        warn_of(doubt_images(image))
        if noise is not None:
            noise.check(clean)
            warn_of(doubt_noise(noise, clean, operator))
            values = Observed(operator).only(noise(clean, stream(seed, "noise")), clean)
    return _of(values, operator, noise, seed, record)


@checked
@own_precision()
def snr(clean: Measured, noisy: Measured) -> PerImage:
    """Signal-to-noise ratio in dB: 10 log10(||clean||² / ||noisy - clean||²).

    Args:
        clean: measurements without noise, (batch, *measurement_shape).
        noisy: the same with noise.

    Returns:
        The ratio of each image, (batch,); infinite where both are equal.
    """
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
        seed=whole_seed(seed),
        record=plain("record", dict(record or {})),
    )

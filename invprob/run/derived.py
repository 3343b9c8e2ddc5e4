"""The results of scans go back into files of scanners: physical values, geometry, and a mark."""

from pathlib import Path

from torch import Tensor

from invprob.errors import FileError
from invprob.formats.scan import Derivation, Placement, Planes
from invprob.measurements import Measurements
from invprob.operators.base import Operator
from invprob.run.config import RunConfig
from invprob.run.folder import RunFolder
from invprob.run.images import central_square, padded_place
from invprob.run.paste import IN_PLACE
from invprob.run.scans import WindowedScan, read_windowed, selection_of

RESTORED = "restored"  # with the ending of the format
PASTED = "pasted"  # with --paste


class Derived:
    """Writes the results of a run for those of its images that were scans.

    Args:
        config: the settings of the run.
        measurements: what was measured, with the windows in its record.
        operator: what measured it.
    """

    def __init__(self, config: RunConfig, measurements: Measurements, operator: Operator) -> None:
        self._config = config
        self._windows = measurements.record.get("windows") or []
        noise = measurements.noise()
        added = "" if noise is None else f" with {noise!r}"
        simulated = "simulated measurements" if config.simulated else "measurements"
        self._how = (
            f"Restored by the method {config.method.name} from {simulated} ({operator.describe()}"
            f"{added})."
        )
        self._factor = 1.0
        if not config.simulated and len(operator.measurement_shape) == 3:
            self._factor = operator.image_shape[-1] / operator.measurement_shape[-1]
        self._moved = [name for name in operator.names() if name not in IN_PLACE]

    @property
    def wanted(self) -> bool:
        """Whether an image was a scan, and the pixels of the result are where those of it were."""
        return self.refusal is None and any(self._windows)

    @property
    def refusal(self) -> str | None:
        """Why scans are not written, where that is so: a line for the user."""
        if not any(self._windows) or self._config.measurements is not None:
            return None
        if self._config.simulated and self._config.transforms:
            return "no restored scan is written, because transforms may move its pixels"
        if not self._config.simulated and self._moved:
            return f"no restored scan is written, because {self._moved[0]} may move its pixels"
        return None

    def write(
        self, folder: RunFolder, prefix: str, index: int, result: Tensor, whole: Tensor | None
    ) -> None:
        """Write what a result is in the format of its scan.

        Args:
            folder: where to write.
            prefix: of the file's name, such as "name/".
            index: which image of the run.
            result: the restored square, (3, size, size) in [-1, 1].
            whole: the whole picture with the square in its place, (1, 3, height, width). None: it
                is not asked for.

        Raises:
            FileError: the scan is gone or changed, or a file cannot be written.
        """
        if not self.wanted or self._config.measurements is not None or not self._windows[index]:
            return
        source, config = self._read(self._windows[index]), self._config
        writer = source.scan.writer
        write_restored(
            result,
            source,
            folder.place(f"{prefix}{RESTORED}{writer.suffix}"),
            how=self._how,
            fit=config.fit,
            keep_patient=config.keep_patient,
        )
        if whole is not None:
            derivation = Derivation(self._how, source.window, config.keep_patient)
            planes = _physical(source, whole[0])
            step = 1 / self._factor
            if self._factor == 1:
                planes = _outside_kept(source, planes, self._config.fit)
            writer.write(
                folder.place(f"{prefix}{PASTED}{writer.suffix}"),
                planes,
                Placement(row_step=step, column_step=step),
                derivation,
            )

    def _read(self, record: dict[str, object]) -> WindowedScan:
        config = self._config
        paths = config.images if config.simulated else config.measured
        path = Path(paths[int(str(record["file"]))])
        source = read_windowed(path, selection_of(config))
        if {**record, **source.record()} != record:
            raise FileError(f"{str(path)!r} is not what it was when the run began; bring that back")
        return source


def write_restored(
    result: Tensor,
    source: WindowedScan,
    path: Path,
    *,
    how: str,
    fit: str = "crop",
    keep_patient: bool = False,
) -> None:
    """Write a restored image in the format of the scan that it was fitted from.

    Args:
        result: the square, (3, size, size) or (1, 3, size, size) in [-1, 1].
        source: the scan, with the window that made it an image.
        path: the file; its ending must be that of the format, `source.scan.writer.suffix`.
        how: how the pixels came about, a sentence without anything about the patient.
        fit: how the scan became square, as in `load_image`.
        keep_patient: whether a DICOM file names the patient.

    Raises:
        FileError: the ending is another one, or the file cannot be written.
    """
    writer = source.scan.writer
    if not path.name.endswith(writer.suffix):
        raise FileError(f"{str(path)!r} must end in {writer.suffix}, as {source.name} is written")
    square, place = fitted_place(source.scan.size, fit, result[0] if result.ndim == 4 else result)
    derivation = Derivation(how, source.window, keep_patient)
    writer.write(path, _physical(source, square), place, derivation)


def fitted_place(size: tuple[int, int], fit: str, result: Tensor) -> tuple[Tensor, Placement]:
    """The part of a restored square that is of the slice, and where it lies in that.

    Args:
        size: width and height of the slice.
        fit: how it became square, as in `load_image`.
        result: the square, (channel, size, size).
    """
    width, height = size
    side = result.shape[-1]
    if fit == "crop":
        top, left, length = central_square(height, width)
        return result, Placement(top, left, length / side, length / side)
    if fit == "pad":
        first, start, rows, columns = padded_place(height, width, side)
        inside = result[..., first : first + rows, start : start + columns]
        return inside, Placement(0, 0, height / rows, width / columns)
    return result, Placement(0, 0, height / side, width / side)


def _physical(source: WindowedScan, image: Tensor) -> Planes:
    """Physical values of an image, (3, height, width), with the channels of its scan."""
    values = source.window.to_physical(image.detach().cpu().double().numpy())
    return values.mean(0, keepdims=True) if len(source.scan.planes) == 1 else values


def _outside_kept(source: WindowedScan, planes: Planes, fit: str) -> Planes:
    """The scan itself, also beyond its window, but for the square that was restored."""
    if fit != "crop":
        return planes
    whole = source.scan.planes.copy()
    top, left, side = central_square(*whole.shape[1:])
    inside = (..., slice(top, top + side), slice(left, left + side))
    whole[inside] = planes[inside]
    return whole

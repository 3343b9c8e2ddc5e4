"""A restored square is laid back into the picture that it was cropped from."""

from pathlib import Path

from invprob.errors import ArgumentError
from invprob.operators.base import Operator
from invprob.run.align import aligner_of
from invprob.run.config import RunConfig
from invprob.run.images import central_square, padded_place, read_image, resize_image
from invprob.run.measured import LOCAL
from invprob.run.raw_scans import is_array
from invprob.run.samples import sample_path
from invprob.run.scans import selection_of
from invprob.types import Images

# Operators whose measurement has its pixels where the image has them.
IN_PLACE = LOCAL | {"box-mask", "hold-out", "jpeg", "random-mask", "stroke-mask"}


def check_paste(config: RunConfig, operator: Operator) -> None:
    """See that the results of a run can be laid back into its pictures, if it is asked for.

    Raises:
        ArgumentError: they cannot.
    """
    if not config.paste:
        return
    if config.transforms:
        raise ArgumentError("--paste needs the picture as it is, and transforms change it")
    if config.simulated:
        return
    arrays = [path for path in config.measured if is_array(Path(path), config)]
    if arrays:
        raise ArgumentError(f"--paste needs pictures, and {arrays[0]} is an array; leave it out")
    moved = [name for name in operator.names() if name not in IN_PLACE]
    if moved:
        raise ArgumentError(
            f"--paste needs a measurement with its pixels where the image has them, and {moved[0]} "
            "may move them; leave it out"
        )


def pasted(result: Images, config: RunConfig, operator: Operator, index: int) -> Images:
    """The whole picture of an image of a run, with the result in its place.

    Args:
        result: the restored image, (1, 3, size, size) in [-1, 1].
        config: the settings of the run, which `check_paste` found good.
        operator: what measured. Where it makes images smaller, a picture that is the measurement is
            enlarged as much.
        index: which image of the run.

    Returns:
        The picture, upright and over white where it is transparent, (1, 3, height, width).

    Raises:
        FileError: the picture is not there any more.
    """
    samples = [sample_path(name) for name in config.samples]
    paths = [Path(path) for path in config.measured] or samples + [Path(p) for p in config.images]
    own = paths[index] not in samples
    selection = selection_of(config) if own else None
    picture = read_image(
        paths[index], white=config.white if own else None, selection=selection
    ).tensor
    factor = 1.0 if config.simulated else result.shape[-1] / operator.measurement_shape[-1]
    aligner = aligner_of(config) if own else None
    if aligner is not None:
        return aligner(paths[index].name, picture).laid_back(result, picture, factor)
    return paste(result, picture, config.fit, factor)


def paste(result: Images, picture: Images, fit: str, factor: float = 1.0) -> Images:
    """Lay a restored square into the picture that it was fitted from.

    Args:
        result: the square, (1, channel, size, size) in [-1, 1].
        picture: the whole picture, (1, channel, height, width) in [-1, 1].
        fit: how it became square, as in `load_image`.
        factor: how many times larger the picture becomes first.

    Returns:
        The picture with the square at the size and the place of what it stands for. Nothing else of
        it is changed, but for its size.
    """
    height, width = picture.shape[2:]
    whole = resize_image(picture, round(height * factor), round(width * factor)).clone()
    top, left, rows, columns = 0, 0, *whole.shape[2:]
    if fit == "crop":
        above, beside, side = central_square(height, width)
        top, left, rows = (round(length * factor) for length in (above, beside, side))
        columns = rows
    if fit == "pad":
        first, start, inner, across = padded_place(height, width, result.shape[-1])
        result = result[..., first : first + inner, start : start + across]
    whole[..., top : top + rows, left : left + columns] = resize_image(result, rows, columns)
    return whole

"""The numbers of a TIFF file, as they are: a frame, or several of which one is read."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from invprob.errors import FileError, InvprobError
from invprob.files import file_error
from invprob.formats.stored import Array, Index, Stored, check_bytes

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DTYPES = {"L": "u1", "I;16": "<u2", "I;16B": ">u2", "I": "<i4", "F": "<f4"}


class _Frames(Stored):
    """The frames of a file, all of one size and kind."""

    def __init__(self, name: str, image: Image.Image) -> None:
        if image.mode not in _DTYPES:
            raise FileError(
                f"{name!r} has pixels of the kind {image.mode}, and not one number each; save it "
                "in grey, of 8 or 16 bits or floating-point numbers"
            )
        width, height = image.size
        count = int(getattr(image, "n_frames", 1))
        shape = (height, width) if count == 1 else (count, height, width)
        super().__init__(name, shape, np.dtype(_DTYPES[image.mode]))
        self._image, self._size, self._mode = image, image.size, image.mode

    def _read(self, index: Index) -> Array:
        if len(self.shape) == 2:
            return self._frame(0)[index]
        first, rest = index[0], index[1:]
        if isinstance(first, int):
            return self._frame(first)[rest]
        check_bytes(self.name, self.shape, self.dtype)
        return np.stack([self._frame(at) for at in range(self.shape[0])])[index]

    def _frame(self, at: int) -> Array:
        check_bytes(self.name, self.shape[-2:], self.dtype)
        self._image.seek(at)
        if (self._image.size, self._image.mode) != (self._size, self._mode):
            raise FileError(f"{self.name!r} has frames of several sizes or kinds; save one of them")
        return np.asarray(self._image)


@contextmanager
def open_tiff(path: Path) -> Iterator[Mapping[str, Stored]]:
    """The frames of a file as one array.

    Raises:
        FileError: it is damaged, or has several numbers in a pixel.
    """
    try:
        with path.open("rb") as file, Image.open(file, formats=("TIFF",)) as image:
            yield {path.stem: _Frames(path.name, image)}
    except InvprobError:
        raise
    except UnidentifiedImageError as error:
        raise FileError(f"{str(path)!r} is a TIFF file of a kind that is not read") from error
    except Image.DecompressionBombError as error:
        raise FileError(f"{str(path)!r} is too large: {error}") from error
    except OSError as error:
        if error.errno is not None:
            raise file_error(path, error, "read") from error
        raise FileError(f"{str(path)!r} is a damaged TIFF file: {error}") from error
    except (ValueError, SyntaxError, EOFError, TypeError) as error:
        raise FileError(f"{str(path)!r} is a damaged TIFF file: {error}") from error

"""Files are written whole or not at all, and an error about a file is one line."""

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from invprob.errors import FileError

_REASONS = {
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "no space is left on the device; free some, or write elsewhere",
    errno.EDQUOT: "the disk quota is used up; free some space, or write elsewhere",
    errno.ENOENT: "no such file or folder",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EISDIR: "this is a folder, not a file",
    errno.ELOOP: "its symbolic links lead in a circle",
    errno.ENAMETOOLONG: "the name is too long",
}


def cache_folder() -> Path:
    """The folder for what can be made or fetched again; it need not exist.

    `INVPROB_HOME`, or else the user's cache folder as the operating system has it.
    """
    return Path(os.environ.get("INVPROB_HOME") or platformdirs.user_cache_dir("invprob"))


def file_error(path: str | os.PathLike[str], error: OSError, verb: str = "written") -> FileError:
    """The operating system's error in one line that names the file.

    Args:
        path: the file.
        error: what the operating system said.
        verb: what could not be done with the file, such as "read".

    Returns:
        The error to raise.
    """
    reason = _REASONS.get(error.errno or 0) or error.strerror or str(error)
    return FileError(f"{os.fspath(path)!r} cannot be {verb}: {reason}")


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what the block writes there becomes `path` at its end.

    On any error, an interrupt included, the temporary file is removed and `path` is as it was. The
    temporary name keeps the suffix, by which some libraries choose a format.

    Args:
        path: the file to write; one of that name is replaced.

    Yields:
        The path to write to.

    Raises:
        FileError: the folder is missing, `path` is a folder, or there is no permission or no space.
    """
    target = Path(path)
    if target.is_dir():
        raise FileError(f"{str(target)!r} is a folder; name the file to write in it")
    if not target.parent.is_dir():
        raise FileError(
            f"{str(target)!r} cannot be written: make the folder {str(target.parent)!r}"
        )
    temporary = target.with_name(f".{target.stem[:100]}.{secrets.token_hex(4)}{target.suffix}")
    try:
        yield temporary
        temporary.replace(target)
    except FileError:
        raise
    except OSError as error:
        raise file_error(target, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()  # gone already when all went well


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal.

    Args:
        path: the file.

    Raises:
        FileError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    except OSError as error:
        raise file_error(path, error, "read") from None
    return digest.hexdigest()

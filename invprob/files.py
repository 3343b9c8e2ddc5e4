"""Files appear whole or not at all, and what goes wrong is said in one line."""

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

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


def file_error(path: str | os.PathLike[str], error: OSError, verb: str = "written") -> FileError:
    """Turn an operating system's error into one line that names the file."""
    reason = _REASONS.get(error.errno or 0) or error.strerror or str(error)
    return FileError(f"{os.fspath(path)!r} cannot be {verb}: {reason}")


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what was written there becomes `path` at the end.

    On any error, an interrupt included, the temporary file is removed and `path` is as it was. The
    temporary name keeps the suffix, by which some libraries choose a format. Raises `FileError` for
    a missing folder, a folder in the file's place, no permission, no space.
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
    """The sha256 of a file, in hexadecimal; raises `FileError` where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    except OSError as error:
        raise file_error(path, error, "read") from None
    return digest.hexdigest()

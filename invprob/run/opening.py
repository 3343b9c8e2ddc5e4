"""A run's folder is made, opened, locked or replaced, and never left half made."""

import contextlib
import errno
import itertools
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from invprob.errors import RunError
from invprob.files import file_error
from invprob.run.folder import CONFIG, LOCK, RunFolder, is_run_folder


@contextlib.contextmanager
def open_folder(path: Path) -> Iterator[RunFolder]:
    """Hold the lock of an existing run folder.

    Args:
        path: the folder.

    Yields:
        The folder.

    Raises:
        RunError: there is no run in it, or another process is at work in it.
    """
    if not path.exists():
        raise RunError(
            f"there is no folder {str(path)!r}; runs lie in runs/ unless --out was given"
        )
    if not is_run_folder(path):
        raise RunError(f"{str(path)!r} is not the folder of a run: it has no {CONFIG} of one")
    with locked(path):
        yield RunFolder(path)


@contextlib.contextmanager
def new_folder(out: Path | None, name: str, *, overwrite: bool = False) -> Iterator[RunFolder]:
    """Make a run folder, and hold its lock.

    Unless the block calls `keep`, everything is as it was after an error, a replaced folder
    included.

    Args:
        out: the folder to make. None: `runs/NAME-NNN`, with the next free number.
        name: what to call it where `out` is None.
        overwrite: whether to replace a run that lies in `out`.

    Yields:
        The folder.

    Raises:
        RunError: `out` exists, is not empty, and is not to be replaced or is no run.
        FileError: the folder cannot be made.
    """
    with contextlib.ExitStack() as undo:
        replaced = None
        if out is None:
            path = _numbered(Path("runs"), name, undo)
        else:
            replaced = _clear(out, undo, overwrite=overwrite)
            path = _make(out, undo)
        folder = RunFolder(path, replaced)
        with locked(path):
            try:
                yield folder
            finally:
                if folder.kept:
                    undo.pop_all()


def _clear(out: Path, undo: contextlib.ExitStack, *, overwrite: bool) -> Path | None:
    """Move a run that lies in `out` aside, where it may be; returns where to."""
    if not out.exists() or (out.is_dir() and _is_empty(out)):
        return None
    if not out.is_dir():
        raise RunError(f"{str(out)!r} is a file, not a folder; choose another --out")
    if not overwrite:
        raise RunError(
            f"the folder {str(out)!r} exists; choose another --out, or replace it with --overwrite"
        )
    if not is_run_folder(out):
        raise RunError(
            f"--overwrite replaces only folders of runs, and {str(out)!r} is none: it has no "
            f"{CONFIG} of one"
        )
    aside = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    with locked(out), _file_errors(out, "replaced"):
        out.rename(aside)
    undo.callback(aside.rename, out)
    return aside


def _make(path: Path, undo: contextlib.ExitStack) -> Path:
    """Make a folder and its parents, and let `undo` remove them."""
    missing = list(itertools.takewhile(lambda parent: not parent.exists(), (path, *path.parents)))
    with _file_errors(path, "made"):
        for folder in reversed(missing):
            folder.mkdir(exist_ok=folder != path)
            undo.callback(_remove, folder, whole=folder == path)
        if not missing:
            undo.callback(_empty, path)
            if not os.access(path, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "permission denied")
    return path


def _numbered(parent: Path, name: str, undo: contextlib.ExitStack) -> Path:
    for number in itertools.count(1):
        path = parent / f"{name}-{number:03d}"
        if not path.exists():
            with contextlib.suppress(FileExistsError):  # another process was faster
                return _make(path, undo)
    raise AssertionError("there are enough numbers")


def _remove(folder: Path, *, whole: bool) -> None:
    """Remove a folder that was made here, with its files if it is `whole`, else only if empty."""
    if whole:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _is_empty(folder: Path) -> bool:
    with _file_errors(folder, "read"):
        return next(folder.iterdir(), None) is None


@contextlib.contextmanager
def _file_errors(path: Path, verb: str) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        raise file_error(path, error, verb) from None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a folder; the operating system drops it when the process ends.

    Raises:
        RunError: another process holds it.
        FileError: the lock cannot be written.
    """
    lock = FileLock(path / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunError(
            f"another process is at work in {str(path)!r}; wait for it, or choose another folder"
        ) from None
    except OSError as error:
        raise file_error(path / LOCK, error, "locked") from None
    try:
        yield
    finally:
        lock.release()

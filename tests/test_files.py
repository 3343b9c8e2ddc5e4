"""Files appear whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from invprob.errors import FileError
from invprob.files import atomic_write, file_error


def test_the_file_appears_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "y.npy"
    with atomic_write(target) as temporary:
        temporary.write_bytes(b"new")
        assert not target.exists()
        assert (temporary.parent, temporary.suffix) == (tmp_path, ".npy")
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: BaseException
) -> None:
    target = tmp_path / "y"
    target.write_bytes(b"old")
    with pytest.raises(type(error)), atomic_write(target) as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(FileError, match=r"y' cannot be written: no space is left") as caught,
        atomic_write(tmp_path / "y"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, OSError)


def test_a_missing_folder_and_a_folder_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="make the folder"), atomic_write(tmp_path / "no" / "y"):
        pass
    with pytest.raises(FileError, match="is a folder"), atomic_write(tmp_path):
        pass


def test_a_folder_without_permission(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(FileError, match="permission denied"), atomic_write(tmp_path / "y") as path:
        path.write_bytes(b"")


def test_unlisted_reasons_are_the_systems_own() -> None:
    error = file_error("a/b", OSError(errno.EIO, "Input/output error"), "read")
    assert str(error) == "'a/b' cannot be read: Input/output error"

"""Run folders: made, numbered, kept, undone, locked."""

from pathlib import Path

import pytest
import torch

from invprob.errors import FileError, RunError
from invprob.run.config import Named, RunConfig
from invprob.run.folder import Checkpoint, RunFolder, is_run_folder
from invprob.run.opening import new_folder, open_folder

CONFIG = RunConfig(samples=("face",), operators=(Named("identity"),))


def made(path: Path) -> Path:
    """A run's folder with little in it."""
    with new_folder(path, "x") as folder:
        CONFIG.save(folder.path / "config.toml")
        folder.keep()
    return path


def test_numbers_count_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in (1, 2, 3):
        with new_folder(None, "face-circulant-sphinx") as folder:
            assert folder.path == Path(f"runs/face-circulant-sphinx-{number:03d}")
            folder.keep()


def test_what_is_not_kept_is_undone(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "a/b/c", "x") as folder:
        (folder.path / "file").touch()
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_parents_that_were_there_stay(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "a/b", "x"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_an_empty_folder_is_used_and_left_empty(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path, "x") as folder:
        (folder.path / "file").touch()
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_replaced_folder_comes_back_after_an_error(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    (run / "old").touch()
    with pytest.raises(ZeroDivisionError), new_folder(run, "x", overwrite=True) as folder:
        assert not (folder.path / "old").exists()
        raise ZeroDivisionError
    assert (run / "old").exists() and is_run_folder(run)
    assert list(tmp_path.iterdir()) == [run]
    with new_folder(run, "x", overwrite=True) as folder:
        folder.keep()
    assert not (run / "old").exists() and list(tmp_path.iterdir()) == [run]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    with open_folder(run):
        with pytest.raises(RunError, match="another process"), open_folder(run):
            pass
        with (
            pytest.raises(RunError, match="another process"),
            new_folder(run, "x", overwrite=True),
        ):
            pass
    with open_folder(run):
        pass


def test_checkpoints_come_back(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.load_checkpoint() is None
    snapshot = {"taken": torch.tensor(7), "code.w": torch.randn(2, 3)}
    folder.save_checkpoint(Checkpoint(snapshot, 1.5, (0, 1), 3))
    loaded = folder.load_checkpoint()
    assert loaded is not None and loaded.taken == 7 and loaded.seconds == 1.5
    assert torch.equal(loaded.snapshot["code.w"], snapshot["code.w"])
    (tmp_path / "checkpoint.safetensors").write_bytes(b"nonsense")
    with pytest.raises(FileError, match="damaged"):
        folder.load_checkpoint()


def test_the_trace_is_cut_where_the_checkpoint_was(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.append_trace(["1", "2"])
    folder.append_trace(["3"])
    with (tmp_path / "trace.jsonl").open("a") as file:
        file.write('{"step": 4, "tot')  # the process died here
    folder.truncate_trace(2)
    assert (tmp_path / "trace.jsonl").read_text() == "1\n2\n"

"""What every test stands on: empty caches and a fixed global seed."""

from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    """Make a test that forgets to pass a generator fail the same way each time."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _empty_caches(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hide what this machine happens to have downloaded, from here and from child processes."""
    empty: Path = tmp_path_factory.getbasetemp() / "empty-caches"
    monkeypatch.setenv("INVPROB_HOME", str(empty / "invprob"))
    monkeypatch.setenv("TORCH_HOME", str(empty / "torch"))

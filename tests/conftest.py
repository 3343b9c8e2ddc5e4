"""What every test stands on: empty caches and a fixed global seed."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from invprob.registry import register

KINDS = ("operator", "noise", "prior", "generator", "method", "loss", "metric", "direction")


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


@pytest.fixture(autouse=True)
def _registers_as_they_were() -> Iterator[None]:
    """Forget what a test registered: contract tests run over everything that is."""
    before = {kind: dict(register.of(kind)) for kind in KINDS}
    modules = set(sys.modules)
    yield
    for kind, entries in before.items():
        left = register.of(kind)._entries
        for name in set(left) - set(entries):
            module = str(getattr(left.pop(name), "__module__", ""))
            if module not in modules:
                sys.modules.pop(module, None)

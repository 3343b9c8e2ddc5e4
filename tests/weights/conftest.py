"""The test server, one published file on it, and a cache of its own for each test."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from file_server import BODY, SHA256, Site
from pulled_files import TERMS

from invprob.weights import download as downloading
from invprob.weights.catalogue import (
    Published,
)


@pytest.fixture
def site() -> Iterator[Site]:
    server = Site()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVPROB_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(downloading, "PAUSES", (0.0, 0.0))
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name == "INVPROB_OFFLINE":
            monkeypatch.delenv(name)


@pytest.fixture
def entry(site: Site) -> Published:
    return Published("mine", "generator", "A test", site.address, TERMS, len(BODY), SHA256)

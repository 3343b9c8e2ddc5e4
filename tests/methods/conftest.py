"""Small encoders where a method asks for one, since a small generator has none beside it."""

import networks
import pytest

from invprob.methods import encoded


@pytest.fixture(autouse=True)
def _encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded, "load_encoder", networks.LinearEncoder)

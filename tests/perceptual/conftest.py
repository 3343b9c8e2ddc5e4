"""Networks with random trunks, each read once from a file; tests leave them as they are."""

from pathlib import Path

import pytest
from random_trunks import TORCHVISION, loaded, random_state, saved

from invprob.perceptual.distance import PerceptualDistance


@pytest.fixture(scope="session", params=TORCHVISION)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The file of each random trunk."""
    folder = tmp_path_factory.mktemp("trunks")
    return {name: saved(random_state(name), folder / f"{name}.pth") for name in TORCHVISION}


@pytest.fixture(scope="session")
def distance(name: str, files: dict[str, Path]) -> PerceptualDistance:
    return loaded(name, files[name])

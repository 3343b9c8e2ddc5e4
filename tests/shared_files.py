"""Files that the tests like to have but that the repository does not carry."""

import os
from pathlib import Path

import pytest

_SIBLING = Path(__file__).resolve().parents[2] / "shared"


def shared(name: str) -> Path:
    """Find `name` in the shared folder, or skip the calling test.

    The folder is `$INVPROB_SHARED`, or else `shared` beside the repository.
    """
    path = Path(os.environ.get("INVPROB_SHARED") or _SIBLING) / name
    if not path.exists():
        pytest.skip(f"{path} is not there; set INVPROB_SHARED to the folder that holds {name}")
    return path

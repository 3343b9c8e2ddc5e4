"""Operators in files: the JSON of a spec, as `json.dump(operator.spec(), file)` writes it."""

import json
from pathlib import Path
from typing import Any

from invprob.errors import ArgumentError, FileError
from invprob.files import file_error
from invprob.operators.base import Operator


def read_spec(path: Path) -> dict[str, Any]:
    """Read a spec and see that it can be built; raises `FileError` or `ArgumentError`."""
    try:
        spec = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise file_error(path, error, "read") from None
    except ValueError as error:
        raise FileError(f"{str(path)!r} is not the JSON of an operator: {error}") from None
    if not isinstance(spec, dict) or not isinstance(spec.get("type"), str):
        raise FileError(
            f"{str(path)!r} is not the spec of an operator, which names its type; write one with "
            "json.dump(operator.spec(), file)"
        )
    rebuild(spec, str(path))
    return spec


def rebuild(spec: dict[str, Any], source: str) -> Operator:
    """Build what a spec says; errors begin with where it came from."""
    try:
        return Operator.from_spec(spec)
    except (TypeError, ValueError) as error:  # ArgumentError and ShapeError among them
        raise ArgumentError(f"{source}: {error}") from error

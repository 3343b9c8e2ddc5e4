"""Operators in files: JSON, as `json.dump(operator.spec(), file)` writes it."""

import json
from pathlib import Path
from typing import Any

from invprob.errors import ArgumentError, FileError
from invprob.files import file_error
from invprob.operators.base import Operator


def read_spec(path: Path) -> dict[str, Any]:
    """Read the spec of an operator, and see that the operator can be built from it.

    Raises:
        FileError: the file cannot be read, or is not a spec.
        ArgumentError: the operator cannot be built.
    """
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
    """Build an operator from its spec.

    Args:
        spec: what `Operator.spec` returned.
        source: where it came from; errors begin with that.

    Raises:
        ArgumentError: the operator cannot be built.
    """
    try:
        return Operator.from_spec(spec)
    except (TypeError, ValueError) as error:  # ArgumentError and ShapeError among them
        raise ArgumentError(f"{source}: {error}") from error

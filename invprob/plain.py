"""Values of NumPy and PyTorch as Python's own.

Experiments are written with `np.linspace`, `np.arange` and tensors. What a constructor records has
to be written to a file later, so its values become plain numbers and lists where they come in.
"""

from typing import Any, Protocol, runtime_checkable

from invprob.errors import ArgumentError

_OWN = (bool, int, float, complex, str, type(None))


@runtime_checkable
class _ArrayLike(Protocol):
    """What NumPy can read as an array, such as a column of a table."""

    def __array__(self) -> Any: ...


def plain(name: str, value: Any) -> Any:
    """A value of Python's own types.

    Args:
        name: the name of the argument, for messages.
        value: anything.

    Returns:
        A number for a number of NumPy and for an array or tensor without axes; nested lists for an
        array or tensor with axes; the same inside lists, tuples and tables. Anything else stays as
        it is.

    Raises:
        ArgumentError: it is a masked array, or a tensor that requires a gradient.
    """
    if type(value) in _OWN:
        return value
    if type(value) in (list, tuple):
        return type(value)(plain(name, item) for item in value)
    if type(value) is dict:
        return {key: plain(name, item) for key, item in value.items()}
    value = as_array(name, value)
    import numpy as np  # which takes longer to load than a command line may take for its help

    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return np.asarray(value).tolist() if isinstance(value, _ArrayLike) else value


def as_array(name: str, value: Any) -> Any:
    """A NumPy array in place of a tensor; anything else stays as it is.

    Args:
        name: the name of the argument, for messages.
        value: anything.

    Returns:
        The array, or the value.

    Raises:
        ArgumentError: it is a masked array, or a tensor that requires a gradient.
    """
    if type(value) in _OWN:
        return value
    import numpy as np
    from torch import Tensor

    if isinstance(value, np.ma.MaskedArray):
        raise ArgumentError(
            f"{name} is a masked array, and what lies under its mask is not to be read; write "
            "array.compressed() for the valid values alone, or array.filled(0) for 0 in place of "
            "the others"
        )
    if not isinstance(value, Tensor):
        return value
    if value.requires_grad:
        raise ArgumentError(
            f"{name} is a tensor that requires a gradient, which an option does not get; write "
            "tensor.detach()"
        )
    number = value.double() if value.is_floating_point() else value
    return number.cpu().resolve_conj().resolve_neg().numpy()

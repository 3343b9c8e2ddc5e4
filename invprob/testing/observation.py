"""The law of `Operator.observed`."""

import torch

from invprob.errors import ContractError
from invprob.operators.base import Operator
from invprob.operators.observed import varies


def observation(operator: Operator) -> str:
    """Hidden numbers do not change with the image, and an operator that has some says so.

    An operator that keeps the image's shape and has no `observed` of its own must change every
    number. In other shapes a number may be read and always be the same: by a detector beside the
    object, or in the imaginary part of frequency zero.
    """
    seen = operator.observed()
    if seen.dtype != torch.bool or tuple(seen.shape[1:]) != operator.measurement_shape:
        raise ContractError(
            f"observed() gives {seen.dtype} of shape {tuple(seen.shape)}, not bool of shape "
            f"{(1, *operator.measurement_shape)}"
        )
    changes = varies(operator, len(seen))
    if bool((changes & ~seen).any()):
        raise ContractError(
            f"{int((changes & ~seen).sum())} numbers change with the image, but observed() says "
            "that they are hidden"
        )
    silent = int((seen & ~changes).sum())
    untold = type(operator).observed is Operator.observed
    if silent and untold and operator.measurement_shape == operator.image_shape:
        raise ContractError(
            f"{silent} of {seen.numel()} numbers are the same whatever the image; write "
            "observed(), False for those"
        )
    return f"{int(seen.sum())} of {seen.numel()} numbers are observed"

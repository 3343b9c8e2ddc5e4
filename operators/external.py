"""Operators around what another package made, which a program can use but no file can rebuild."""

from abc import abstractmethod
from typing import Any, NoReturn

from torch import Tensor, nn

from invprob.errors import ArgumentError
from invprob.operators.observed import varies
from invprob.operators.structure import Structure, structure
from invprob.types import Spec


@structure("external")
class External(Structure):
    """An operator that wraps an object of another package; a subclass says which, in `wrapped`."""

    @abstractmethod
    def wrapped(self) -> nn.Module:
        """The object of the other package."""

    def observed(self) -> Tensor:
        """The numbers that change with the image, as measuring a few shows."""
        return varies(self)

    def spec(self) -> dict[str, Any]:
        """The class of the object: enough for a fingerprint, not for building it again."""
        kind = type(self.wrapped())
        name = f"{kind.__module__}.{kind.__qualname__}"
        return {"type": self.kind, "class": name, "image_shape": list(self.image_shape)}

    @classmethod
    def rebuilt(cls, settings: Spec) -> NoReturn:
        """Raise `ArgumentError`: the spec does not hold what the object was made from."""
        raise ArgumentError(
            f"this operator was a {settings.get('class')} of another package, which no file can "
            "rebuild; make it again, wrap it with `from_deepinv`, and give that to `solve`"
        )

    def describe(self) -> str:
        """The package and the class, such as `deepinv.Inpainting`."""
        kind = type(self.wrapped())
        return f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}"

    def names(self) -> tuple[str, ...]:
        """The name of the class."""
        return (type(self.wrapped()).__qualname__,)

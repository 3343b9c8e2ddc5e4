"""What the base classes of operators, noise, priors, terms and callbacks have in common.

Their subclasses are written by anybody. So each constructor is checked and carried out here, once
for all of them, whatever class it belongs to.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from invprob.ambient import undisturbed
from invprob.calls import Parameters, checked


class Contract:
    """A base class whose constructors check their arguments.

    They create tensors as this package does, whatever the caller has set in torch: what is made
    while gradients are off, say, can be solved with later.

    Attributes:
        called: names of methods that a subclass writes, and whose arguments are checked as well.
    """

    called: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "__init__" in vars(cls):
            setattr(cls, "__init__", _constructing(vars(cls)["__init__"]))  # noqa: B010
        for name in set(cls.called) & set(vars(cls)):
            setattr(cls, name, checked(vars(cls)[name]))

    def received(self, arguments: Mapping[str, Any]) -> None:
        """Called before the constructor, with its arguments; by default they are not kept.

        Args:
            arguments: the values by name, defaults included.
        """
        del arguments


def _constructing(init: Callable[..., None]) -> Callable[..., None]:
    parameters = functools.cache(lambda: Parameters(init))  # once the module is complete

    @functools.wraps(init)
    def constructor(self: Any, *args: Any, **keywords: Any) -> None:
        # The constructors below the most derived one are called by its author, not by a user.
        if type(self).__init__ is not constructor:
            init(self, *args, **keywords)
            return
        found = parameters().read(type(self).__name__, (self, *args), keywords)
        found.apply_defaults()
        self.received(dict(list(found.arguments.items())[1:]))  # before any of them can change
        with undisturbed():
            init(*found.args, **found.kwargs)

    return constructor

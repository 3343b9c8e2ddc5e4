"""What the pickles of the tests name. A call is seen here, and does nothing else."""

from typing import Any

calls: list[str] = []


def seen(word: str) -> None:
    """The function that a pickle asks for."""
    calls.append(word)


class Asks:
    """Pickled, it asks for a call of `seen`."""

    def __reduce__(self) -> tuple[Any, ...]:
        return seen, ("called by a pickle",)


class Seen:
    """Unpickled, it is made anew, which is seen."""

    def __new__(cls) -> "Seen":
        calls.append("made by a pickle")
        return super().__new__(cls)

    class Inner:
        """A class whose name has a point in it."""

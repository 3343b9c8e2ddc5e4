"""How far a solve is: a bar below the cell of a notebook, a line on the error stream elsewhere."""

import sys
import time
from abc import ABC, abstractmethod
from typing import Any, TextIO, final

from torch import Tensor

from invprob.callbacks import Callback, Iterate
from invprob.cards import card

OFTEN, SELDOM = 0.25, 2.0  # seconds between two looks at the loss, and between two pictures


@final
class Progress(Callback):
    """Show the steps, the loss and the time that is left.

    `restore(..., progress=True)` takes one by itself; `solve(..., callbacks=[Progress()])` takes it
    as any other callback. In a notebook the image at hand is shown as well.

    Args:
        title: what is solved, in front of the numbers; empty: nothing.
    """

    def __init__(self, title: str = "") -> None:
        self._title = title
        self._place: _Place = _NotebookPlace() if in_notebook() else _TextPlace(sys.stderr)
        self._begun = self._shown = time.monotonic()
        self._first: int | None = None

    def on_step(self, iterate: Iterate) -> None:
        """Show the numbers if they were not shown a moment ago."""
        now = time.monotonic()
        if self._first is None:
            self._begun, self._first = now, iterate.taken
        if now - self._shown < OFTEN and iterate.taken < iterate.steps:
            return
        self._shown = now
        numbers = [
            f"step {iterate.taken}/{iterate.steps}",
            f"loss {float(iterate.total.mean()):.3g}",
        ]
        taken = iterate.taken - self._first
        if taken and iterate.taken < iterate.steps:
            left = (now - self._begun) / taken * (iterate.steps - iterate.taken)
            numbers.append(f"{left:.0f} s left")
        line = " · ".join([self._title, *numbers] if self._title else numbers)
        self._place.show(line, iterate)

    def on_end(self) -> None:
        """Leave the last line where it is."""
        self._place.end()


def in_notebook() -> bool:
    """Whether the program runs in a notebook's kernel, which can change what it displayed."""
    shell = _shell()
    return shell is not None and bool(shell.has_trait("kernel"))


def _shell() -> Any:
    """IPython's shell; None where IPython was not loaded or does not run."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


class _Place(ABC):
    """Where the line is shown."""

    @abstractmethod
    def show(self, line: str, iterate: Iterate) -> None:
        """Show the line in place of the one before."""

    def end(self) -> None:
        """The solve is over."""


@final
class _TextPlace(_Place):
    """One line that is written over on a terminal; elsewhere a line for each tenth of the steps."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._terminal = stream, stream.isatty()
        self._width, self._tenth = 0, -1

    def show(self, line: str, iterate: Iterate) -> None:
        if self._terminal:
            self._stream.write(f"\r{line:<{self._width}}")
            self._width = len(line)
        else:
            tenth = 10 * iterate.taken // iterate.steps
            if tenth == self._tenth:
                return
            self._tenth = tenth
            self._stream.write(f"{line}\n")
        self._stream.flush()

    def end(self) -> None:
        if self._terminal and self._width:
            self._stream.write("\n")
            self._stream.flush()
            self._width = 0


@final
class _NotebookPlace(_Place):
    """A bar, the line and the image at hand, which replace those before."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._drawn = -SELDOM
        self._png: bytes | None = None

    def show(self, line: str, iterate: Iterate) -> None:
        from IPython.display import HTML, display

        now = time.monotonic()
        if now - self._drawn >= SELDOM or iterate.taken == iterate.steps:
            self._drawn, self._png = now, _picture(iterate.image)
        bar = f"<progress value='{iterate.taken}' max='{iterate.steps}'></progress>"
        shown = HTML(bar + card(line, {}, png=self._png, about="the image at this step"))
        if self._handle is None:
            self._handle = display(shown, display_id=True)
        else:
            self._handle.update(shown)


def _picture(images: Tensor) -> bytes | None:
    """The images as a PNG file; None where their shape is not that of pictures."""
    from invprob.png import png

    drawable = images.ndim == 4 and images.shape[1] in (1, 3) and images.numel() > 0
    return png(images.detach().cpu()) if drawable else None

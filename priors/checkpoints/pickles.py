"""Reads a pickle as data: a stack machine that builds plain values and can call nothing else.

Python's own unpickler imports what a pickle names, and calls it. This machine has a table of names,
each with a function of ours that makes an inert value. It stops at any other name. Large byte
strings stay in the file. The work that a pickle can cause is bounded: the number of opcodes, the
depth, the memory, and the size of a number. Opcodes are those of `pickletools`. Opcodes that no
generator file uses (text opcodes of protocol 0, INST, OBJ, EXT, out-of-band buffers) are refused.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from invprob.errors import GeneratorFileError
from invprob.priors.checkpoints.limits import Limits
from invprob.priors.checkpoints.spans import Span

UINT8, UINT16, UINT32, UINT64 = (struct.Struct("<" + code) for code in "BHIQ")
INT32, FLOAT64 = struct.Struct("<i"), struct.Struct(">d")
LINE = 512  # characters of a module's or class's name

Build = Callable[..., Any]


@dataclass
class Record:
    """Stands for an object of a class in the table. No code of that class is run."""

    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None


@dataclass(frozen=True)
class Global:
    """A name in the table, with the function that makes its value (None: it cannot be called)."""

    name: str
    build: Build | None


class Budget:
    """What all pickles of a file together may still use.

    Args:
        size: Bytes of the file; no more may be made from text.
        limits: How many steps they may take, and how deep their containers may be.
    """

    def __init__(self, size: int, limits: Limits) -> None:
        self.bytes = size
        self.steps = limits.steps
        self.depth = limits.depth

    def spend(self, *, steps: int = 0, bytes: int = 0) -> None:
        """Use some of it; raises `GeneratorFileError` when nothing is left."""
        self.steps -= steps
        self.bytes -= bytes
        if self.steps < 0 or self.bytes < 0:
            raise GeneratorFileError("the pickle asks for more work than any generator needs")


@dataclass
class Reader:
    """Reads a range of a file forwards, never past its end."""

    file: BinaryIO
    position: int
    end: int

    def read(self, count: int) -> bytes:
        """Read the next bytes."""
        if not 0 <= count <= self.end - self.position:  # `_advance` inlined, for speed
            raise self._cut(count)
        self.position += count
        content = self.file.read(count)
        if len(content) != count:
            raise GeneratorFileError("the file ends too early")
        return content

    def span(self, count: int) -> Span:
        """Skip the next bytes and return their place in the file."""
        span = Span(self.file, self.position, count)
        self._advance(count)
        self.file.seek(count, 1)
        return span

    def line(self) -> str:
        """Read the next line, which must be ASCII and short."""
        content = self.file.readline(LINE)
        self._advance(len(content))
        if not content.endswith(b"\n"):
            raise GeneratorFileError("a name without an end")
        return content[:-1].decode("ascii")

    def _advance(self, count: int) -> None:
        if not 0 <= count <= self.end - self.position:
            raise self._cut(count)
        self.position += count

    def _cut(self, count: int) -> GeneratorFileError:
        left = self.end - self.position
        return GeneratorFileError(
            f"damaged or cut: {count} bytes are announced where {left} are left"
        )


def reader(span: Span) -> Reader:
    """A reader at the beginning of a range of bytes."""
    span.file.seek(span.start)
    return Reader(span.file, span.start, span.start + span.length)


def load(
    source: Reader,
    budget: Budget,
    table: Mapping[str, Build | None],
    persistent: Callable[[Any], Any] | None = None,
) -> Any:
    """Read the value of a pickle.

    Args:
        source: Stands at the start of the pickle, and behind its end afterwards.
        budget: What the pickle may use.
        table: For each name that the pickle may mention, the function that makes its value, or None
            if it must not be called.
        persistent: Turns a persistent id into a value; None refuses persistent ids.

    Raises:
        GeneratorFileError: The pickle is damaged, or asks for something that is not allowed.
    """
    value = _Machine(source, budget, table, persistent).run()
    check_tree(value, budget.depth)
    return value


@dataclass
class _Machine:
    source: Reader
    budget: Budget
    table: Mapping[str, Build | None]
    persistent: Callable[[Any], Any] | None
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self) -> Any:
        read, budget = self.source.read, self.budget
        while True:
            budget.steps -= 1
            if budget.steps < 0:
                budget.spend()
            code = read(1)
            if code == b".":
                return self.pop()
            step = _STEPS.get(code)
            if step is None:
                raise GeneratorFileError(
                    f"not a generator's pickle: opcode {code!r} at byte {self.source.position - 1}"
                )
            step(self)

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        self.top()
        return self.stack.pop()

    def top(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise GeneratorFileError("damaged: a pickle uses more values than it made")
        return self.stack[-1]

    def since_mark(self) -> list[Any]:
        if not self.marks:
            raise GeneratorFileError("damaged: a pickle closes what it did not open")
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def number(self, layout: struct.Struct) -> Any:
        return layout.unpack(self.source.read(layout.size))[0]

    def text(self, layout: struct.Struct, encoding: str) -> None:
        content = self.source.read(self.number(layout))
        self.push(content.decode(encoding, "surrogatepass" if encoding == "utf-8" else "strict"))

    def long(self, layout: struct.Struct) -> None:
        length = self.number(layout)
        if not 0 <= length <= 255:
            raise GeneratorFileError(f"a whole number of {length} bytes")
        self.push(int.from_bytes(self.source.read(length), "little", signed=True))

    def remember(self, index: int) -> None:
        self.memo[index] = self.top()

    def recall(self, index: int) -> None:
        if index not in self.memo:
            raise GeneratorFileError("damaged: a pickle refers to what it did not define")
        self.push(self.memo[index])

    def name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise GeneratorFileError("damaged: a name that is not text")
        full = f"{module}.{name}"
        if full not in self.table:
            raise GeneratorFileError(
                f"the pickle refers to {full[:120]!a}, which is not among the few harmless "
                "names that StyleGAN2 files need; it is refused, and nothing in it was run"
            )
        self.push(Global(full, self.table[full]))

    def stack_global(self) -> None:
        name, module = self.pop(), self.pop()
        self.name(module, name)

    def call(self) -> None:
        arguments, called = self.pop(), self.pop()
        if not isinstance(called, Global) or called.build is None:
            raise GeneratorFileError("the pickle calls something that cannot be called")
        if type(arguments) is not tuple:
            raise GeneratorFileError("damaged: a call without arguments")
        self.push(called.build(*arguments))

    def build(self) -> None:
        state, made = self.pop(), self.top()
        if isinstance(made, Record) and made.state is None:
            made.state = state
        elif not isinstance(made, dict):  # a state dict carries `_metadata`, which is not needed
            raise GeneratorFileError("the pickle changes something that cannot be changed")

    def append(self, values: list[Any]) -> None:
        made = self.top()
        if type(made) is not list:
            raise GeneratorFileError("damaged: a pickle adds to something that is not a list")
        made.extend(values)

    def set_items(self, values: list[Any]) -> None:
        made = self.top()
        if type(made) is not dict or len(values) % 2:
            raise GeneratorFileError("damaged: a pickle adds to something that is not a dictionary")
        add_items(made, zip(values[::2], values[1::2], strict=True))

    def add_to_set(self) -> None:
        values, made = self.since_mark(), self.top()
        if not isinstance(made, Record) or type(made.state) is not list:
            raise GeneratorFileError("damaged: a pickle adds to something that is not a set")
        made.state.extend(values)

    def identify(self) -> None:
        if self.persistent is None:
            raise GeneratorFileError("the pickle refers to something outside it")
        self.push(self.persistent(self.pop()))

    def announce(self) -> None:
        if (version := self.number(UINT8)) > 5:
            raise GeneratorFileError(f"a pickle of protocol {version}, which does not exist yet")

    def frame(self) -> None:
        length = self.number(UINT64)
        if length > self.source.end - self.source.position:
            raise GeneratorFileError(
                f"damaged or cut: a frame of {length} bytes where "
                f"{self.source.end - self.source.position} are left"
            )


def add_items(made: dict[Any, Any], pairs: Any) -> None:
    """Add pairs to a dictionary.

    Keys must be text or small numbers, because others can be chosen so that their hashes collide.
    """
    for key, value in pairs:
        if type(key) is not str and not (type(key) is int and abs(key) < 1 << 32):
            raise GeneratorFileError("damaged: a dictionary's key is neither text nor a number")
        made[key] = value


_STEPS: dict[bytes, Callable[[_Machine], Any]] = {
    b"\x80": _Machine.announce,
    b"\x95": _Machine.frame,
    b"(": lambda m: m.marks.append(len(m.stack)),
    b"0": _Machine.pop,
    b"1": _Machine.since_mark,
    b"2": lambda m: m.push(m.top()),
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"J": lambda m: m.push(m.number(INT32)),
    b"K": lambda m: m.push(m.number(UINT8)),
    b"M": lambda m: m.push(m.number(UINT16)),
    b"\x8a": lambda m: m.long(UINT8),
    b"\x8b": lambda m: m.long(INT32),
    b"G": lambda m: m.push(m.number(FLOAT64)),
    b"U": lambda m: m.text(UINT8, "latin-1"),
    b"T": lambda m: m.text(INT32, "latin-1"),
    b"\x8c": lambda m: m.text(UINT8, "utf-8"),
    b"X": lambda m: m.text(UINT32, "utf-8"),
    b"\x8d": lambda m: m.text(UINT64, "utf-8"),
    b"C": lambda m: m.push(m.source.span(m.number(UINT8))),
    b"B": lambda m: m.push(m.source.span(m.number(UINT32))),
    b"\x8e": lambda m: m.push(m.source.span(m.number(UINT64))),
    b"\x96": lambda m: m.push(m.source.span(m.number(UINT64))),
    b")": lambda m: m.push(()),
    b"\x85": lambda m: m.push((m.pop(),)),
    b"\x86": lambda m: m.push((m.pop(), m.pop())[::-1]),
    b"\x87": lambda m: m.push((m.pop(), m.pop(), m.pop())[::-1]),
    b"t": lambda m: m.push(tuple(m.since_mark())),
    b"]": lambda m: m.push([]),
    b"l": lambda m: m.push(m.since_mark()),
    b"a": lambda m: m.append([m.pop()]),
    b"e": lambda m: m.append(m.since_mark()),
    b"}": lambda m: m.push({}),
    b"s": lambda m: m.set_items([m.pop(), m.pop()][::-1]),
    b"u": lambda m: m.set_items(m.since_mark()),
    b"\x8f": lambda m: m.push(Record("builtins.set", state=[])),
    b"\x90": _Machine.add_to_set,
    b"q": lambda m: m.remember(m.number(UINT8)),
    b"r": lambda m: m.remember(m.number(UINT32)),
    b"\x94": lambda m: m.remember(len(m.memo)),
    b"h": lambda m: m.recall(m.number(UINT8)),
    b"j": lambda m: m.recall(m.number(UINT32)),
    b"c": lambda m: m.name(m.source.line(), m.source.line()),
    b"\x93": _Machine.stack_global,
    b"R": _Machine.call,
    b"\x81": _Machine.call,
    b"b": _Machine.build,
    b"Q": _Machine.identify,
}


def _inside(value: Any) -> list[Any]:
    """The containers that are directly inside a container."""
    held: Any = ()
    if isinstance(value, dict):
        held = value.values()
    elif isinstance(value, (list, tuple)):
        held = value
    elif isinstance(value, Record):
        held = (*value.arguments, value.state)
    return [item for item in held if isinstance(item, (dict, list, tuple, Record))]


def check_tree(value: Any, depth: int) -> None:
    """Refuse a value that contains itself or is nested deeply, because later code follows it.

    Args:
        value: Made by a pickle.
        depth: How many containers may be within each other.

    Raises:
        GeneratorFileError: It contains itself, or is deeper.
    """
    heights: dict[int, int] = {}  # of the containers that are done, by identity
    path: list[tuple[Any, list[Any]]] = [(value, _inside(value))]
    open_ones = {id(value)}
    while path:
        here, rest = path[-1]
        if rest:
            item = rest.pop()
            if id(item) in open_ones:
                raise GeneratorFileError("the pickle holds an object that contains itself")
            if len(path) + heights.get(id(item), 1) > depth:
                raise GeneratorFileError(f"the pickle nests objects more than {depth} deep")
            if id(item) not in heights:
                path.append((item, _inside(item)))
                open_ones.add(id(item))
        else:
            path.pop()
            open_ones.discard(id(here))
            heights[id(here)] = 1 + max((heights[id(item)] for item in _inside(here)), default=0)

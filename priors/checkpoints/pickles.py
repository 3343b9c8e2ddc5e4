"""A pickle as data: a stack machine that builds plain values and has no way to call anything else.

Python's own unpickler imports what a pickle names, then calls it. This machine knows a table of
names, each with a function of ours that makes an inert value, and refuses every other name before
it goes on. Large byte strings stay in the file. What a pickle can make it do is bounded: opcodes,
depth, memory, the size of a number. The opcodes are those of `pickletools`; what no generator file
uses (text opcodes of protocol 0, INST, OBJ, EXT, out-of-band buffers) is refused.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from invprob.errors import GeneratorFileError
from invprob.priors.checkpoints.spans import Span, TensorRef

OPCODES = 1_000_000  # a generator with optimiser states has about 50,000
DEPTH = 100  # containers within containers; networks have about 15
UINT8, UINT16, UINT32, UINT64 = (struct.Struct("<" + code) for code in "BHIQ")
INT32, FLOAT64 = struct.Struct("<i"), struct.Struct(">d")
LINE = 512  # characters of a module's or class's name

Build = Callable[..., Any]


@dataclass
class Record:
    """An object of a class that the table knows, by its name; nothing of that class is run."""

    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None


@dataclass(frozen=True)
class Global:
    """A name of the table, with what makes a value from arguments (None: it cannot be called)."""

    name: str
    build: Build | None


@dataclass
class Budget:
    """What all pickles of a file may still do together: steps, and bytes made out of text."""

    bytes: int
    steps: int = OPCODES

    def spend(self, *, steps: int = 0, bytes: int = 0) -> None:
        """Take from it; raises `GeneratorFileError` when it is used up."""
        self.steps -= steps
        self.bytes -= bytes
        if self.steps < 0 or self.bytes < 0:
            raise GeneratorFileError("the pickle asks for more work than any generator needs")


@dataclass
class Reader:
    """A range of a file, read forwards; never past its end."""

    file: BinaryIO
    position: int
    end: int

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if not 0 <= count <= self.end - self.position:  # `_advance`, without a call an opcode
            raise self._cut(count)
        self.position += count
        content = self.file.read(count)
        if len(content) != count:
            raise GeneratorFileError("the file ends too early")
        return content

    def span(self, count: int) -> Span:
        """The next bytes, left where they are."""
        span = Span(self.file, self.position, count)
        self._advance(count)
        self.file.seek(count, 1)
        return span

    def line(self) -> str:
        """The next line, ASCII and not long."""
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
    """Read a range of bytes from its beginning."""
    span.file.seek(span.start)
    return Reader(span.file, span.start, span.start + span.length)


def load(
    source: Reader,
    budget: Budget,
    table: Mapping[str, Build | None],
    persistent: Callable[[Any], Any] | None = None,
) -> Any:
    """The value of the pickle that starts at `source`, which is left behind its end.

    `table` maps each name a pickle may mention to what builds the value, or to None; `persistent`
    turns a persistent id into a value. Raises `GeneratorFileError`.
    """
    value = _Machine(source, budget, table, persistent).run()
    _check_tree(value)
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
        take, budget = self.source.take, self.budget
        while True:
            budget.steps -= 1
            if budget.steps < 0:
                budget.spend()
            code = take(1)
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
            raise GeneratorFileError("damaged: a pickle takes more values than it gave")
        return self.stack[-1]

    def since_mark(self) -> list[Any]:
        if not self.marks:
            raise GeneratorFileError("damaged: a pickle closes what it did not open")
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def number(self, layout: struct.Struct) -> Any:
        return layout.unpack(self.source.take(layout.size))[0]

    def text(self, layout: struct.Struct, encoding: str) -> None:
        content = self.source.take(self.number(layout))
        self.push(content.decode(encoding, "surrogatepass" if encoding == "utf-8" else "strict"))

    def long(self, layout: struct.Struct) -> None:
        length = self.number(layout)
        if not 0 <= length <= 255:
            raise GeneratorFileError(f"a whole number of {length} bytes")
        self.push(int.from_bytes(self.source.take(length), "little", signed=True))

    def remember(self, index: int) -> None:
        self.memo[index] = self.top()

    def recall(self, index: int) -> None:
        if index not in self.memo:
            raise GeneratorFileError("damaged: a pickle refers to what it did not define")
        self.push(self.memo[index])

    def name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise GeneratorFileError("damaged: a name that is no text")
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
            raise GeneratorFileError("the pickle calls what cannot be called")
        if type(arguments) is not tuple:
            raise GeneratorFileError("damaged: a call without arguments")
        self.push(called.build(*arguments))

    def build(self) -> None:
        state, made = self.pop(), self.top()
        if isinstance(made, Record) and made.state is None:
            made.state = state
        elif not isinstance(made, dict):  # a state dict carries `_metadata`, which is not needed
            raise GeneratorFileError("the pickle changes what cannot be changed")

    def append(self, values: list[Any]) -> None:
        made = self.top()
        if type(made) is not list:
            raise GeneratorFileError("damaged: a pickle adds to what is no list")
        made.extend(values)

    def set_items(self, values: list[Any]) -> None:
        made = self.top()
        if type(made) is not dict or len(values) % 2:
            raise GeneratorFileError("damaged: a pickle adds to what is no dictionary")
        add_items(made, zip(values[::2], values[1::2], strict=True))

    def add_to_set(self) -> None:
        values, made = self.since_mark(), self.top()
        if not isinstance(made, Record) or type(made.state) is not list:
            raise GeneratorFileError("damaged: a pickle adds to what is no set")
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

    A key is text or a small number: others can be chosen so that their hashes collide.
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
    """The containers directly within a container."""
    held: Any = ()
    if isinstance(value, dict):
        held = value.values()
    elif isinstance(value, (list, tuple)):
        held = value
    elif isinstance(value, Record):
        held = (*value.arguments, value.state)
    return [item for item in held if isinstance(item, (dict, list, tuple, Record))]


def _check_tree(value: Any) -> None:
    """Refuse what contains itself and what is nested deeply, so that later walks may recurse."""
    heights: dict[int, int] = {}  # of the containers that were left, by identity
    path: list[tuple[Any, list[Any]]] = [(value, _inside(value))]
    open_ones = {id(value)}
    while path:
        here, rest = path[-1]
        if rest:
            item = rest.pop()
            if id(item) in open_ones:
                raise GeneratorFileError("the pickle holds an object that contains itself")
            if len(path) + heights.get(id(item), 0) > DEPTH:
                raise GeneratorFileError(f"the pickle nests objects more than {DEPTH} deep")
            if id(item) not in heights:
                path.append((item, _inside(item)))
                open_ones.add(id(item))
        else:
            path.pop()
            open_ones.discard(id(here))
            heights[id(here)] = 1 + max((heights[id(item)] for item in _inside(here)), default=0)


def is_tensors(value: Any) -> bool:
    """Whether a value is a state dict: names and tensors, and nothing else."""
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(name, str) for name in value)
        and all(isinstance(item, TensorRef) for item in value.values())
    )

"""Reads TOML, and reports mistakes in it by file, line and key."""

import re
import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from invprob.errors import ArgumentError, FileError
from invprob.files import file_error
from invprob.registry import suggest
from invprob.run.settings import RunSetting

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class Source:
    """The text of a file, and the lines of its tables and keys."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.text = path.read_text("utf-8")
        except UnicodeDecodeError:
            raise FileError(f"{str(path)!r} is not a text file") from None
        except OSError as error:
            raise file_error(path, error, "read") from None
        self._lines = self.text.splitlines()

    def root(self) -> "Table":
        """The whole file as a table; raises `ArgumentError` if it is not TOML."""
        try:
            return Table(self, "", 0, tomllib.loads(self.text))
        except tomllib.TOMLDecodeError as error:
            raise ArgumentError(f"{self.path}: this is not TOML: {error}") from None

    def line_of(self, header: str, index: int, key: str | None = None) -> int | None:
        """The line of a key, else that of its table's header, from 1 on; None if not found."""
        starts = [at for at, line in enumerate(self._lines) if _heads(line, header)]
        first = -1 if not header else starts[index] if index < len(starts) else None
        if first is None:  # written in line: [[operators]] as operators = [{...}]
            return self._assigned(header.partition(".")[0], 0)
        found = None if key is None else self._assigned(key, first + 1)
        return found or (first + 1 if first >= 0 else None)

    def _assigned(self, key: str, first: int) -> int | None:
        for at, line in enumerate(self._lines[first:], first + 1):
            if re.match(r"\s*\[", line) and "=" not in line.partition("#")[0]:
                return None  # the next table begins
            if re.match(rf"""\s*["']?{re.escape(key)}["']?\s*=""", line):
                return at
        return None


def _heads(line: str, header: str) -> bool:
    return bool(header) and bool(re.match(rf"\s*\[\[?\s*{re.escape(header)}\s*\]\]?\s*(#|$)", line))


class Table:
    """One table of a file; a key that is never read is an error (`check_all_read`)."""

    def __init__(self, source: Source, header: str, index: int, values: dict[str, Any]) -> None:
        self.header, self.values = header, values
        self._source, self._index = source, index
        self._read: set[str] = set()

    def place(self, key: str | None = None) -> str:
        """The place of a key, such as `fig5.toml, line 12`."""
        line = self._source.line_of(self.header, self._index, key)
        return str(self._source.path) if line is None else f"{self._source.path}, line {line}"

    def wrong(self, key: str, text: str) -> ArgumentError:
        """The error that says where a key is, and what is wrong with it."""
        where = f"{self.header}.{key}" if self.header else key
        return ArgumentError(f"{self.place(key)}: {where} {text}")

    def value(self, key: str) -> Any:
        """The value of a key as it stands, or None."""
        self._read.add(key)
        return self.values.get(key)

    def setting(self, setting: RunSetting) -> Any:
        """A setting of runs, or None."""
        value = self.value(setting.name)
        if value is None:
            return None
        try:
            return setting.read(value)
        except ArgumentError as error:
            raise ArgumentError(f"{self.place(setting.name)}: {error}") from None

    def word(self, key: str) -> str | None:
        """A string."""
        value: str | None = self._typed(key, str, f'must be a string, such as {key} = "..."')
        return value

    def flag(self, key: str) -> bool:
        """A boolean, false by default."""
        return bool(self._typed(key, bool, "must be true or false"))

    def count(self, key: str) -> int | None:
        """A whole number from 1 on."""
        what = f"must be a whole number from 1 on, such as {key} = 2"
        value: int | None = self._typed(key, int, what)
        if value is not None and value < 1:
            raise self.wrong(key, f"{what}, got {value}")
        return value

    def number(self, key: str) -> float | None:
        """A number."""
        value = self._typed(key, (int, float), f"must be a number, such as {key} = 0.5")
        return None if value is None else float(value)

    def words(self, key: str) -> tuple[str, ...] | None:
        """A list of strings; a single string counts as a list."""
        return self._several(key, str, f'must be a list of strings, such as {key} = ["..."]')

    def numbers(self, key: str) -> tuple[int, ...] | None:
        """A list of whole numbers; a single number counts as a list."""
        return self._several(key, int, f"must be a list of whole numbers, such as {key} = [0, 1]")

    def table(self, key: str) -> "Table":
        """The table of that name in this one; empty if there is none."""
        value = self._typed(key, dict, "must be a table")
        return Table(self._source, f"{self.header}.{key}".lstrip("."), 0, value or {})

    def tables(self, key: str) -> list["Table"]:
        """The tables of `[[key]]`."""
        value = self._typed(key, list, f"must be tables, each under its own [[{key}]]") or []
        for at, one in enumerate(value):
            if not isinstance(one, dict):
                raise self.wrong(key, f"must be tables, each under [[{key}]]; number {at} is {one}")
        return [Table(self._source, key, at, one) for at, one in enumerate(value)]

    def rest(self) -> dict[str, Any]:
        """The keys that were not read so far, with their values."""
        left = {key: value for key, value in self.values.items() if key not in self._read}
        self._read.update(left)
        return left

    def check_all_read(self) -> None:
        """Raise `ArgumentError` for a key that was not read, because nothing is known of it."""
        for key in self.values:
            if key not in self._read:
                known = ", ".join(sorted(self._read))
                raise self.wrong(
                    key, f"is not known here.{suggest(key, self._read)} Known: {known}."
                )

    def check_known(
        self, key: str, words: Iterable[str], known: Collection[str], what: str
    ) -> None:
        """Raise `ArgumentError` for a word that is not among those known."""
        for word in words:
            if word not in known:
                listed = ", ".join(known) or "none"
                raise self.wrong(
                    key, f"names no {what} {word!r}.{suggest(word, known)} There are: {listed}."
                )

    def _typed(self, key: str, kind: type | tuple[type, ...], what: str) -> Any:
        value = self.value(key)
        if value is None:
            return None
        if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
            raise self.wrong(key, f"{what}, got {value!r}")
        return value

    def _several(self, key: str, kind: type, what: str) -> tuple[Any, ...] | None:
        value = self.value(key)
        if value is None:
            return None
        items: Sequence[Any] = value if isinstance(value, list) else [value]
        for item in items:
            if not isinstance(item, kind) or isinstance(item, bool):
                raise self.wrong(key, f"{what}, got {value!r}")
        if not items:
            raise self.wrong(key, f"{what}, got an empty list; leave it out instead")
        return tuple(items)

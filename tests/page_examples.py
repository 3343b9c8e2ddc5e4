"""The examples of a page: what they are, and a program that runs them in the current folder.

A block fenced as `sh` or `python` is an example; other blocks are not run. A Python block whose
first line is a comment with a file's name is what the reader saves under that name.
"""

import re
import shlex
import sys
from pathlib import Path

BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\w+\.py)\n")


def examples(page: Path) -> list[tuple[str, str]]:
    """Return the blocks of a page in order, as language and text; "file" is a block to be saved."""
    found: list[tuple[str, str]] = BLOCK.findall(page.read_text("utf-8"))
    return [("file" if FILE.match(text) else language, text) for language, text in found]


def save(text: str, folder: Path) -> None:
    """Save a block under the name that its first line gives."""
    named = FILE.match(text)
    assert named is not None
    (folder / named[1]).write_text(text, "utf-8")


def main(page: Path) -> None:
    """Run all blocks in this process, because starting one for each line takes most of the time."""
    from invprob.cli.app import run

    for language, text in examples(page):
        if language == "file":
            save(text, Path())
        elif language == "python":
            exec(compile(text, str(page), "exec"), {"__name__": "__main__"})
        else:
            for line in text.splitlines():
                program, *arguments = shlex.split(line)
                assert program == "invprob", f"{page} runs another program: {line}"
                assert run(arguments) == 0, line


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""The version, and the name under which package indexes know this package."""

__version__ = "0.1.0"

DISTRIBUTION = "invprob-toolkit"
"""What `pip` installs. `invprob` on the Python Package Index is another project."""


def install_command(extra: str) -> str:
    """The shell command that installs this package with one of its optional extras.

    Args:
        extra: A name under `[project.optional-dependencies]` in `pyproject.toml`.
    """
    return f"pip install '{DISTRIBUTION}[{extra}]'"

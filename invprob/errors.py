"""The one tree of exceptions; each is also the builtin that a caller would expect."""

from collections.abc import Iterable


class InvprobError(Exception):
    """The root of every error that this package raises on purpose."""


class ArgumentError(InvprobError, ValueError):
    """An argument has a value that cannot be used."""


class CallError(ArgumentError, TypeError):
    """A call does not fit: an argument is missing, unknown or of another kind."""


class ShapeError(InvprobError, ValueError):
    """A tensor or an operator does not fit where it was put."""


class UnknownNameError(InvprobError, LookupError):
    """Nothing is registered under that name."""


class FileError(InvprobError, OSError):
    """A file cannot be read, understood or written."""


class GeneratorFileError(FileError):
    """A generator file is unreadable, or its tensors do not match the network."""


class EncoderError(FileError):
    """An encoder's file is missing or unreadable, or was trained for another generator."""


class MeasurementError(InvprobError, ValueError):
    """Measurements do not belong to the operator, or hold what they should not."""


class MeasurementWarning(UserWarning):
    """Images, measurements or noise do not look like what an operator makes of an image."""


class RunError(InvprobError, RuntimeError):
    """A run folder is in use, taken, or holds something else."""


class DeviceError(InvprobError, RuntimeError):
    """The device that was asked for is not there."""


class MemoryShortage(InvprobError, MemoryError):
    """Memory does not suffice for a single image."""


class PriorError(InvprobError, RuntimeError):
    """A prior cannot start from another one's solution."""


class PerceptualError(InvprobError, RuntimeError):
    """A perceptual network was named that cannot be loaded."""


class PullError(InvprobError, RuntimeError):
    """A published file cannot be had: no network, another file, a licence not accepted."""


class ContractError(InvprobError, AssertionError):
    """An operator or a prior breaks a law of its contract."""


def suggest(name: object, known: Iterable[str]) -> str:
    """Say " Did you mean 'x'?" where a known name is near, else nothing."""
    import difflib  # only once something went wrong

    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""

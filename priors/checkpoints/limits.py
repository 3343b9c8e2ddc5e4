"""What a generator file may ask for. Genuine files stay far below every limit."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on the work and the memory that a file can cause.

    Args:
        steps: Opcodes of all pickles in the file; a generator with optimiser states has about
            50,000.
        depth: Containers within containers; networks have about 15.
        modules: Modules of a network of NVIDIA's; a 1024 px one has about 60.
        entries: Values in dictionaries within dictionaries; with optimiser states, a few thousand.
        members: Files in a zip file; there is one for each tensor.
        slack: Bytes by which tensors may exceed the file, as small ones share storages.
        width: Channels of a layer.
    """

    steps: int = 1_000_000
    depth: int = 100
    modules: int = 2_000
    entries: int = 100_000
    members: int = 100_000
    slack: int = 1 << 20
    width: int = 1 << 16


USUAL = Limits()

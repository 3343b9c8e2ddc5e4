"""Memory that a CPU process keeps between the steps of a solve."""

import ctypes
import platform

from invprob.calls import checked

_TRIM, _MAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's malloc.h
_LIMITS = (2**30, 2**25)  # bytes; older versions refuse more than 32 MiB for M_MMAP_THRESHOLD


@checked
def keep_freed_memory() -> bool:
    """Make this process keep up to 1 GiB of the memory that it frees.

    By default, the C library glibc returns large blocks to the operating system, which clears their
    pages when it hands them out again: thousands of pages in each step of a solve. This setting
    holds for the whole process until it ends.

    Returns:
        Whether the setting was made. It is False with another C library, which is left unchanged.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    return bool(library.mallopt(_TRIM, _LIMITS[0])) and any(
        library.mallopt(_MAP, limit) for limit in _LIMITS
    )

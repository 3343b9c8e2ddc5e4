"""What becomes of memory between the steps of a solve on a CPU."""

import ctypes
import platform

_TRIM, _MAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's malloc.h
_LIMITS = (2**30, 2**25)  # bytes; older versions refuse more than the second for M_MMAP_THRESHOLD


def keep_freed_memory() -> bool:
    """Have this process keep up to 1 GiB of freed memory, which the next step asks for again.

    By default glibc gives large blocks back to the system, which then clears each page anew, some
    thousand of them a step. For the whole process and from now on. False where the C library is
    another one, which is left as it is.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    return bool(library.mallopt(_TRIM, _LIMITS[0])) and any(
        library.mallopt(_MAP, limit) for limit in _LIMITS
    )

"""Kernels: functions that numba compiles, and where the compiled code is kept.

A kernel is compiled when it is first called and kept in the user's cache folder, in a folder named by the content of
all our kernels: clones, copies of a workspace and worker processes share it, and an edit of any kernel, also of one
that another calls, begins a new one. numba itself keeps the code beside each source file, so that every copy would
compile again, and does not notice an edit of a kernel that is called.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import UserProvidedCacheLocator
from numba.core.options import DefaultOptions

F = TypeVar("F", bound=Callable[..., Any])
PACKAGE = Path(__file__).resolve().parent
OWN_LOCATOR = f"{__name__}.KernelCacheLocator"
NUMBAS_LOCATORS = "UserProvidedCacheLocator,InTreeCacheLocator,UserWideCacheLocator,IPythonCacheLocator"


def compiled(function: F) -> F:
    """A kernel: compiled to machine code at its first call, once for each combination of argument types."""
    return cast(F, numba.njit(cache=True, nogil=True)(function))


def inlined(function: F) -> F:
    """A kernel that is compiled into those that call it."""
    return cast(F, numba.njit(cache=True, nogil=True, inline="always")(function))


def allocation_free(function: F) -> F:
    """A kernel that makes no arrays: whoever calls it owns them all.

    So numba need not count references to arrays, which it does at every call from kernel to kernel and which can take
    four fifths of the time. Its option for that is no promise: without it the kernel is only slower.
    """
    options: dict[str, Any] = {"_nrt": False} if hasattr(DefaultOptions, "_nrt") else {}
    return cast(F, numba.njit(cache=True, nogil=True, **options)(function))


def entry(function: Callable[[Any], None]) -> Any:
    """A kernel that is called by address with a pointer to int64 (`kernels/launch.py`); compiled at once."""
    return numba.cfunc("void(CPointer(int64))", cache=True, error_model="numpy")(function)


@functools.cache
def kernels_digest() -> str:
    """Names the content of all our kernels and of the tables of constants that they read."""
    digest = hashlib.sha256()
    for path in sorted([*PACKAGE.rglob("*_kernels.py"), *PACKAGE.rglob("*_tables.py")]):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Where compiled kernels are kept: below `NUMBA_CACHE_DIR`, `XDG_CACHE_HOME` or `~/.cache`."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    base = Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tisslm"
    return base / f"kernels-{kernels_digest()}"


class KernelCacheLocator(UserProvidedCacheLocator):  # type: ignore[misc]  # numba has no types
    """Tells numba where our kernels' code is kept; others' functions are left to its own locators."""

    def __init__(self, function: Any, file: str) -> None:
        super().__init__(function, file)
        self._cache_path = str(cache_folder() / "-".join(Path(file).relative_to(PACKAGE).parent.parts or ("model",)))

    @classmethod
    def from_function(cls, function: Any, file: str) -> Any:
        """A locator for a kernel of ours, None for any other function or where the folder cannot be written."""
        if not Path(file).is_relative_to(PACKAGE):
            return None
        locator = cls(function, file)
        try:
            locator.ensure_cache_path()
        except OSError:
            return None
        return locator


# Where the kernels' folder cannot be written, numba's own places follow.
numba.config.CACHE_LOCATOR_CLASSES = f"{OWN_LOCATOR},{NUMBAS_LOCATORS}"

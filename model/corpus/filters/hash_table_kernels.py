"""Hash tables for the kernels: open addressing, emptied by changing the stamp that marks taken slots.

A table is used as far as a text needs, so that a short text costs no more than its length and stays in the cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.compiled import allocation_free


def table_for(most: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Keys and stamps of an empty table for so many keys; stamps in use begin at 1."""
    size = int(mask_for(most)) + 1
    return np.empty(size, np.uint64), np.zeros(size, np.int64)


@allocation_free
def mask_for(n: int) -> Any:
    """One less than the size of a table for n keys, at most half full."""
    size = 16
    while size < 2 * n:
        size *= 2
    return np.uint64(size - 1)


@allocation_free
def find_slot(keys: Any, stamps: Any, stamp: int, mask: Any, key: Any) -> int:
    """The slot that holds `key` or would take it."""
    slot = (key ^ (key >> np.uint64(29))) & mask
    while stamps[slot] == stamp and keys[slot] != key:
        slot = (slot + np.uint64(1)) & mask
    return int(slot)


@allocation_free
def is_repeated(keys: Any, stamps: Any, stamp: int, mask: Any, key: Any) -> bool:
    """Whether a key came before; it is remembered."""
    slot = find_slot(keys, stamps, stamp, mask, key)
    if stamps[slot] == stamp:
        return True
    stamps[slot], keys[slot] = stamp, key
    return False

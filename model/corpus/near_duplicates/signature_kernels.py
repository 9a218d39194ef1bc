"""The compiled loop that turns shingles into a signature; `signatures.py` explains it."""

from __future__ import annotations

from typing import Any

import numpy as np

from model.compiled import compiled
from model.corpus.near_duplicates.shingle_kernels import mix

UNFILLED = np.uint32(0xFFFFFFFF)
REPETITIVE_SHINGLES = 512


@compiled
def distinct(hashes: np.ndarray) -> Any:
    """The different values of an array of non-zero hashes, in linear time."""
    size = 1024
    table = np.zeros(size, np.uint64)
    n = np.int64(0)
    for value in hashes:
        if 2 * n >= size:
            larger = np.zeros(4 * size, np.uint64)
            for old in table:
                if old:
                    at = np.int64(old & np.uint64(4 * size - 1))
                    while larger[at]:
                        at = (at + 1) & (4 * size - 1)
                    larger[at] = old
            table, size = larger, 4 * size
        at = np.int64(value & np.uint64(size - 1))
        while table[at] and table[at] != value:
            at = (at + 1) & (size - 1)
        if not table[at]:
            table[at] = value
            n += 1
    found = np.empty(n, np.uint64)
    filled = 0
    for value in table:
        if value:
            found[filled] = value
            filled += 1
    return found


@compiled
def fill_empty_bins(elements: np.ndarray, values: np.ndarray, missing: int) -> None:
    """Later rounds of fast similarity sketching: fill the bins that no element has hit so far."""
    n_values = len(values)
    filled_in = np.empty(n_values, np.int64)  # the round, -1 while empty
    for at in range(n_values):
        filled_in[at] = -1 if values[at] == UNFILLED else 0
    for turn in range(1, n_values):
        seed = mix(np.uint64(turn))
        for element in elements:
            drawn = mix(element ^ seed)
            place = np.int64(((drawn >> np.uint64(32)) * np.uint64(n_values)) >> np.uint64(32))
            value = np.uint32(drawn & np.uint64(0xFFFFFFFF))
            if filled_in[place] == -1:
                filled_in[place] = turn
                values[place] = value
                missing -= 1
            elif filled_in[place] == turn and value < values[place]:
                values[place] = value
        if not missing:
            return
    for at in range(n_values):
        if filled_in[at] == -1:
            seed = mix(np.uint64(n_values + at))
            for element in elements:
                value = np.uint32(mix(element ^ seed) & np.uint64(0xFFFFFFFF))
                values[at] = min(values[at], value)


@compiled
def fill_signatures(hashes: np.ndarray, starts: np.ndarray, signatures: np.ndarray) -> None:
    """Write each text's signature.

    Args:
        hashes: (n_shingles,) uint64, well mixed.
        starts: (n_texts + 1,) int64.
        signatures: (n_texts, n_values) uint8 or uint16, filled; zeros where a text has no shingle.
    """
    n_values = signatures.shape[1]
    values = np.empty(n_values, np.uint32)
    for text in range(len(starts) - 1):
        begin, end = starts[text], starts[text + 1]
        if begin == end:
            signatures[text, :] = 0
            continue
        values[:] = UNFILLED
        for k in range(begin, end):
            drawn = hashes[k]
            place = np.int64(((drawn >> np.uint64(32)) * np.uint64(n_values)) >> np.uint64(32))
            value = np.uint32(drawn & np.uint64(0xFFFFFFFF))
            values[place] = min(values[place], value)
        missing: Any = np.int64(0)  # a literal would compile `fill_empty_bins` twice
        for at in range(n_values):
            missing += values[at] == UNFILLED
        if missing:
            elements = hashes[begin:end]
            if end - begin > REPETITIVE_SHINGLES:  # 'a b a b ...' would be walked n_values times
                elements = distinct(elements)
            fill_empty_bins(elements, values, missing)
        for at in range(n_values):
            signatures[text, at] = values[at]

"""BPE-dropout: merges as usual, but each possible merge is left out with some probability at every step."""

from __future__ import annotations

import numpy as np

from model.compiled import compiled
from model.tokenizer.engines.encoding_kernels import NO_MERGE, merge_of

LONGEST_WORD = 64
"""Longer words are segmented in parts of so many bytes: the steps are quadratic in the word."""


@compiled
def next_draw(state):  # type: ignore[no-untyped-def]
    """A number in [0, 1) by SplitMix64 (Steele et al. 2014); `state` is (1,) uint64."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.float64(z >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@compiled
def drop_merges(data, ends, byte_ids, merges, dropout, state, out):  # type: ignore[no-untyped-def]
    """Segment the words of a text (Provilkov et al. 2020, arXiv:1910.13267, algorithm 1).

    Args:
        data: (n_bytes,) uint8.
        ends: (n_words,) int64, where each word ends.
        byte_ids: (256,) uint32.
        merges: See `encoding_kernels.enter_merges`.
        dropout: Probability that a possible merge is left out of a step.
        state: (1,) uint64 of the generator; updated.
        out: (n_bytes,) uint32, receives the ids.

    Returns:
        How many ids were written.
    """
    written = 0
    at = np.int64(0)
    found = np.empty(LONGEST_WORD, np.int64)
    for end in ends:
        while at < end:
            length = min(end - at, LONGEST_WORD)
            for index in range(length):
                out[written + index] = byte_ids[data[at + index]]
            at += length
            for index in range(length - 1):
                found[index] = merge_of(merges, out[written + index], out[written + index + 1])
            while length > 1:
                best = NO_MERGE
                place = -1
                for index in range(length - 1):
                    if found[index] != NO_MERGE and next_draw(state) >= dropout and found[index] < best:
                        best = found[index]
                        place = index
                if place < 0:
                    break
                out[written + place] = best & 0xFFFFFFFF
                length -= 1
                for index in range(place + 1, length):
                    out[written + index] = out[written + index + 1]
                    found[index] = found[index + 1]
                if place > 0:
                    found[place - 1] = merge_of(merges, out[written + place - 1], out[written + place])
                if place < length - 1:
                    found[place] = merge_of(merges, out[written + place], out[written + place + 1])
            written += length
    return written

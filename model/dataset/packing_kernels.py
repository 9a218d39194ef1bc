"""The inner loop of best-fit packing, compiled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from model.compiled import compiled


@compiled
def best_fit_decreasing(
    lengths: npt.NDArray[np.int64], capacity: int
) -> tuple[npt.NDArray[np.int64], int]:  # pragma: no cover (compiled)
    """Put pieces into bins of one capacity, each into the fullest bin that still takes it.

    Args:
        lengths: (n,) int64 in falling order, 1 to capacity each.
        capacity: Of a bin.

    Returns:
        (n,) int64, the bin of each piece, bins numbered as they were opened; and the number of bins.
    """
    n = len(lengths)
    bins = np.empty(n, np.int64)
    below = np.empty(n, np.int64)  # next bin on the same stack
    top = np.full(capacity + 1, -1, np.int64)  # for each room that is left, a stack of the bins that have it
    n_bins = 0
    i = 0
    while i < n:
        length = lengths[i]
        room = length
        while i < n and lengths[i] == length:
            while room <= capacity and top[room] < 0:
                room += 1
            if room > capacity:
                chosen = n_bins
                left = capacity
                n_bins += 1
            else:
                chosen = top[room]
                top[room] = below[chosen]
                left = room
            # a bin that can take a second piece of this length is now the fullest that can
            while i < n and lengths[i] == length and left >= length:
                bins[i] = chosen
                left -= length
                i += 1
            below[chosen] = top[left]
            top[left] = chosen
    return bins, n_bins

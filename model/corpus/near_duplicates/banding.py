"""How a signature is cut into bands, derived from the threshold.

Two documents of Jaccard similarity J agree in a band of r values with probability J^r, and in at least one of b bands
with 1 - (1 - J^r)^b (Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, section 3.4.2). The longest bands that
still find a pair *at* the threshold with `BAND_RECALL` are taken: all pairs above it are found with more, and few
below become candidates. (datatrove's 14 bands of 8 find 0.924 of the pairs at 0.8.)
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

BAND_RECALL = 0.995
LEAST_KEY_BITS = 32


@dataclass(frozen=True, slots=True)
class Banding:
    """Bands of a signature.

    Attributes:
        bands: Number of bands.
        rows: Values in each band.
        value_bits: Bits kept of each value: 8, or 16 where a band of bytes would have fewer than 32 bits, so that
            unrelated documents do not meet by chance (their number would grow with the square of the corpus).
    """

    bands: int
    rows: int
    value_bits: int

    def recall(self, similarity: float) -> float:
        """Probability that a pair of this similarity becomes a candidate."""
        return float(1 - (1 - similarity**self.rows) ** self.bands)


@functools.cache
def banding(threshold: float, signature_values: int) -> Banding:
    """The longest bands that find pairs at the threshold with probability `BAND_RECALL` or more."""
    rows = 1
    for longer in range(2, signature_values + 1):
        if 1 - (1 - threshold**longer) ** (signature_values // longer) < BAND_RECALL:
            break
        rows = longer
    return Banding(signature_values // rows, rows, 8 if rows * 8 >= LEAST_KEY_BITS else 16)

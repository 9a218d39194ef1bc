"""The walk of py3langid's automaton over a text's bytes, which in Python takes most of the time."""

from __future__ import annotations

import numpy as np

from model.compiled import compiled


@compiled
def count_features(
    next_state: np.ndarray, row_of: np.ndarray, feature_of: np.ndarray, text: np.ndarray, counts: np.ndarray,
    found: np.ndarray,
) -> int:  # fmt: skip
    """Count the features (byte n-grams) of a text.

    Args:
        next_state: Transitions, 256 for each row.
        row_of: (n_states,) int64, each state's row.
        feature_of: (n_states,) int64, the feature that a state completes, or -1.
        text: (n,) uint8.
        counts: (n_features,) int64 zeros; filled.
        found: (n_features,) int64; filled with the features found, in the order of their first appearance.

    Returns:
        How many different features there are.
    """
    state, n = 0, 0
    for byte in text:
        state = next_state[(row_of[state] << 8) + byte]
        feature = feature_of[state]
        if feature >= 0:
            if counts[feature] == 0:
                found[n] = feature
                n += 1
            counts[feature] += 1
    return n

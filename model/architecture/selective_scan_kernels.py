"""The recurrence of Mamba's selective scan, compiled: every number is read once, nothing is kept of the states."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.compiled import compiled

Floats = NDArray[np.float32]


@compiled
def scan_tokens(
    first: int,
    decay: Floats,
    gain: Floats,
    write: Floats,
    read: Floats,
    begins: NDArray[np.bool_],
    state: Floats,
    out: Floats,
) -> None:
    """`state = decay * state + gain * write`, `out = read . state`, token after token of a part of the text.

    Args:
        first: Number of the part's first token.
        decay: (batch, time of the part, state, features), what is left of the state.
        gain: (batch, time, features), what a feature adds.
        write: (batch, time, state).
        read: (batch, time, state).
        begins: (batch, time), a document begins: its first token finds an empty state.
        state: (batch, state, features), before the part; afterwards, that after its last token.
        out: (batch, time, features), filled here.
    """
    n_sequences, n_tokens, n_states, n_features = decay.shape
    for sequence in range(n_sequences):
        for at in range(n_tokens):
            token = first + at
            if begins[sequence, token]:
                state[sequence] = np.float32(0.0)
            out[sequence, token] = np.float32(0.0)
            for number in range(n_states):
                writes, reads = write[sequence, token, number], read[sequence, token, number]
                for feature in range(n_features):
                    new = (
                        decay[sequence, at, number, feature] * state[sequence, number, feature]
                        + gain[sequence, token, feature] * writes
                    )
                    state[sequence, number, feature] = new
                    out[sequence, token, feature] += new * reads

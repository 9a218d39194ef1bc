# mypy: disable-error-code="assignment"
"""Unigram language model over the bytes of words: candidates, expectation-maximization, pruning, sampling.

Kudo 2018 (arXiv:1804.10959) as in SentencePiece (unigram_model_trainer.cc), over distinct words with their counts. All
sums run in one order, so the result is the same every time, which the trainer inside `tokenizers` does not give.
"""

from __future__ import annotations

import math

import numpy as np

from model.compiled import compiled

LONGEST_PIECE = 16
_PRIME = np.int64(0x100000001B3)
NOTHING = -1e300


@compiled
def next_hash(key, byte):  # type: ignore[no-untyped-def]
    """Hash of a text with one byte more."""
    return (key ^ np.int64(byte)) * _PRIME


@compiled
def find(slots, hashes, starts, lengths, pieces, key, text, at, length):  # type: ignore[no-untyped-def]
    """Number of the piece `text[at : at + length]` whose hash is `key`, or -1 - its empty slot."""
    mask = slots.shape[0] - 1
    slot = (key ^ (key >> 29)) & mask
    while slots[slot] >= 0:
        piece = slots[slot]
        if hashes[piece] == key and lengths[piece] == length:
            same = True
            for index in range(length):
                if pieces[starts[piece] + index] != text[at + index]:
                    same = False
                    break
            if same:
                return np.int64(piece)
        slot = (slot + 1) & mask
    return -1 - slot


@compiled
def piece_table(pieces, starts, lengths):  # type: ignore[no-untyped-def]
    """Slots and hashes to find pieces by their bytes."""
    size = 1 << 10
    while size < 2 * starts.shape[0]:
        size *= 2
    slots = np.full(size, -1, np.int32)
    hashes = np.zeros(starts.shape[0], np.int64)
    for piece in range(starts.shape[0]):
        key = np.int64(0)
        for index in range(lengths[piece]):
            key = next_hash(key, pieces[starts[piece] + index])
        hashes[piece] = key
        found = find(slots, hashes, starts, lengths, pieces, key, pieces, starts[piece], lengths[piece])
        if found < 0:
            slots[-1 - found] = piece
    return slots, hashes


@compiled
def substrings(text, starts, lengths, counts, longest_word):  # type: ignore[no-untyped-def]
    """Every run of 2 to 16 bytes of whole characters in the words' first `longest_word` bytes, with its count.

    Returns:
        Starts in `text`, lengths and counts of the distinct runs, by first sight.
    """
    slots = np.full(1 << 16, -1, np.int32)
    room = 1 << 16
    hashes, found_at = np.empty(room, np.int64), np.empty(room, np.int64)
    sizes, totals = np.empty(room, np.int32), np.empty(room, np.int64)
    n = 0
    for word in range(starts.shape[0]):
        stop = starts[word] + min(lengths[word], longest_word)
        for at in range(starts[word], stop):
            if text[at] & 0xC0 == 0x80:
                continue
            key = np.int64(0)
            for end in range(at + 1, min(at + LONGEST_PIECE, stop) + 1):
                key = next_hash(key, text[end - 1])
                if end - at < 2 or (end < stop and text[end] & 0xC0 == 0x80):
                    continue
                piece = find(slots, hashes, found_at, sizes, text, key, text, at, end - at)
                if piece >= 0:
                    totals[piece] += counts[word]
                    continue
                if n == room:
                    room *= 2
                    hashes, found_at = np.concatenate((hashes, hashes)), np.concatenate((found_at, found_at))
                    sizes, totals = np.concatenate((sizes, sizes)), np.concatenate((totals, totals))
                slots[-1 - piece] = n
                hashes[n], found_at[n], sizes[n], totals[n] = key, at, end - at, counts[word]
                n += 1
                if 2 * n > slots.shape[0]:
                    slots = np.full(2 * slots.shape[0], -1, np.int32)
                    for old in range(n):
                        slot = (hashes[old] ^ (hashes[old] >> 29)) & (slots.shape[0] - 1)
                        while slots[slot] >= 0:
                            slot = (slot + 1) & (slots.shape[0] - 1)
                        slots[slot] = old
    return found_at[:n], sizes[:n], totals[:n]


@compiled
def lattice(text, at, length, slots, hashes, starts, lengths, pieces, arcs):  # type: ignore[no-untyped-def]
    """Fill `arcs` (length, 16) int32: the piece of `size + 1` bytes at each place, -1 where there is none."""
    for place in range(length):
        key = np.int64(0)
        for size in range(LONGEST_PIECE):
            arcs[place, size] = -1
            if place + size < length:
                key = next_hash(key, text[at + place + size])
                found = find(slots, hashes, starts, lengths, pieces, key, text, at + place, size + 1)
                if found >= 0:
                    arcs[place, size] = found


@compiled
def added_logs(one, other):  # type: ignore[no-untyped-def]
    """log(exp(one) + exp(other))."""
    if one < other:
        one, other = other, one
    return one + math.log1p(math.exp(other - one)) if other > NOTHING else one


@compiled
def expected_counts(text, starts, lengths, counts, table, pieces, scores):  # type: ignore[no-untyped-def]
    """Expected occurrences of every piece over all segmentations; `table` is slots, hashes, starts, lengths."""
    slots, hashes, piece_starts, piece_lengths = table
    expected = np.zeros(scores.shape[0], np.float64)
    arcs = np.empty((256, LONGEST_PIECE), np.int32)
    forward, backward = np.empty(257, np.float64), np.empty(257, np.float64)
    for word in range(starts.shape[0]):
        n = lengths[word]
        if n > arcs.shape[0]:
            arcs = np.empty((2 * n, LONGEST_PIECE), np.int32)
            forward, backward = np.empty(2 * n + 1, np.float64), np.empty(2 * n + 1, np.float64)
        lattice(text, starts[word], n, slots, hashes, piece_starts, piece_lengths, pieces, arcs)
        forward[: n + 1] = NOTHING
        backward[: n + 1] = NOTHING
        forward[0] = backward[n] = 0.0
        for place in range(n):
            for size in range(min(LONGEST_PIECE, n - place)):
                if arcs[place, size] >= 0:
                    end = place + size + 1
                    forward[end] = added_logs(forward[end], forward[place] + scores[arcs[place, size]])
        for place in range(n - 1, -1, -1):
            for size in range(min(LONGEST_PIECE, n - place)):
                if arcs[place, size] >= 0:
                    end = place + size + 1
                    backward[place] = added_logs(backward[place], backward[end] + scores[arcs[place, size]])
        for place in range(n):
            for size in range(min(LONGEST_PIECE, n - place)):
                piece = arcs[place, size]
                if piece >= 0:
                    log_share = forward[place] + scores[piece] + backward[place + size + 1] - forward[n]
                    expected[piece] += counts[word] * math.exp(log_share)
    return expected


@compiled
def best_path(arcs, n, scores, without, best, came_by):  # type: ignore[no-untyped-def]
    """The score of the best segmentation that does not use piece `without`; `came_by` gets the last piece's bytes."""
    best[: n + 1] = NOTHING
    best[0] = 0.0
    for place in range(n):
        for size in range(min(LONGEST_PIECE, n - place)):
            piece = arcs[place, size]
            if piece >= 0 and piece != without and best[place] + scores[piece] > best[place + size + 1]:
                best[place + size + 1] = best[place] + scores[piece]
                came_by[place + size + 1] = size + 1
    return best[n]


@compiled
def losses(text, starts, lengths, counts, table, pieces, scores):  # type: ignore[no-untyped-def]
    """How much likelihood goes with each piece: its uses in best segmentations times its gain over the next best.

    Pieces of one byte are never lost (infinite); a piece that is not its own best segmentation costs nothing (-1).
    """
    slots, hashes, piece_starts, piece_lengths = table
    uses = np.zeros(scores.shape[0], np.float64)
    arcs = np.empty((256, LONGEST_PIECE), np.int32)
    best, came_by = np.empty(257, np.float64), np.empty(257, np.int64)
    for word in range(starts.shape[0]):
        n = lengths[word]
        if n > arcs.shape[0]:
            arcs = np.empty((2 * n, LONGEST_PIECE), np.int32)
            best, came_by = np.empty(2 * n + 1, np.float64), np.empty(2 * n + 1, np.int64)
        lattice(text, starts[word], n, slots, hashes, piece_starts, piece_lengths, pieces, arcs)
        best_path(arcs, n, scores, -1, best, came_by)
        end = np.int64(n)
        while end > 0:
            begin = end - came_by[end]
            uses[arcs[begin, came_by[end] - 1]] += counts[word]
            end = begin
    lost = np.empty(scores.shape[0], np.float64)
    for piece in range(scores.shape[0]):
        n = piece_lengths[piece]
        if n == 1:
            lost[piece] = np.inf
            continue
        lattice(pieces, piece_starts[piece], n, slots, hashes, piece_starts, piece_lengths, pieces, arcs)
        other = best_path(arcs, n, scores, piece, best, came_by)
        lost[piece] = -1.0 if other > scores[piece] else uses[piece] * (scores[piece] - other)
    return lost


@compiled
def sample_words(text, starts, lengths, table, pieces, scores, alpha, draws, out):  # type: ignore[no-untyped-def]
    """Segment words by drawing from exp(alpha * score): forward filtering, then backward sampling.

    Args:
        text: (n_bytes,) uint8, the words end to end.
        starts: (n_words,) int64.
        lengths: (n_words,) int32.
        table: Slots, hashes, starts, lengths of the pieces.
        pieces: (m,) uint8, their bytes.
        scores: (n_pieces,) float64.
        alpha: Exponent.
        draws: (n_bytes,) float64 in [0, 1).
        out: (n_bytes,) int64, receives the numbers of the pieces.

    Returns:
        How many pieces were written.
    """
    slots, hashes, piece_starts, piece_lengths = table
    arcs = np.empty((256, LONGEST_PIECE), np.int32)
    forward = np.empty(257, np.float64)
    written = drawn = 0
    for word in range(starts.shape[0]):
        n = lengths[word]
        if n > arcs.shape[0]:
            arcs, forward = np.empty((2 * n, LONGEST_PIECE), np.int32), np.empty(2 * n + 1, np.float64)
        lattice(text, starts[word], n, slots, hashes, piece_starts, piece_lengths, pieces, arcs)
        forward[: n + 1] = NOTHING
        forward[0] = 0.0
        for place in range(n):
            for size in range(min(LONGEST_PIECE, n - place)):
                if arcs[place, size] >= 0:
                    end = place + size + 1
                    forward[end] = added_logs(forward[end], forward[place] + alpha * scores[arcs[place, size]])
        first = written
        end = np.int64(n)
        while end > 0:
            left = draws[drawn]
            drawn += 1
            chosen = np.int64(1)
            for size in range(1, min(LONGEST_PIECE, end) + 1):
                piece = arcs[end - size, size - 1]
                if piece >= 0:
                    chosen = size
                    left -= math.exp(forward[end - size] + alpha * scores[piece] - forward[end])
                    if left < 0:
                        break
            out[written] = arcs[end - chosen, chosen - 1]
            written += 1
            end -= chosen
        out[first:written] = out[first:written][::-1].copy()
    return written

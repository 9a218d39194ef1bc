# ruff: noqa: ARG001, PLR1714, SIM109, E501  (one loop, compiled as one: calls that pass arrays cost more than they tidy)
"""Words of the GPT-2 and GPT-4 rules straight from UTF-8 bytes, and how often each occurs.

Both published regular expressions are deterministic enough to be read left to right with a look at one or two
characters ahead, so a word costs a few table look-ups instead of a backtracking match. The classes of characters are
those of the regular-expression engine inside `tokenizers` (see `character_classes`), so the words are its words.
"""

from __future__ import annotations

import numpy as np

from model.compiled import compiled
from model.tokenizer.engines.character_classes import LETTER, NEWLINE, NUMBER, SPACE

OTHER = 0
GPT2, GPT4 = 0, 1


@compiled
def character(data, at, end, classes):  # type: ignore[no-untyped-def]
    """Class and width in bytes of the character at `at`; `data` is valid UTF-8."""
    first = data[at]
    if first < 0x80:
        return classes[first], 1
    if first < 0xE0:
        return classes[((first & 0x1F) << 6) | (data[at + 1] & 0x3F)], 2
    if first < 0xF0:
        return classes[((first & 0x0F) << 12) | ((data[at + 1] & 0x3F) << 6) | (data[at + 2] & 0x3F)], 3
    return classes[
        ((first & 0x07) << 18) | ((data[at + 1] & 0x3F) << 12) | ((data[at + 2] & 0x3F) << 6) | (data[at + 3] & 0x3F)
    ], 4


@compiled
def run(data, at, end, classes, wanted):  # type: ignore[no-untyped-def]
    """Where the run of characters of one class that begins at `at` ends."""
    while at < end:
        first = data[at]
        if first < 0x80:
            if classes[first] != wanted:
                return at
            at += 1
        else:
            found, width = character(data, at, end, classes)
            if found != wanted:
                return at
            at += width
    return at


@compiled
def contraction(data, at, end, any_case):  # type: ignore[no-untyped-def]
    """Length in bytes of `'s 't 're 've 'm 'll 'd` at an apostrophe, 0 if there is none; `ſ` is a case of `s`."""
    if at + 1 >= end:
        return 0
    first = data[at + 1]
    if any_case:
        if first == 0xC5 and at + 2 < end and data[at + 2] == 0xBF:
            return 3
        if 0x41 <= first <= 0x5A:
            first |= 0x20
    if first == 0x73 or first == 0x64 or first == 0x6D or first == 0x74:
        return 2
    if at + 2 >= end:
        return 0
    second = data[at + 2]
    if any_case and 0x41 <= second <= 0x5A:
        second |= 0x20
    if (first == 0x6C and second == 0x6C) or ((first == 0x76 or first == 0x72) and second == 0x65):
        return 3
    return 0


@compiled
def white_space(data, at, end, classes, newline_ends):  # type: ignore[no-untyped-def]
    r"""Where the white space that begins at `at` is cut: `\s*[\r\n]` if asked for, then `\s+(?!\S)`, then `\s+`."""
    last_newline = -1
    last = at
    stop = at
    while stop < end:
        found, width = character(data, stop, end, classes)
        if found != SPACE and found != NEWLINE:
            break
        last = stop
        stop += width
        if found == NEWLINE:
            last_newline = stop
    if newline_ends and last_newline >= 0:
        return last_newline
    if stop == end or last == at:
        return stop
    return last


@compiled
def word_end_gpt2(data, at, end, classes):  # type: ignore[no-untyped-def]
    """Where the word that begins at `at` ends by the rule of GPT-2."""
    if data[at] == 0x27:
        length = contraction(data, at, end, False)
        if length:
            return at + length
    found, width = character(data, at, end, classes)
    if data[at] == 0x20 and at + 1 < end:
        found, width = character(data, at + 1, end, classes)
        if found == SPACE or found == NEWLINE:
            return white_space(data, at, end, classes, False)
        return run(data, at + 1 + width, end, classes, found)
    if found == SPACE or found == NEWLINE:
        return white_space(data, at, end, classes, False)
    return run(data, at + width, end, classes, found)


@compiled
def word_end_gpt4(data, at, end, classes):  # type: ignore[no-untyped-def]
    """Where the word that begins at `at` ends by the rule of GPT-4."""
    if data[at] == 0x27:
        length = contraction(data, at, end, True)
        if length:
            return at + length
    found, width = character(data, at, end, classes)
    if found == LETTER:
        return run(data, at + width, end, classes, LETTER)
    after = at + width
    if found == NUMBER:
        for _ in range(2):
            if after < end:
                found, width = character(data, after, end, classes)
                if found == NUMBER:
                    after += width
                    continue
            break
        return after
    following = SPACE
    if after < end:
        following, width = character(data, after, end, classes)
    if found != NEWLINE and following == LETTER:
        return run(data, after + width, end, classes, LETTER)
    if found == OTHER or (data[at] == 0x20 and after < end and following == OTHER):
        stop = run(data, after, end, classes, OTHER)
        while stop < end and (data[stop] == 0x0A or data[stop] == 0x0D):
            stop += 1
        return stop
    return white_space(data, at, end, classes, True)


@compiled
def count_words(  # type: ignore[no-untyped-def]
    data, ends, cursor, classes, rule, slots, hashes, starts, lengths, counts, arena
):
    """Count the words of texts that lie end to end, until the table is two thirds full.

    Args:
        data: (n_bytes,) uint8, UTF-8 of all texts.
        ends: (n_texts,) int64, where each text ends.
        cursor: (4,) int64: text, byte, words found, bytes of the arena in use; read and updated.
        classes: (0x110000,) uint8, see `character_classes`.
        rule: `GPT2` or `GPT4`.
        slots: (power of two,) int32, number of a word or -1.
        hashes: (capacity,) int64 of each word.
        starts: (capacity,) int64, where each word begins in the arena.
        lengths: (capacity,) int32, bytes of each word.
        counts: (capacity,) int64, occurrences of each word.
        arena: (capacity,) uint8, the words end to end.

    Returns:
        True when all texts are counted, False when the table has to grow first.
    """
    mask = slots.shape[0] - 1
    limit = slots.shape[0] * 2 // 3
    text, at, n_words, used = cursor[0], cursor[1], cursor[2], cursor[3]
    while text < ends.shape[0]:
        end = ends[text]
        while at < end:
            if n_words >= limit:
                cursor[0], cursor[1], cursor[2], cursor[3] = text, at, n_words, used
                return False
            stop = word_end_gpt2(data, at, end, classes) if rule == GPT2 else word_end_gpt4(data, at, end, classes)
            length = stop - at
            if length > 1:
                key = np.int64(length)
                for index in range(at, stop):
                    key = (key ^ np.int64(data[index])) * np.int64(0x100000001B3)
                key ^= key >> 29
                slot = key & mask
                while True:
                    word = slots[slot]
                    if word < 0:
                        slots[slot] = n_words
                        hashes[n_words], starts[n_words] = key, used
                        lengths[n_words], counts[n_words] = length, 1
                        for index in range(length):
                            arena[used + index] = data[at + index]
                        used += length
                        n_words += 1
                        break
                    if hashes[word] == key and lengths[word] == length:
                        start = starts[word]
                        same = True
                        for index in range(length):
                            if arena[start + index] != data[at + index]:
                                same = False
                                break
                        if same:
                            counts[word] += 1
                            break
                    slot = (slot + 1) & mask
            at = stop
        text += 1
    cursor[0], cursor[1], cursor[2], cursor[3] = text, at, n_words, used
    return True


@compiled
def fill_slots(slots, hashes, n_words):  # type: ignore[no-untyped-def]
    """Enter words 0 to `n_words - 1` into an empty table."""
    mask = slots.shape[0] - 1
    for word in range(n_words):
        slot = hashes[word] & mask
        while slots[slot] >= 0:
            slot = (slot + 1) & mask
        slots[slot] = word


@compiled
def holds_marked(data, quads, marked):  # type: ignore[no-untyped-def]
    """Whether valid UTF-8 has a character marked in (0x110000,) uint8; `quads` is `data` as uint64, zeros at its end."""
    at = 0
    end = data.shape[0]
    while at < end:
        if data[at] < 0x80:
            at += 1
            if at & 7 == 0:
                while at < end and quads[at >> 3] & np.uint64(0x8080808080808080) == 0:
                    at += 8
            continue
        found, width = character(data, at, end, marked)
        if found:
            return True
        at += width
    return False


@compiled
def word_borders(data, classes, rule, ends):  # type: ignore[no-untyped-def]
    """Write where the words of one text end to `ends` (n_bytes,) int64; how many they are."""
    at = 0
    n_words = 0
    while at < data.shape[0]:
        if rule == GPT2:
            at = word_end_gpt2(data, at, data.shape[0], classes)
        else:
            at = word_end_gpt4(data, at, data.shape[0], classes)
        ends[n_words] = at
        n_words += 1
    return n_words

# ruff: noqa: D417, PLR0912, PLR0915  (one loop, compiled as one: calls that pass arrays cost more than they tidy)
"""Byte pair encoding learned exactly as `tokenizers`' BpeTrainer learns it, to the order of every tie.

The state is flat arrays. Words lie end to end as ids; a hash table holds the count of every pair; a heap holds
entries (count, pair, words in which the pair was seen when the entry was made), the largest count first and of equals
the pair with the smaller ids. As in `tokenizers` (bpe/trainer.rs) an entry whose count is out of date is corrected and
put back when it comes to the top, and a merge whose text is already a token takes that token's id: both decide which
merge comes next, so both are kept, with their effect that such a pair may have two entries.

A merge of the pair (a, b) into n changes the counts only of pairs that hold a, b or n. They are summed in four arrays
by the id of the other side first, so that the hash table is asked once for each pair, not once for each word.
"""

from __future__ import annotations

import numpy as np

from model.compiled import compiled
from model.tokenizer.engines.pair_heap_kernels import KEY_BITS, pair_key, pair_slot, sift_down, sift_up, swap, with_room


@compiled
def count_pairs(symbols, starts, lengths, counts):  # type: ignore[no-untyped-def]
    """Counts of all pairs of neighbours: the table (see `pair_slot`) and its keys (n,) int64 by first sight."""
    table = np.zeros((1 << 14, 2), np.int64)
    keys = np.empty(1 << 13, np.int64)
    n_pairs = 0
    for word in range(starts.shape[0]):
        for at in range(starts[word], starts[word] + lengths[word] - 1):
            key = pair_key(symbols[at], symbols[at + 1])
            slot = pair_slot(table, key)
            if table[slot, 0] == 0:
                if n_pairs == keys.shape[0]:
                    table = with_room(table, n_pairs, n_pairs)
                    slot = pair_slot(table, key)
                    keys = np.concatenate((keys, keys))
                table[slot, 0] = key + 1
                keys[n_pairs] = key
                n_pairs += 1
            table[slot, 1] += counts[word]
    return table, keys[:n_pairs]


@compiled
def words_of_pairs(symbols, starts, lengths, table, keys):  # type: ignore[no-untyped-def]
    """The words that hold each pair: borders (n + 1,) int64 into words (m,) int32, in ascending order."""
    n_pairs = keys.shape[0]
    numbers = np.zeros(table.shape[0], np.int32)
    for number in range(n_pairs):
        numbers[pair_slot(table, keys[number])] = number
    borders = np.zeros(n_pairs + 1, np.int64)
    words = np.empty(0, np.int32)
    for filling in range(2):
        last = np.full(n_pairs, -1, np.int64)
        for word in range(starts.shape[0]):
            for at in range(starts[word], starts[word] + lengths[word] - 1):
                number = numbers[pair_slot(table, pair_key(symbols[at], symbols[at + 1]))]
                if last[number] == word:
                    continue
                last[number] = word
                if filling:
                    words[borders[number]] = word
                    borders[number] += 1
                else:
                    borders[number + 1] += 1
        if filling:
            borders[1:] = borders[:-1].copy()
            borders[0] = 0
        else:
            borders = np.cumsum(borders)
            words = np.empty(borders[n_pairs], np.int32)
    return borders, words


@compiled
def merge_in_words(  # type: ignore[no-untyped-def]
    left, right, new, words, symbols, starts, lengths, counts, changes, touched, seen, event_ids, event_words
):
    """Merge a pair in some words and sum what that does to the counts of pairs.

    Args:
        left: Id of the pair's first half.
        right: Id of its second half.
        new: Id that takes their place.
        words: (m,) int32, words to look into; a word that no longer holds the pair is left as it is.
        symbols: (n_symbols,) int32, the ids of all words; changed.
        starts: (n_words,) int64.
        lengths: (n_words,) int32; changed.
        counts: (n_words,) int64.
        changes: (vocab, 4) int64, zero: for id x the changes of (x, left), (right, x), (x, new), (new, x).
        touched: (vocab,) int32, receives the ids x that have changes; `seen` (vocab,) uint8, zero, marks them.
        event_ids: (capacity,) int32, receives x for each new pair (x, new) and -1 - x for each new pair (new, x).
        event_words: (capacity,) int32, receives the word of each event.

    Returns:
        Ids touched, events.
    """
    n_touched = 0
    n_events = 0
    for word in words:
        start, length, count = starts[word], lengths[word], counts[word]
        read = start
        write = start
        stop = start + length
        while read < stop:
            if read + 1 < stop and symbols[read] == left and symbols[read + 1] == right:
                if write > start:
                    x = symbols[write - 1]
                    changes[x, 0] -= count
                    changes[x, 2] += count
                    event_ids[n_events], event_words[n_events] = x, word
                    n_events += 1
                    if not seen[x]:
                        seen[x] = 1
                        touched[n_touched] = x
                        n_touched += 1
                if read + 2 < stop:
                    x = symbols[read + 2]
                    changes[x, 1] -= count
                    side = 2 if x == new else 3
                    changes[x, side] += count
                    event_ids[n_events], event_words[n_events] = (x if x == new else -1 - x), word
                    n_events += 1
                    if not seen[x]:
                        seen[x] = 1
                        touched[n_touched] = x
                        n_touched += 1
                symbols[write] = new
                read += 2
            else:
                symbols[write] = symbols[read]
                read += 1
            write += 1
        lengths[word] = write - start
    return n_touched, n_events


@compiled
def group_events(n_events, event_ids, event_words, sizes, last, pool, used):  # type: ignore[no-untyped-def]
    """Gather the words of each new pair at the end of `pool`, each word once.

    `sizes` and `last` are (vocab, 2) int64, columns (x, new) and (new, x); `last` holds -1. Afterwards `sizes` holds
    how many words each pair has and `last` where they end in `pool`. Returns what of `pool` is in use.
    """
    for event in range(n_events):
        x = event_ids[event]
        side = 0 if x >= 0 else 1
        x = x if x >= 0 else -1 - x
        if last[x, side] == event_words[event]:
            event_words[event] = -1
        else:
            last[x, side] = event_words[event]
            sizes[x, side] += 1
    for event in range(n_events):
        x = event_ids[event]
        side = 0 if x >= 0 else 1
        x = x if x >= 0 else -1 - x
        if last[x, side] >= 0:  # the first event of this pair: reserve its place; from here on -1 - place
            last[x, side] = -1 - used
            used += sizes[x, side]
        if event_words[event] >= 0:
            place = -1 - last[x, side]
            pool[place] = event_words[event]
            last[x, side] = -2 - place
    return used


@compiled
def token_number(slots, hashes, starts, lengths, text, key, start, length):  # type: ignore[no-untyped-def]
    """Id of the token whose bytes are `text[start : start + length]`, or -1 - its empty slot."""
    mask = slots.shape[0] - 1
    slot = (key ^ (key >> 29)) & mask
    while slots[slot] >= 0:
        token = slots[slot]
        if hashes[token] == key and lengths[token] == length:
            same = True
            for index in range(length):
                if text[starts[token] + index] != text[start + index]:
                    same = False
                    break
            if same:
                return np.int64(token)
        slot = (slot + 1) & mask
    return -1 - slot


@compiled
def append_text(text, at, starts, lengths, left, right):  # type: ignore[no-untyped-def]
    """Write the text of two tokens at `at` and return its hash."""
    key = np.int64(0)
    for token in (left, right):
        for index in range(lengths[token]):
            byte = text[starts[token] + index]
            text[at] = byte
            at += 1
            key = (key ^ np.int64(byte)) * np.int64(0x100000001B3)
    return key


@compiled
def longer_text(text, size):  # type: ignore[no-untyped-def]
    """The text itself if it holds `size` bytes, else a longer copy."""
    if text.shape[0] >= size:
        return text
    longer = np.empty(2 * size, np.uint8)
    longer[: text.shape[0]] = text
    return longer


@compiled
def token_table(text, starts, lengths, n_tokens, vocab_size):  # type: ignore[no-untyped-def]
    """Find tokens by their text: slots, hashes, the text and how much of it is in use."""
    size = 1 << 10
    while size < 2 * vocab_size:
        size *= 2
    slots = np.full(size, -1, np.int32)
    hashes = np.zeros(vocab_size, np.int64)
    for token in range(n_tokens):
        key = np.int64(0)
        for index in range(lengths[token]):
            key = (key ^ np.int64(text[starts[token] + index])) * np.int64(0x100000001B3)
        hashes[token] = key
        found = token_number(slots, hashes, starts, lengths, text, key, starts[token], lengths[token])
        if found < 0:
            slots[-1 - found] = token
    return slots, hashes, text, text.shape[0]


@compiled
def pushed(entries, heap, n_entries, size, count, key, first, stop):  # type: ignore[no-untyped-def]
    """The heap and its entries with one more entry, if its count is above zero."""
    if count <= 0:
        return entries, heap, n_entries, size
    if n_entries == entries.shape[0]:
        entries = np.concatenate((entries, entries))
    if size == heap.shape[0]:
        heap = np.concatenate((heap, heap))
    entries[n_entries, 0], entries[n_entries, 1] = first, stop
    heap[size, 0], heap[size, 1], heap[size, 2] = count, key, n_entries
    sift_up(heap, size)
    return entries, heap, n_entries + 1, size + 1


@compiled
def changed(table, key, change):  # type: ignore[no-untyped-def]
    """Add to the count of a pair; the number of rows that this takes (0 or 1)."""
    if change == 0:
        return 0
    slot = pair_slot(table, key)
    fresh = 1 if table[slot, 0] == 0 else 0
    table[slot, 0] = key + 1
    table[slot, 1] += change
    return fresh


@compiled
def learn_merges(  # type: ignore[no-untyped-def]
    symbols, starts, lengths, counts, token_text, token_starts, token_lengths, n_tokens, vocab_size, min_frequency
):
    """Learn merges until there are `vocab_size` tokens or no pair is frequent enough.

    Args:
        symbols: (n_symbols,) int32, the words as ids, end to end; changed.
        starts: (n_words,) int64, where each word begins.
        lengths: (n_words,) int32, ids of each word; changed.
        counts: (n_words,) int64, occurrences of each word.
        token_text: (n_bytes,) uint8, the text of the tokens there are.
        token_starts: (vocab_size,) int64, where each token's text begins, filled up to `n_tokens`.
        token_lengths: (vocab_size,) int32, its length.
        n_tokens: Tokens there are, special tokens included.
        vocab_size: Tokens wanted.
        min_frequency: Least count of a pair that is merged.

    Returns:
        Merges (n, 3) int32: left, right, id of the result; and the tokens reached.
    """
    table, keys = count_pairs(symbols, starts, lengths, counts)
    borders, pool = words_of_pairs(symbols, starts, lengths, table, keys)
    n_pairs, used = keys.shape[0], pool.shape[0]
    entries = np.empty((1 << 16, 2), np.int64)
    heap = np.empty((1 << 16, 3), np.int64)
    size = n_entries = 0
    for number in range(n_pairs):
        entries, heap, n_entries, size = pushed(
            entries, heap, n_entries, size, table[pair_slot(table, keys[number]), 1], keys[number],
            borders[number], borders[number + 1],
        )  # fmt: skip
    slots, hashes, token_text, text_used = token_table(token_text, token_starts, token_lengths, n_tokens, vocab_size)
    changes = np.zeros((vocab_size, 4), np.int64)
    sizes = np.zeros((vocab_size, 2), np.int64)
    last = np.full((vocab_size, 2), -1, np.int64)
    seen = np.zeros(vocab_size, np.uint8)
    touched = np.empty(vocab_size, np.int32)
    event_ids, event_words = np.empty(1 << 16, np.int32), np.empty(1 << 16, np.int32)
    merges = np.empty((1 << 12, 3), np.int32)
    n_merges = 0
    while n_tokens < vocab_size and size > 0:
        key = heap[0, 1]
        count = table[pair_slot(table, key), 1]
        if count != heap[0, 0]:
            heap[0, 0] = count
            sift_down(heap, 0, size)
            continue
        if count == 0 or 0 < count < min_frequency:
            break
        left, right = np.int32(key >> KEY_BITS), np.int32(key & 0xFFFFFFFF)
        first, stop = entries[heap[0, 2], 0], entries[heap[0, 2], 1]
        size -= 1
        swap(heap, 0, size)
        sift_down(heap, 0, size)
        # the token, new unless another merge has made the same text
        joined = token_lengths[left] + token_lengths[right]
        token_text = longer_text(token_text, text_used + joined)
        text_hash = append_text(token_text, text_used, token_starts, token_lengths, left, right)
        found = token_number(slots, hashes, token_starts, token_lengths, token_text, text_hash, text_used, joined)
        new = np.int32(found) if found >= 0 else np.int32(n_tokens)
        if found < 0:
            slots[-1 - found] = new
            hashes[new], token_starts[new], token_lengths[new] = text_hash, text_used, joined
            text_used += joined
            n_tokens += 1
        if n_merges == merges.shape[0]:
            merges = np.concatenate((merges, merges))
        merges[n_merges, 0], merges[n_merges, 1], merges[n_merges, 2] = left, right, new
        n_merges += 1
        # its words, and what that changes
        words = pool[first:stop]
        room = np.int64(0)
        for word in words:
            room += lengths[word]
        if event_ids.shape[0] < room:
            event_ids, event_words = np.empty(2 * room, np.int32), np.empty(2 * room, np.int32)
        n_touched, n_events = merge_in_words(
            left, right, new, words, symbols, starts, lengths, counts,
            changes, touched, seen, event_ids, event_words,
        )  # fmt: skip
        if pool.shape[0] < used + n_events:
            larger = np.empty(2 * (used + n_events), np.int32)
            larger[:used] = pool[:used]
            pool = larger
        used = group_events(n_events, event_ids, event_words, sizes, last, pool, used)
        table = with_room(table, n_pairs, 4 * n_touched)
        for index in range(n_touched):
            x = touched[index]
            n_pairs += changed(table, pair_key(x, left), changes[x, 0])
            n_pairs += changed(table, pair_key(right, x), changes[x, 1])
            n_pairs += changed(table, pair_key(x, new), changes[x, 2])
            n_pairs += changed(table, pair_key(new, x), changes[x, 3])
        for index in range(n_touched):
            x = touched[index]
            for side in range(2):
                if sizes[x, side]:
                    key = pair_key(x, new) if side == 0 else pair_key(new, x)
                    after = -1 - last[x, side]
                    entries, heap, n_entries, size = pushed(
                        entries, heap, n_entries, size, table[pair_slot(table, key), 1], key,
                        after - sizes[x, side], after,
                    )  # fmt: skip
                sizes[x, side], last[x, side] = 0, -1
            changes[x, 0] = changes[x, 1] = changes[x, 2] = changes[x, 3] = 0
            seen[x] = 0
    return merges[:n_merges].copy(), n_tokens

"""The compiled loop behind the C4 rules: judges lines and writes down those that stay."""

from __future__ import annotations

from typing import Any

import numpy as np

from model.compiled import allocation_free
from model.corpus import segmentation_tables as bits
from model.corpus.filters.gopher_kernels import after_line_end, line_end
from model.corpus.segmentation_kernels import cut_words

SPACE, DECIMAL, SENTENCE_END, PUNCTUATION = bits.SPACE, bits.DECIMAL, bits.SENTENCE_END, bits.PUNCTUATION
PERIOD, NEWLINE, BLANK, OPEN, CLOSE = 0x2E, 0x0A, 0x20, 0x5B, 0x5D
EDIT = np.array([ord(character) for character in "[edit]"])
CITATION_NEEDED = np.array([ord(character) for character in "[citation needed]"])
IN_TEXT, IN_LINE, IN_POLICY, IN_BRACKET = 1, 2, 4, 8
STAYS, GOES, DROPPED_PHRASE, DROPPED_BRACKET, TOO_FEW_SENTENCES = -1, -2, 0, 1, 2


@allocation_free
def count_sentences(characters: Any, flags: Any, starts: Any, ends: Any, first: int, last: int) -> int:
    """Sentences among the words [first, last): a new one begins at the first word after a full stop that is no mark.

    That is the rule of spaCy's sentencizer. White space beyond one blank counts as a word there, so it begins one too.
    """
    n, after_stop = int(last > first), False
    for word in range(first, last):
        start, end = starts[word], ends[word]
        if after_stop and word > first:
            gap = start - ends[word - 1]
            if gap > 1 or (gap == 1 and characters[start - 1] != BLANK):
                n += 1
                after_stop = False
        if end - start == 1 and flags[characters[start]] & SENTENCE_END:
            after_stop = True
        elif after_stop:
            is_mark = True
            for i in range(start, end):
                is_mark &= flags[characters[i]] & PUNCTUATION != 0
            if not is_mark:
                n += 1
                after_stop = False
    return n


@allocation_free
def _citation(characters: Any, i: int, end: int, flags: Any) -> int:
    """Length of the citation mark at i: [1], [], [edit] or [citation needed]; 0 for none."""
    k = i + 1
    while k < end and flags[characters[k]] & DECIMAL:
        k += 1
    if k < end and characters[k] == CLOSE:
        return k + 1 - i
    for mark in (EDIT, CITATION_NEEDED):
        k = 0
        while k < mark.size and i + k < end and characters[i + k] == mark[k]:
            k += 1
        if k == mark.size:
            return k
    return 0


@allocation_free
def _copy_line(characters: Any, start: int, end: int, flags: Any, removes: bool, out: Any, n: int) -> int:
    """Copy a line without citation marks to `out` from n on; gives where it ends there."""
    i = start
    while i < end:
        if removes and characters[i] == OPEN:
            length = _citation(characters, i, end, flags)
            if length:
                i += length
                continue
        out[n] = characters[i]
        n += 1
        i += 1
    return n


@allocation_free
def _found_in(out: Any, start: int, end: int, lower: Any, phrases: Any, spans: Any, anchors: Any) -> int:
    """Which kinds of phrases stand in [start, end): bits IN_TEXT, IN_LINE, IN_POLICY, IN_BRACKET."""
    found = 0
    for i in range(start, end):
        character = lower[out[i]]
        if not anchors[character & np.uint32(255)]:
            continue
        for k in range(spans.shape[0]):
            first, last, anchor, kind = spans[k, 0], spans[k, 1], spans[k, 2], spans[k, 3]
            begin = i - anchor
            if phrases[first + anchor] != character or begin < start or begin + last - first > end:
                continue
            j = first
            while j < last and lower[out[begin + j - first]] == phrases[j]:
                j += 1
            if j == last:
                found |= kind
    return found


@allocation_free
def _count_words(characters: Any, start: int, end: int, flags: Any, longest: int) -> int:
    """Words between white space, or -1 when one of them is too long."""
    n, length = 0, 0
    for i in range(start, end):
        if flags[characters[i]] & SPACE:
            length = 0
            continue
        length += 1
        n += length == 1
        if length > longest:
            return -1
    return n


@allocation_free
def _ends_well(out: Any, start: int, end: int) -> bool:
    """Whether a line ends in one of . ? ! " ' but not in an ellipsis."""
    if start == end:
        return False
    last = out[end - 1]
    if last == PERIOD:
        return not (end - start >= 3 and out[end - 2] == PERIOD and out[end - 3] == PERIOD)
    return last in (0x3F, 0x21, 0x22, 0x27)


@allocation_free
def _sentences_of_copy(start: int, end: int, flags: Any, exceptions: Any, room: Any) -> int:
    """Sentences of a line that has been changed, whose words have to be cut again."""
    keys, cuts, shapes, units = exceptions
    starts, ends, span, of_text, out = room
    span[0], span[1] = start, end
    n = cut_words(out, span, flags, keys, cuts, shapes, units, starts, ends, of_text)
    return count_sentences(out, flags, starts, ends, 0, n)


@allocation_free
def _fate(
    characters: Any,
    start: int,
    end: int,
    flags: Any,
    lower: Any,
    limits: Any,
    phrases: Any,
    spans: Any,
    anchors: Any,
    out: Any,
    first: int,
) -> Any:
    """Whether the line [start, end) stays, goes, or drops its text; and where it ends in `out`, when put at `first`."""
    longest, fewest, _, removes, needs_stop = limits
    n_words = _count_words(characters, start, end, flags, longest)
    if n_words < fewest:
        return GOES, first
    last = _copy_line(characters, start, end, flags, removes != 0, out, first)
    if needs_stop and not _ends_well(out, first, last):
        return GOES, first
    found = _found_in(out, first, last, lower, phrases, spans, anchors)
    if found & IN_TEXT:
        return DROPPED_PHRASE, first
    if found & IN_LINE:
        return GOES, first
    if found & IN_BRACKET:
        return DROPPED_BRACKET, first
    return (GOES if found & IN_POLICY else STAYS), last


@allocation_free
def _stripped(characters: Any, start: int, end: int, flags: Any) -> Any:
    """[start, end) without the white space at both ends."""
    while start < end and flags[characters[start]] & SPACE:
        start += 1
    while start < end and flags[characters[end - 1]] & SPACE:
        end -= 1
    return start, end


@allocation_free
def _trim(characters: Any, begin: int, stop: int, flags: Any, out: Any, n: int, span: Any) -> bool:
    """Note in `span` where the text in out[begin:n] is without white space around it; whether it has changed."""
    first, n = _stripped(out, begin, n, flags)
    span[0], span[1] = first, n
    i, is_same = 0, n - first == stop - begin
    while is_same and i < stop - begin:
        is_same = out[first + i] == characters[begin + i]
        i += 1
    return not is_same


@allocation_free
def keep_lines(
    characters: Any,
    text_starts: Any,
    flags: Any,
    lower: Any,
    exceptions: Any,
    word_starts: Any,
    word_ends: Any,
    words_of_text: Any,
    limits: Any,
    phrases: Any,
    spans: Any,
    anchors: Any,
    alive: Any,
    out: Any,
    out_starts: Any,
    room: Any,
    rules: Any,
    changed: Any,
) -> None:
    """Write down the lines that stay.

    Args:
        characters: As in `Segmented`.
        text_starts: As there.
        flags: As in `CharacterTables`.
        lower: As there.
        exceptions: Keys, cuts, shapes and units from there.
        word_starts: As in `Segmented`, like the next two.
        word_ends: As there.
        words_of_text: As there.
        limits: (5,) int64: longest word, fewest words of a line, fewest sentences (-1: any number), whether citations
            are removed, whether lines have to end in punctuation.
        phrases: (n,) uint32, all phrases in lower case.
        spans: (n_phrases, 4) int64: a phrase's start, end, place of its rarest character in it, kind.
        anchors: (256,) bool: whether a phrase's rarest character has this lowest byte.
        alive: (n_texts,) bool.
        out: Output (n_characters,) uint32, the lines that stay, joined by line feeds.
        out_starts: Output (n_texts, 2) int64, where each text starts and ends in it.
        room: Two (n_characters + 1,) and two (2,) int64, to work in; `out` as an array that cannot be written to, which
            `characters` is too, so that the kernels that cut words are compiled for one type alone.
        rules: Output (n_texts,) int64 of -1: why a text is dropped.
        changed: Output (n_texts,) bool: whether a text differs from before.
    """
    min_sentences = limits[2]
    for text in range(rules.size):
        if not alive[text]:
            continue
        begin, stop = text_starts[text], text_starts[text + 1]
        n, sentences, n_kept = begin, 0, 0  # a text never becomes longer, so it is written where it stood
        word, last_word = words_of_text[text], words_of_text[text + 1]
        following = begin
        while following < stop and rules[text] < 0:
            start, end = following, line_end(characters, following, stop, flags)
            following = after_line_end(characters, end, stop)
            start, end = _stripped(characters, start, end, flags)
            first = n + (n_kept > 0)
            fate, last = _fate(characters, start, end, flags, lower, limits, phrases, spans, anchors, out, first)
            if fate >= 0:
                rules[text] = fate
            if fate != STAYS:
                continue
            if min_sentences >= 0:
                while word < last_word and word_starts[word] < start:
                    word += 1
                first_word = word
                while word < last_word and word_starts[word] < end:
                    word += 1
                is_whole = last - first == end - start
                sentences += (
                    count_sentences(characters, flags, word_starts, word_ends, first_word, word)
                    if is_whole
                    else _sentences_of_copy(first, last, flags, exceptions, room)
                )
            if n_kept:
                out[n] = NEWLINE
            n, n_kept = last, n_kept + 1
        if rules[text] < 0 and sentences < min_sentences:
            rules[text] = TOO_FEW_SENTENCES
        changed[text] = _trim(characters, begin, stop, flags, out, n, out_starts[text])

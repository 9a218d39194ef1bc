"""Go on training a BPE tokenizer on new text: new merges after the old ones, all ids kept."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from model.errors import TokenizerError
from model.tokenizer.editing.add import edit_with_new_tokens
from model.tokenizer.editing.edit import VocabularyEdit
from model.tokenizer.editing.vocabulary import BpeVocabulary, WordSplitter, parse_bpe, replace_pair
from model.tokenizer.tokenizer import Tokenizer

LONGEST_WORD = 1_000
"""A longer word, in bytes, is no word (base64, a line of dashes) and teaches nothing; it also bounds the time."""


def continue_training(
    tokenizer: Tokenizer, texts: Iterable[str], n_tokens: int, min_frequency: int = 2
) -> VocabularyEdit:
    """Learn `n_tokens` more tokens from texts, read once.

    The texts are cut by the present tokenizer first; then the most frequent neighbours are merged, as in training
    (Sennrich et al. 2016), ties to the smaller ids. The new merges stand after the old ones, so a text is cut as
    before and then merged further: old tokens keep ids and meaning.

    Args:
        tokenizer: Of kind BPE.
        texts: New text; memory grows with its different words only.
        n_tokens: New ids.
        min_frequency: A pair that occurs less often is never merged.

    Raises:
        TokenizerError: It is of another kind, or the texts give fewer tokens; the message says how many.
    """
    old = parse_bpe(tokenizer, "continue")
    words = count_words(tokenizer, texts)
    learned = learn_merges(old, *_segmented(tokenizer, words), n_tokens, min_frequency)
    if len(learned) < n_tokens:
        raise TokenizerError(
            f"continue: the text gives only {len(learned)} new tokens (neighbours seen at least {min_frequency} times),"
            f" expected {n_tokens}; ask for fewer, or add text"
        )
    tokens = list(old.tokens)
    for left, right, _ in learned:
        tokens.append(tokens[left] + tokens[right])
    return edit_with_new_tokens("continue", tokenizer, old, tokens, [*old.merges, *learned])


def count_words(tokenizer: Tokenizer, texts: Iterable[str]) -> Counter[str]:
    """How often each word (in stand-ins) occurs; words over `LONGEST_WORD` bytes are left out.

    Raises:
        TokenizerError: A text holds half of a surrogate pair.
    """
    splitter = WordSplitter(tokenizer.content)
    words: Counter[str] = Counter()
    for index, text in enumerate(texts):
        try:
            words.update(word for word in splitter.words(text) if len(word) <= LONGEST_WORD)
        except (TypeError, UnicodeEncodeError) as error:
            raise TokenizerError(f"text {index} holds half of a surrogate pair; clean the text first") from error
    return words


def _segmented(tokenizer: Tokenizer, words: Counter[str]) -> tuple[list[list[int]], list[int]]:
    """The present ids of each word, and its count."""
    import tokenizers

    bpe = tokenizers.Tokenizer.from_str(tokenizer.content).model
    return [[token.id for token in bpe.tokenize(word)] for word in words], list(words.values())


def learn_merges(
    old: BpeVocabulary, words: list[list[int]], counts: Sequence[int], n_tokens: int, min_frequency: int
) -> list[tuple[int, int, int]]:
    """The next merges over words of ids, most frequent pair first, pairs counted exactly as words change.

    A pair whose text is a token already is left alone: to merge it would let old merges act after new ones.
    """
    words = [list(word) for word in words]
    tokens = list(old.tokens)
    known = set(tokens)
    frequency: dict[tuple[int, int], int] = defaultdict(int)
    places: dict[tuple[int, int], set[int]] = defaultdict(set)
    for index, word in enumerate(words):
        for pair in pairwise(word):
            frequency[pair] += counts[index]
            places[pair].add(index)
    queue = [(-count, pair) for pair, count in frequency.items()]
    heapq.heapify(queue)
    learned: list[tuple[int, int, int]] = []
    while queue and len(learned) < n_tokens:
        negative, pair = heapq.heappop(queue)
        count = frequency.get(pair, 0)
        if count < min_frequency or tokens[pair[0]] + tokens[pair[1]] in known:
            continue
        if count != -negative:
            heapq.heappush(queue, (-count, pair))
            continue
        merged = len(tokens)
        tokens.append(tokens[pair[0]] + tokens[pair[1]])
        known.add(tokens[merged])
        learned.append((*pair, merged))
        changed: set[tuple[int, int]] = set()
        for index in places.pop(pair):
            before = words[index]
            after = words[index] = replace_pair(before, *pair, merged)
            for neighbours in pairwise(before):
                frequency[neighbours] -= counts[index]
            for neighbours in pairwise(after):
                frequency[neighbours] += counts[index]
                if merged in neighbours:
                    places[neighbours].add(index)
                    changed.add(neighbours)
        frequency.pop(pair, None)
        for neighbours in changed:
            heapq.heappush(queue, (-frequency[neighbours], neighbours))
    return learned

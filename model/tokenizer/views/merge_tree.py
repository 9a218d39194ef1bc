"""How BPE builds the tokens of a word: a tree of merges for each token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from model.tokenizer.editing.vocabulary import BpeVocabulary, WordSplitter, parse_bpe
from model.tokenizer.tokenizer import Tokenizer
from model.tokenizer.views.spans import shown

LONGEST_WORD = 256


@dataclass(frozen=True)
class MergeNode:
    """A token, and the two that it was merged of.

    Attributes:
        token_id: Its id.
        shown: Its bytes for the eye.
        rank: Number of its merge, from 0 for the first learned; None for a single byte.
        parts: Left and right; empty for a single byte.
    """

    token_id: int
    shown: str
    rank: int | None = None
    parts: tuple[MergeNode, ...] = ()

    def leaves(self) -> Iterator[MergeNode]:
        """The bytes below, in order."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()

    @property
    def depth(self) -> int:
        """Merges on the longest way down; 0 for a single byte."""
        return 1 + max(part.depth for part in self.parts) if self.parts else 0


def merge_trees(tokenizer: Tokenizer, text: str) -> list[MergeNode]:
    """One tree for each token of a short text, in order; the roots are `tokenizer.encode(text)`.

    Raises:
        TokenizerError: The tokenizer is not BPE, or the text has over 256 bytes.
    """
    from model.errors import TokenizerError

    vocabulary = parse_bpe(tokenizer, "merge tree")
    ranks = vocabulary.ranks()
    try:
        words = list(WordSplitter(tokenizer.content).words(text))
    except (TypeError, UnicodeEncodeError) as error:
        raise TokenizerError("merge tree: the word holds half of a surrogate pair") from error
    if sum(map(len, words)) > LONGEST_WORD:
        raise TokenizerError(f"merge tree: {sum(map(len, words))} bytes, expected {LONGEST_WORD} or fewer; give a word")
    return [node for word in words for node in _trees(tokenizer, vocabulary, ranks, word)]


def _trees(
    tokenizer: Tokenizer,
    vocabulary: BpeVocabulary,
    ranks: dict[tuple[int, int], tuple[int, int]],
    word: str,
) -> list[MergeNode]:
    nodes = [MergeNode(i, shown(tokenizer.token_bytes(i))) for i in vocabulary.characters(word)]
    while len(nodes) > 1:
        pairs = ((left.token_id, right.token_id) for left, right in pairwise(nodes))
        found = min(((*ranks[pair], *pair) for pair in pairs if pair in ranks), default=None)
        if found is None:
            break
        rank, merged, left_id, right_id = found
        rest, nodes = nodes, []
        while rest:
            if len(rest) > 1 and (rest[0].token_id, rest[1].token_id) == (left_id, right_id):
                nodes.append(MergeNode(merged, shown(tokenizer.token_bytes(merged)), rank, (rest[0], rest[1])))
                rest = rest[2:]
            else:
                nodes.append(rest[0])
                rest = rest[1:]
    return nodes

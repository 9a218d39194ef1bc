"""A BPE vocabulary as plain lists, taken out of a `tokenizer.json` and put back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from model.errors import TokenizerError
from model.tokenizer.tokenizer import Tokenizer

CHUNK_CHARACTERS = 65_536


@dataclass(frozen=True)
class BpeVocabulary:
    """The tokens and merges of a byte-pair encoding.

    Attributes:
        tokens: Token by id; for a byte-level vocabulary in the printable stand-ins of its bytes.
        merges: Pairs of ids and the id that they become, the first to be applied first.
        added: Ids of the added (control) tokens; no text becomes one of them.
        content: The whole `tokenizer.json`.
    """

    tokens: tuple[str, ...]
    merges: tuple[tuple[int, int, int], ...]
    added: frozenset[int]
    content: Mapping[str, Any]

    def ranks(self) -> dict[tuple[int, int], tuple[int, int]]:
        """(rank, id) that a pair of ids is merged to."""
        return {(left, right): (rank, merged) for rank, (left, right, merged) in enumerate(self.merges)}

    def characters(self, word: str) -> list[int]:
        """The ids of a word (in stand-ins) before any merge.

        Raises:
            TokenizerError: A character is not in the vocabulary.
        """
        ids = self.ids()
        try:
            return [ids[character] for character in word]
        except KeyError as error:
            raise TokenizerError(f"the vocabulary has no token for {error.args[0]!r} in {word!r}") from None

    def ids(self) -> dict[str, int]:
        """Id by token."""
        return {token: token_id for token_id, token in enumerate(self.tokens)}


def parse_bpe(tokenizer: Tokenizer, purpose: str) -> BpeVocabulary:
    """The vocabulary of a BPE tokenizer.

    Args:
        tokenizer: Any tokenizer of ours.
        purpose: What the caller wants to do, for the message.

    Raises:
        TokenizerError: It is of a kind that has no merges, or its ids have gaps.
    """
    content = json.loads(tokenizer.content)
    bpe = content["model"]
    kind = bpe.get("type") or ("BPE" if "merges" in bpe else "unknown")
    if kind != "BPE" or not bpe["merges"]:
        kind = kind if kind != "BPE" else "characters or bytes without merges"
        raise TokenizerError(f"{purpose}: the tokenizer is of kind {kind}, expected BPE; train one of kind BPE")
    for key in ("continuing_subword_prefix", "end_of_word_suffix"):
        if bpe.get(key):
            raise TokenizerError(f"{purpose}: the tokenizer's {key} = {bpe[key]!r} is not supported, expected none")
    by_token: dict[str, int] = dict(bpe["vocab"])
    for added in content["added_tokens"]:
        by_token.setdefault(added["content"], added["id"])
    tokens = [token for token, _ in sorted(by_token.items(), key=lambda item: item[1])]
    if sorted(by_token.values()) != list(range(len(tokens))):
        raise TokenizerError(f"{purpose}: the tokenizer's ids are not 0 to {len(tokens) - 1} without gaps")
    merges = []
    for merge in bpe["merges"]:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        merges.append((by_token[left], by_token[right], by_token[left + right]))
    return BpeVocabulary(
        tuple(tokens), tuple(merges), frozenset(added["id"] for added in content["added_tokens"]), content
    )


def render_bpe(
    content: Mapping[str, Any],
    tokens: Sequence[str],
    merges: Sequence[tuple[int, int, int]],
    added_tokens: Sequence[Mapping[str, Any]],
    new_ids: Mapping[int, int] | None = None,
) -> str:
    """The text of a `tokenizer.json` with another vocabulary; everything else stays as in `content`.

    Args:
        content: The old file.
        tokens: Token by new id.
        merges: In new ids.
        added_tokens: The entries of `added_tokens`, with new ids.
        new_ids: New id by old id, for the ids that the post-processor names; left out when no id changed.
    """
    bpe = {**content["model"], "vocab": {token: token_id for token_id, token in enumerate(tokens)}}
    bpe["merges"] = [[tokens[left], tokens[right]] for left, right, _ in merges]
    ordered = sorted(added_tokens, key=lambda entry: int(entry["id"]))
    edited = {**content, "added_tokens": ordered, "model": bpe}
    if new_ids is not None:
        edited["post_processor"] = _renumbered(content.get("post_processor"), new_ids)
    return json.dumps(edited, ensure_ascii=False, indent=2)


def _renumbered(processor: Any, new_ids: Mapping[int, int]) -> Any:
    """A post-processor with new ids: those of `TemplateProcessing`, and BERT's `["[SEP]", id]`."""
    if isinstance(processor, list):
        if len(processor) == 2 and isinstance(processor[0], str) and type(processor[1]) is int:
            return [processor[0], new_ids[processor[1]]]
        return [_renumbered(part, new_ids) for part in processor]
    if isinstance(processor, dict):
        return {
            key: [new_ids[i] for i in value] if key == "ids" else _renumbered(value, new_ids)
            for key, value in processor.items()
        }
    return processor


def segment(ids: Sequence[int], ranks: Mapping[tuple[int, int], tuple[int, int]]) -> list[int]:
    """Apply merges to a word, the lowest rank first and from the left (Sennrich et al. 2016, algorithm 1)."""
    ids = list(ids)
    while len(ids) > 1:
        found = min(((ranks[pair], pair) for pair in pairwise(ids) if pair in ranks), default=None)
        if found is None:
            break
        (_, merged), (left, right) = found
        ids = replace_pair(ids, left, right, merged)
    return ids


def replace_pair(ids: Sequence[int], left: int, right: int, merged: int) -> list[int]:
    """All places of a pair, from the left, replaced by the merged id."""
    replaced: list[int] = []
    index = 0
    while index < len(ids):
        if ids[index] == left and index + 1 < len(ids) and ids[index + 1] == right:
            replaced.append(merged)
            index += 2
        else:
            replaced.append(ids[index])
            index += 1
    return replaced


class WordSplitter:
    """The words (in stand-ins) that a tokenizer's normalizer and pre-tokenization rules make of a text."""

    def __init__(self, content: str) -> None:
        import tokenizers

        inner = tokenizers.Tokenizer.from_str(content)
        self._normalizer = inner.normalizer
        self._pre_tokenizer = inner.pre_tokenizer

    def words(self, text: str) -> Iterator[str]:
        """The words of a text, in order; a text without white space is cut somewhere after 64 k characters."""
        for chunk in _chunks(text):
            normal = self._normalizer.normalize_str(chunk) if self._normalizer is not None else chunk
            if self._pre_tokenizer is None:
                yield normal
            else:
                for word, _ in self._pre_tokenizer.pre_tokenize_str(normal):
                    yield word


def _chunks(text: str) -> Iterator[str]:
    start = 0
    while len(text) - start > CHUNK_CHARACTERS:
        end = start + CHUNK_CHARACTERS
        cut = max(text.rfind(" ", start + 1, end), text.rfind("\n", start + 1, end))
        end = cut if cut > start else end
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]

"""New tokens for a trained tokenizer: whole words by new merges, or control tokens that no text can become."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from model.errors import TokenizerError
from model.tokenizer.editing.edit import VocabularyEdit
from model.tokenizer.editing.vocabulary import BpeVocabulary, WordSplitter, parse_bpe, render_bpe, segment
from model.tokenizer.tokenizer import Tokenizer

SHORTEST_SPECIAL = 3


def add_words(tokenizer: Tokenizer, words: Sequence[str]) -> VocabularyEdit:
    """Give each word a token of its own.

    The pieces that the word has today are merged from the left, after all merges that exist: texts without these
    words keep their tokens. A word of k pieces needs up to k - 1 new ids, because the parts on the way are tokens too.
    `word` and ` word` (in the middle of a sentence) are different words. A word that is one token already adds none.

    Raises:
        TokenizerError: The tokenizer is not BPE, or a word is empty or crosses a border of words.
    """
    old = parse_bpe(tokenizer, "add words")
    splitter = WordSplitter(tokenizer.content)
    tokens, merges = list(old.tokens), list(old.merges)
    ids, ranks = old.ids(), old.ranks()
    for word in words:
        sequence = segment(old.characters(_one_word(splitter, word)), ranks)
        while len(sequence) > 1:
            left, right = sequence[:2]
            text = tokens[left] + tokens[right]
            if text not in ids:
                ids[text] = len(tokens)
                tokens.append(text)
            ranks[left, right] = (len(merges), ids[text])
            merges.append((left, right, ids[text]))
            sequence = segment(sequence, ranks)
    edit = edit_with_new_tokens("add", tokenizer, old, tokens, merges)
    for word in words:
        found = edit.new.encode(word)
        if len(found) != 1:  # pragma: no cover  (a rule that looks at more than the word)
            raise TokenizerError(f"add: {word!r} would still be {len(found)} tokens; add a shorter part of it")
    return edit


def add_special(tokenizer: Tokenizer, names: Sequence[str]) -> VocabularyEdit:
    """Add control tokens at the end, for every kind of tokenizer; `encode` makes none of them from a text.

    Raises:
        TokenizerError: A name is too short, there already, given twice, or holds a space.
    """
    content = json.loads(tokenizer.content)
    vocabulary = content["model"].get("vocab") or {}
    taken = set(vocabulary) if isinstance(vocabulary, dict) else {entry[0] for entry in vocabulary}
    taken |= {entry["content"] for entry in content["added_tokens"]}
    entries = []
    for offset, name in enumerate(names):
        if len(name) < SHORTEST_SPECIAL or any(character.isspace() for character in name):
            raise TokenizerError(f"add: control token {name!r}, expected 3 or more characters, no space: <|name|>")
        if name in taken:
            raise TokenizerError(f"add: token {name!r} is in the vocabulary already; choose another name")
        taken.add(name)
        entries.append(_special_entry(name, tokenizer.vocab_size + offset))
    content["added_tokens"] += entries
    model = content["model"]
    if model.get("type") == "BPE" and not model.get("ignore_merges"):
        model["vocab"] |= {entry["content"]: entry["id"] for entry in entries}  # no gap before later tokens
    new = Tokenizer(json.dumps(content, ensure_ascii=False, indent=2), roles=tokenizer.roles)
    return VocabularyEdit("add", tokenizer, new, tuple(range(tokenizer.vocab_size)), ((),) * len(names))


def _special_entry(name: str, token_id: int) -> dict[str, Any]:
    exact = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": token_id, "content": name, **exact, "special": True}


def _one_word(splitter: WordSplitter, word: str) -> str:
    try:
        parts = list(splitter.words(word))
    except (TypeError, UnicodeEncodeError) as error:
        raise TokenizerError(f"add: {word!r} holds half of a surrogate pair, expected Unicode characters") from error
    if len(parts) != 1:
        raise TokenizerError(
            f"add: {word!r} is {len(parts)} words by the tokenizer's rules, expected one: no token crosses a border "
            "of words; add its words one by one, or a control token"
        )
    return parts[0]


def edit_with_new_tokens(
    kind: str, tokenizer: Tokenizer, old: BpeVocabulary, tokens: Sequence[str], merges: Sequence[tuple[int, int, int]]
) -> VocabularyEdit:
    """An edit that keeps all ids and has `tokens[old size:]` new."""
    content = render_bpe(old.content, tokens, merges, old.content["added_tokens"])
    ranks = old.ranks()
    pieces = tuple(tuple(segment(old.characters(token), ranks)) for token in tokens[tokenizer.vocab_size :])
    return VocabularyEdit(
        kind, tokenizer, Tokenizer(content, roles=tokenizer.roles), tuple(range(tokenizer.vocab_size)), pieces
    )

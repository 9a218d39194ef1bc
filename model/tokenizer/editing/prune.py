"""Keep the tokens that a text uses most; the text of a removed token is encoded by its parts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from model.errors import TokenizerError
from model.tokenizer.editing.edit import VocabularyEdit
from model.tokenizer.editing.vocabulary import BpeVocabulary, parse_bpe, render_bpe
from model.tokenizer.tokenizer import Tokenizer


def prune(tokenizer: Tokenizer, uses: npt.NDArray[np.int64] | Sequence[int], vocab_size: int) -> VocabularyEdit:
    """Cut a BPE vocabulary to exactly `vocab_size` ids.

    Kept are all control tokens, all tokens that no merge makes (the 256 bytes: every text stays encodable, without
    loss), and then the most used tokens, each with all tokens that its merges need, ties to the smaller id. The order
    of ids and of merges stays, so a text whose old tokens are all kept is encoded by the same tokens.

    Args:
        tokenizer: Of kind BPE.
        uses: (vocab_size,) how often each id occurs in a text, e.g. `statistics.measure(...).uses`.
        vocab_size: Ids in all after pruning.

    Raises:
        TokenizerError: It is of another kind, or the size is out of range.
    """
    old = parse_bpe(tokenizer, "prune")
    if len(uses) != tokenizer.vocab_size:
        raise TokenizerError(f"prune: uses of {len(uses)} ids, expected {tokenizer.vocab_size}: measure this tokenizer")
    kept = kept_ids(old, uses, vocab_size)
    new_ids = {old_id: new_id for new_id, old_id in enumerate(kept)}
    merges = [
        (new_ids[left], new_ids[right], new_ids[merged])
        for left, right, merged in old.merges
        if left in new_ids and right in new_ids and merged in new_ids
    ]
    added = [{**entry, "id": new_ids[entry["id"]]} for entry in old.content["added_tokens"]]
    content = render_bpe(old.content, [old.tokens[i] for i in kept], merges, added, new_ids)
    return VocabularyEdit("prune", tokenizer, Tokenizer(content, roles=tokenizer.roles), kept)


def kept_ids(
    vocabulary: BpeVocabulary, uses: npt.NDArray[np.int64] | Sequence[int], vocab_size: int
) -> tuple[int, ...]:
    """The ids to keep, ascending; see `prune`."""
    needs = _needs(vocabulary)
    kept = {token_id for token_id in range(len(vocabulary.tokens)) if token_id not in needs} | vocabulary.added
    if not len(kept) <= vocab_size <= len(vocabulary.tokens):
        raise TokenizerError(
            f"prune: vocabulary size {vocab_size}, expected {len(kept)} (control tokens and single bytes stay) "
            f"to {len(vocabulary.tokens)} (the present size)"
        )
    order = sorted(needs.keys() - kept, key=lambda token_id: (-int(uses[token_id]), token_id))
    while len(kept) < vocab_size:  # what a token needed may have come with another one: then it fits after all
        for token_id in order:
            wanted = _closure(token_id, needs, kept)
            if len(kept) + len(wanted) <= vocab_size:
                kept |= wanted
        order = [token_id for token_id in order if token_id not in kept]
    return tuple(sorted(kept))


def _needs(vocabulary: BpeVocabulary) -> dict[int, set[int]]:
    """For each id that merges make, the ids that they make it of."""
    needs: dict[int, set[int]] = defaultdict(set)
    for left, right, merged in vocabulary.merges:
        needs[merged] |= {left, right}
    return dict(needs)


def _closure(token_id: int, needs: dict[int, set[int]], kept: set[int]) -> set[int]:
    """The id and everything below it in the tree of merges that is not kept yet."""
    wanted: set[int] = set()
    waiting = [token_id]
    while waiting:
        current = waiting.pop()
        if current not in kept and current not in wanted:
            wanted.add(current)
            waiting += needs.get(current, ())
    return wanted

"""What an edit of a vocabulary is: the new tokenizer, and where each of its ids comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from model.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class VocabularyEdit:
    """A changed tokenizer with the way from its old ids to its new ones.

    New ids 0 to `len(kept) - 1` are old tokens; the ids after them are new tokens.

    Attributes:
        kind: `prune`, `add` or `continue`.
        old: The tokenizer before.
        new: The tokenizer after.
        kept: Old id of each old token that is left, by its new id, ascending.
        pieces: For each new token the old ids that its text was made of; empty for a control token, which had none.
    """

    kind: str
    old: Tokenizer
    new: Tokenizer
    kept: tuple[int, ...]
    pieces: tuple[tuple[int, ...], ...] = ()

    def new_ids(self) -> dict[int, int]:
        """New id by old id; a removed id is absent."""
        return {old: new for new, old in enumerate(self.kept)}

    def record(self) -> dict[str, Any]:
        """The facts of the edit as JSON; it is kept beside the edited tokenizer."""
        new_ids = self.new_ids()
        return {
            "edit": self.kind,
            "old_digest": self.old.digest,
            "new_digest": self.new.digest,
            "old_vocab_size": self.old.vocab_size,
            "new_vocab_size": self.new.vocab_size,
            "old_to_new": [new_ids.get(old, -1) for old in range(self.old.vocab_size)],
            "pieces_of_new": [list(pieces) for pieces in self.pieces],
        }

"""Embedding and output head of a model, made to fit an edited vocabulary.

A kept token keeps its row bit for bit, so its logits stay. A new token gets the mean of the rows of its old pieces
(Gee et al. 2022, "Fast Vocabulary Transfer for Language Model Compression", arXiv:2402.09977); a control token, which
has no pieces, the mean of all rows: the language model then loses at most a bounded amount on old text, where a random
row could take all probability (Hewitt 2021, "Initializing New Word Embeddings for Pretrained Language Models").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from model.tokenizer.editing.edit import VocabularyEdit

if TYPE_CHECKING:
    from torch import Tensor

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
"""Their names in the published Llama layout; a tied head has no tensor of its own."""


def edited_rows(rows_VD: Tensor, edit: VocabularyEdit) -> Tensor:
    """Rows by new id.

    Args:
        rows_VD: (old vocabulary, features), any floating type.
        edit: What changed.

    Returns:
        (new vocabulary, features) of the same type; means are taken in float64.
    """
    import torch

    kept = rows_VD[torch.tensor(edit.kept, dtype=torch.int64)]
    if not edit.pieces:
        return kept.contiguous()
    wide = rows_VD.double()
    everything = wide.mean(0)
    new = [_mean(wide, pieces) if pieces else everything for pieces in edit.pieces]
    return torch.cat([kept, torch.stack(new).to(rows_VD.dtype)]).contiguous()


def _mean(rows_VD: Tensor, ids: Sequence[int]) -> Tensor:
    return rows_VD[list(ids)].mean(0)

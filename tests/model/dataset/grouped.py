"""Datasets of documents of several sources and languages whose tokens say which document they belong to."""

from __future__ import annotations

import numpy as np
from small_tokenizers import small_tokenizer

from model.dataset.shards import ShardWriter, TokenDataset


def grouped_dataset(folder, documents, split="train", shard_tokens=97):
    """Documents given as (source, language, number of text tokens); document i's text is id 4 + i % 590 repeated."""
    with ShardWriter(folder / split, small_tokenizer(), shard_tokens) as writer:
        for index, (source, language, length) in enumerate(documents):
            writer.append(np.full(length, 4 + index % 590), 3 * length, source, language)
    return TokenDataset.open(folder, split)

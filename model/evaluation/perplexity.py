"""Perplexity and bits per byte of held-out documents, by strided windows.

Bits per byte (Gao et al. 2020, "The Pile", arXiv:2101.00027, section 3.1) divides the information in the text by its
UTF-8 bytes, so models with different tokenizers, and compressors, stand on one scale. The strided window follows the
Hugging Face page "Perplexity of fixed-length models"; unlike there, documents never share a window and the sum runs
over tokens, not over windows, so the result depends on neither batch size nor document order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from model.architecture.decoder import Decoder
from model.dataset.shards import TokenDataset
from model.errors import EvaluationError

MAX_LOGITS = 16_000_000  # of one call of the head: 64 MB of float32
SORTED_TOGETHER = 32  # batches' worth of windows that are sorted by length, so that little is padded


@dataclass(frozen=True)
class Score:
    """What a model says about some text.

    Attributes:
        nats: Negative log-likelihood of all text tokens, in nats.
        n_tokens: Tokens scored; the `<|endoftext|>` before a document is context, never scored.
        n_bytes: UTF-8 bytes of the text.
    """

    nats: float
    n_tokens: int
    n_bytes: int

    @property
    def bits_per_byte(self) -> float:
        """Nats over ln 2 and bytes: whatever the tokenizer, less is better."""
        return self.nats / math.log(2) / self.n_bytes

    @property
    def perplexity(self) -> float:
        """exp(nats per token): depends on the tokenizer, compare only between models that share one."""
        return math.exp(min(self.nats / self.n_tokens, 700))


@dataclass(frozen=True)
class Window:
    """One stretch of a document that goes through the model at once.

    Inputs are the document's tokens `start` to `end - 1`; targets `scored` to `end` count.
    """

    document: int
    start: int
    scored: int
    end: int


def document_windows(document: int, length: int, context_length: int, stride: int) -> Iterator[Window]:
    """Windows that score every token of a document but its first once.

    Args:
        document: Index, only passed on.
        length: Tokens of the document, its leading `<|endoftext|>` included.
        context_length: Tokens of a window.
        stride: Tokens scored by every window but the first; each has at least `context_length - stride` tokens of
            context, or all there are.
    """
    last = length - 1
    end = min(context_length, last)
    if end > 0:
        yield Window(document, 0, 1, end)
    while end < last:
        scored, end = end + 1, min(end + stride, last)
        yield Window(document, end - context_length, scored, end)


def score_dataset(
    model: Decoder,
    dataset: TokenDataset,
    *,
    context_length: int,
    stride: int,
    batch_sequences: int = 8,
    documents: Sequence[int] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Score:
    """The model's score on a split; see `score_documents` for arguments and errors."""
    return total_score(
        score_documents(
            model,
            dataset,
            context_length=context_length,
            stride=stride,
            batch_sequences=batch_sequences,
            documents=documents,
            on_progress=on_progress,
        )
    )


def total_score(scores: Iterable[Score]) -> Score:
    """The score of several texts together: every token and every byte weighs the same."""
    parts = list(scores)
    return Score(math.fsum(s.nats for s in parts), sum(s.n_tokens for s in parts), sum(s.n_bytes for s in parts))


def score_documents(
    model: Decoder,
    dataset: TokenDataset,
    *,
    context_length: int,
    stride: int,
    batch_sequences: int = 8,
    documents: Sequence[int] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Score]:
    """Score documents, each by itself.

    Args:
        model: In `eval` mode; logits are computed in its own dtype and read as float32.
        dataset: The split.
        context_length: Tokens of a window.
        stride: Tokens scored by every window but a document's first, 1 to `context_length`.
        batch_sequences: Windows that go through the model together; no influence on the result but rounding.
        documents: Indices to score, in this order; None: all.
        on_progress: Called with (tokens scored, tokens in all).

    Returns:
        One score for each document, in order.

    Raises:
        EvaluationError: There is nothing to score, the window is impossible, the model and the tokens have different
            vocabularies, or the model answers NaN.
    """
    if not 1 <= stride <= context_length:
        raise EvaluationError(f"stride {stride}: expected 1 to context_length {context_length}; change one of them")
    if dataset.vocab_size > (model.config.vocab_size or 0):  # a published model may have unused rows
        raise EvaluationError(
            f"{dataset.folder}: tokens of {dataset.vocab_size} kinds, but the model has {model.config.vocab_size}; "
            "use the tokenizer that the model was trained with"
        )
    chosen = list(range(dataset.n_documents)) if documents is None else list(documents)
    n_tokens = {d: int(dataset.offsets[d + 1]) - int(dataset.offsets[d]) - 1 for d in chosen}
    total = sum(n_tokens.values())
    if total == 0 or not sum(int(dataset.document_bytes[d]) for d in chosen):
        raise EvaluationError(
            f"{dataset.folder}: {len(chosen)} documents without any text, expected some to score; give the split more"
        )
    windows = (w for d in chosen for w in document_windows(d, n_tokens[d] + 1, context_length, stride))
    nats = dict.fromkeys(chosen, 0.0)
    done = 0
    with torch.inference_mode():
        for batch in batches_of_like_length(windows, batch_sequences):
            for window, value in zip(batch, _window_nats(model, dataset, batch), strict=True):
                nats[window.document] += value
                done += window.end - window.scored + 1
            if on_progress is not None:
                on_progress(done, total)
    broken = [d for d in chosen if not math.isfinite(nats[d])]
    if broken:
        raise EvaluationError(
            f"{dataset.folder}: the model gives NaN or infinity on {len(broken)} documents, first number {broken[0]}; "
            "train it again with a lower learning rate"
        )
    return [Score(nats[d], n_tokens[d], int(dataset.document_bytes[d])) for d in chosen]


def batches_of_like_length(windows: Iterator[Window], batch_sequences: int) -> Iterator[list[Window]]:
    """Batches of windows, sorted by length within a bounded stretch of the stream."""
    while stretch := list(islice(windows, batch_sequences * SORTED_TOGETHER)):
        stretch.sort(key=lambda w: w.end - w.start, reverse=True)
        for first in range(0, len(stretch), batch_sequences):
            yield stretch[first : first + batch_sequences]


def _window_nats(model: Decoder, dataset: TokenDataset, batch: Sequence[Window]) -> list[float]:
    """Nats of the scored tokens of each window.

    Shorter windows are padded on the right, which a causal model cannot see.
    """
    device = next(model.parameters()).device
    length = max(w.end - w.start for w in batch)
    tokens = np.zeros((len(batch), length + 1), dtype=np.int64)
    scored = np.zeros((len(batch), length), dtype=bool)
    for row, window in enumerate(batch):
        first = int(dataset.offsets[window.document]) + window.start
        tokens[row, : window.end - window.start + 1] = dataset.read(first, window.end - window.start + 1)
        scored[row, window.scored - window.start - 1 : window.end - window.start] = True
    tokens_BT = torch.from_numpy(tokens).to(device)
    scored_BT = torch.from_numpy(scored).to(device)
    hidden_ND = model.hidden(tokens_BT[:, :-1])[scored_BT]
    nats_N = _next_token_nats(model, hidden_ND, tokens_BT[:, 1:][scored_BT])
    return [float(part.sum()) for part in nats_N.split(scored.sum(axis=1).tolist())]


def _next_token_nats(model: Decoder, hidden_ND: Tensor, targets_N: Tensor) -> Tensor:
    """Nats of each target, (N,) float64, with the head applied to a bounded number of positions at once."""
    rows = max(1, MAX_LOGITS // (model.config.vocab_size or 1))
    parts = [
        functional.cross_entropy(model.head(hidden).float(), targets, reduction="none").double()
        for hidden, targets in zip(hidden_ND.split(rows), targets_N.split(rows), strict=True)
    ]
    return torch.cat(parts)


def choose_documents(dataset: TokenDataset, max_tokens: int | None) -> list[int]:
    """Documents, spread evenly over the split, that hold about `max_tokens` tokens: all of them when None.

    Whole documents only and at least one, so the sum can pass `max_tokens` by less than a document.
    """
    everything = list(range(dataset.n_documents))
    if max_tokens is None or dataset.n_tokens <= max_tokens:
        return everything
    share = max_tokens / dataset.n_tokens
    chosen, taken = [], 0
    for document in everything:
        if taken <= share * int(dataset.offsets[document]) and taken < max_tokens:
            chosen.append(document)
            taken += int(dataset.offsets[document + 1]) - int(dataset.offsets[document])
    return chosen

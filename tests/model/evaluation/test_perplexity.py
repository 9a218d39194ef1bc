"""The score against a token-by-token reference, hand-computed values, and what must not change it."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from judged import judged_decoder, token_split
from toy_texts import toy_text

from model.architecture.decoder import Decoder
from model.dataset.shards import TokenDataset
from model.errors import EvaluationError
from model.evaluation.perplexity import (
    Window,
    choose_documents,
    document_windows,
    score_dataset,
    score_documents,
    total_score,
)

pytestmark = pytest.mark.feature("EVAL-01")
TEXTS = ["", "a", "Fellow citizens, naïve 語 \U0001f642", toy_text(1)[:300], toy_text(2)[:77], "x" * 40]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> TokenDataset:
    return token_split(tmp_path_factory.mktemp("tokens"), TEXTS)


@torch.inference_mode()
def nats_token_by_token(model: Decoder, dataset: TokenDataset, context_length: int, stride: int) -> list[float]:
    """Each token from its own forward pass, with the context that the strided scheme promises."""
    result = []
    for index in range(dataset.n_documents):
        tokens = torch.from_numpy(dataset.document(index))
        last, end, nats = len(tokens) - 1, 0, 0.0
        while end < last:
            scored = end + 1
            end = min(context_length if end == 0 else end + stride, last)
            first = max(0, end - context_length)
            for position in range(scored, end + 1):
                logits = model(tokens[None, first:position])[0, -1].double()
                nats -= float(logits.log_softmax(-1)[tokens[position]])
        result.append(nats)
    return result


@pytest.mark.parametrize(("context_length", "stride"), [(16, 8), (16, 16), (7, 3), (5, 1), (1, 1), (500, 250)])
def test_score_equals_the_token_by_token_reference(dataset, context_length, stride):
    model = judged_decoder()
    expected = nats_token_by_token(model, dataset, context_length, stride)

    scores = score_documents(model, dataset, context_length=context_length, stride=stride, batch_sequences=3)

    assert [score.nats for score in scores] == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert [score.n_bytes for score in scores] == [len(text.encode()) for text in TEXTS]
    assert sum(s.n_tokens for s in scores) == dataset.n_tokens - dataset.n_documents


@pytest.mark.parametrize("batch_sequences", [1, 2, 5, 64])
def test_batch_size_does_not_change_the_score(dataset, batch_sequences):
    model = judged_decoder()
    alone = score_dataset(model, dataset, context_length=16, stride=8, batch_sequences=1)

    together = score_dataset(model, dataset, context_length=16, stride=8, batch_sequences=batch_sequences)

    assert together.nats == pytest.approx(alone.nats, rel=1e-6)


def test_uniform_model_scores_log2_of_the_vocabulary_per_token(dataset):
    model = judged_decoder()
    torch.nn.init.zeros_(model.head.weight)  # tied: the embedding too

    score = score_dataset(model, dataset, context_length=16, stride=8)

    n_bytes = sum(len(text.encode()) for text in TEXTS)
    vocab_size = dataset.vocab_size
    assert score.bits_per_byte == pytest.approx(math.log2(vocab_size) * score.n_tokens / n_bytes, rel=1e-6)
    assert score.perplexity == pytest.approx(vocab_size, rel=1e-5)


def test_total_weighs_tokens_not_documents(dataset):
    scores = score_documents(judged_decoder(), dataset, context_length=16, stride=8)

    total = total_score(scores)

    assert total.perplexity == pytest.approx(math.exp(sum(s.nats for s in scores) / sum(s.n_tokens for s in scores)))
    assert score_dataset(judged_decoder(), dataset, context_length=16, stride=8) == total


def test_document_order_does_not_change_a_documents_score(dataset):
    settings = {"context_length": 16, "stride": 8}
    forward = score_documents(judged_decoder(), dataset, **settings)

    backward = score_documents(judged_decoder(), dataset, documents=range(len(TEXTS))[::-1], **settings)

    assert [s.nats for s in backward[::-1]] == pytest.approx([s.nats for s in forward], rel=1e-6)


def test_smaller_stride_gives_more_context(dataset):
    for stride in (1, 4, 16):
        windows = list(document_windows(0, 100, 16, stride))
        least = min(w.scored - w.start for w in windows[1:])
        assert least >= 16 - stride + 1


@given(length=st.integers(1, 300), context_length=st.integers(1, 64), data=st.data())
def test_windows_score_every_token_but_the_first_once(length, context_length, data):
    stride = data.draw(st.integers(1, context_length))

    windows = list(document_windows(7, length, context_length, stride))

    assert [t for w in windows for t in range(w.scored, w.end + 1)] == list(range(1, length))
    assert all(0 <= w.start < w.scored <= w.end and w.end - w.start <= context_length for w in windows)
    assert all(w.end - w.start == min(context_length, length - 1) for w in windows)
    assert all(isinstance(w, Window) and w.document == 7 for w in windows)


def test_progress_ends_at_all_tokens(dataset):
    seen: list[tuple[int, int]] = []

    score = score_dataset(
        judged_decoder(), dataset, context_length=16, stride=8, on_progress=lambda *figures: seen.append(figures)
    )

    assert seen[-1] == (score.n_tokens, score.n_tokens)
    assert seen == sorted(seen)


def test_head_in_pieces_gives_the_same_score(dataset, monkeypatch):
    whole = score_dataset(judged_decoder(), dataset, context_length=16, stride=8)
    monkeypatch.setattr("model.evaluation.perplexity.MAX_LOGITS", 3 * dataset.vocab_size)

    assert score_dataset(judged_decoder(), dataset, context_length=16, stride=8).nats == pytest.approx(whole.nats)


@pytest.mark.parametrize("max_tokens", [1, 50, 400, 5_000, None])
def test_chosen_documents_are_whole_spread_and_about_as_many_tokens(tmp_path, max_tokens):
    texts = [toy_text(index)[:200] for index in range(40)]
    many = token_split(tmp_path, texts)
    sizes = [len(many.document(index)) for index in range(40)]

    chosen = choose_documents(many, max_tokens)

    if max_tokens is None:
        assert chosen == list(range(40))
        return
    taken = sum(sizes[i] for i in chosen)
    assert len(chosen) >= 1
    assert min(max_tokens, many.n_tokens) - max(sizes) <= taken <= min(max_tokens, many.n_tokens) + max(sizes)
    if len(chosen) >= 4:  # not only the first
        assert max(chosen) >= 20


def test_wrong_stride_names_the_bounds(dataset):
    with pytest.raises(EvaluationError, match="stride 17: expected 1 to context_length 16"):
        score_dataset(judged_decoder(), dataset, context_length=16, stride=17)


def test_other_vocabulary_is_refused(dataset):
    model = judged_decoder()
    model.config = model.config.model_copy(update={"vocab_size": 9})

    with pytest.raises(EvaluationError, match="but the model has 9; use the tokenizer"):
        score_dataset(model, dataset, context_length=16, stride=8)


def test_nothing_to_score_is_refused(tmp_path):
    with pytest.raises(EvaluationError, match="2 documents without any text"):
        score_dataset(judged_decoder(), token_split(tmp_path, ["", ""]), context_length=16, stride=8)


def test_nan_is_refused(dataset):
    model = judged_decoder()
    torch.nn.init.constant_(model.norm.weight, math.nan)

    with pytest.raises(EvaluationError, match="NaN or infinity on 5 documents, first number 1"):
        score_dataset(model, dataset, context_length=16, stride=8)

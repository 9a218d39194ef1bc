"""A document packed among others is computed as if it stood alone: logits, loss and gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder, initialize
from model.architecture.masks import document_borders, document_positions
from model.architecture.short_attention import LONGEST, short_causal_attention
from model.training.objectives import next_token_loss

pytestmark = pytest.mark.feature("CORP-15")


def build(n_kv_heads: int = 2, context_length: int = 64) -> Decoder:
    shape = ModelConfig(
        vocab_size=97, n_layers=3, d_model=64, n_heads=4, n_kv_heads=n_kv_heads, d_ff=96, context_length=context_length
    )
    network = Decoder(shape)
    initialize(network, torch.Generator().manual_seed(0), std=0.2)
    return network


def documents(lengths: list[int], seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(97, (length,), generator=generator) for length in lengths]


def packed(texts: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    numbers = torch.cat([torch.full((len(text),), index) for index, text in enumerate(texts)])
    return torch.cat(texts)[None], numbers[None]


# in training short windows take the hand-written attention; in evaluation and beyond its length, PyTorch's
@pytest.mark.parametrize("training", [True, False])
@settings(max_examples=25, deadline=None)
@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=8), seed=st.integers(0, 1000))
def test_logits_of_a_packed_document_equal_those_of_the_document_alone(
    training: bool, lengths: list[int], seed: int
) -> None:
    network = build().train(training)
    texts = documents(lengths, seed)
    tokens, numbers = packed(texts)
    with torch.no_grad():
        together = network.head(network.hidden(tokens, documents_BT=numbers))[0]
        for text, logits in zip(texts, together.split(lengths), strict=True):
            alone = network.head(network.hidden(text[None]))[0]
            torch.testing.assert_close(logits, alone, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("n_kv_heads", "lengths"), [(4, [5, 1, 20, 9]), (1, [64]), (2, [LONGEST, 30, 200])], ids=["mha", "one", "long"]
)
def test_gradients_of_packed_documents_are_the_sum_of_those_of_each_alone(n_kv_heads: int, lengths: list[int]) -> None:
    texts = documents(lengths)
    tokens, numbers = packed(texts)
    targets = torch.cat([torch.cat([text[1:], torch.tensor([-1])]) for text in texts])[None]
    together, alone = build(n_kv_heads, sum(lengths)).train(), build(n_kv_heads, sum(lengths)).train()
    loss = next_token_loss(together.hidden(tokens, documents_BT=numbers), together.head.weight, targets)
    loss.backward()
    counted = sum(length - 1 for length in lengths)
    total = 0.0
    for text in texts:
        if len(text) > 1:
            logits = alone(text[None, :-1])[0]
            part = functional.cross_entropy(logits, text[1:], reduction="sum") / counted
            part.backward()
            total += part.item()
    assert loss.item() == pytest.approx(total, rel=1e-5)
    for mine, theirs in zip(together.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, atol=2e-5, rtol=2e-3)


def test_without_borders_a_document_sees_the_one_before_it() -> None:
    network = build().eval()
    texts = documents([12, 12])
    tokens, numbers = packed(texts)
    with torch.no_grad():
        blocked, open_ = network.hidden(tokens, documents_BT=numbers), network.hidden(tokens)
    assert torch.allclose(blocked[:, :12], open_[:, :12], atol=1e-4)
    assert not torch.allclose(blocked[:, 12:], open_[:, 12:], atol=1e-2)


def test_a_sequence_of_one_document_is_plain_causal_attention() -> None:
    network = build().train()
    tokens = documents([40])[0][None]
    with torch.no_grad():
        one = network.hidden(tokens, documents_BT=torch.zeros_like(tokens))
        torch.testing.assert_close(one, network.hidden(tokens), atol=1e-5, rtol=1e-5)


def test_positions_count_from_the_beginning_of_each_document() -> None:
    numbers = torch.tensor([[0, 0, 0, 1, 2, 2], [5, 5, 7, 7, 7, 7]])
    assert document_positions(numbers).tolist() == [[0, 1, 2, 0, 0, 1], [0, 1, 0, 1, 2, 3]]
    seen = document_borders(numbers, torch.float32)[:, 0] == 0
    assert seen[0].int().tolist()[4] == [0, 0, 0, 0, 1, 0]
    assert seen[1].int().tolist()[3] == [0, 0, 1, 1, 0, 0]


def test_short_attention_with_borders_has_numerically_right_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, n, 5, 4, generator=generator, dtype=torch.float64).requires_grad_() for n in (2, 1, 1))
    bias = document_borders(torch.tensor([[0, 0, 1, 1, 1], [0, 1, 1, 2, 2]]), torch.float64)
    assert torch.autograd.gradcheck(lambda *x: short_causal_attention(*x, bias), (q, k, v))
    expected = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, enable_gqa=True)
    torch.testing.assert_close(short_causal_attention(q, k, v, bias), expected)

"""Sequences that grow, losses that are not counted, validation by language, borders in validation."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from pydantic import ValidationError
from small_tokenizers import small_tokenizer
from toy_texts import toy_text

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder, initialize
from model.dataset.config import DataConfig
from model.dataset.loader import BatchLoader
from model.dataset.shards import ShardWriter, TokenDataset
from model.training.config import PretrainConfig
from model.training.objectives import next_token_loss
from model.training.schedules import context_length
from model.training.validation import validation_loss, validation_losses_by

STAGES = (
    {"until": 0.25, "context_length": 8},
    {"until": 0.6, "context_length": 16},
    {"until": 1.0, "context_length": 32},
)
SHAPE = ModelConfig(n_layers=1, d_model=32, n_heads=2, n_kv_heads=1, d_ff=48, context_length=32)


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens")
    with ShardWriter(folder / "train", small_tokenizer()) as writer:
        for number in range(8):
            text = toy_text(number, sentences=6)
            ids = small_tokenizer().encode(text)
            writer.append(ids if number % 2 else ids[::-1], len(text), "toy", "fr" if number % 2 else "en")
    return TokenDataset.open(folder, "train")


@pytest.fixture(scope="module")
def network():
    made = Decoder(SHAPE.model_copy(update={"vocab_size": small_tokenizer().vocab_size}))
    initialize(made, torch.Generator().manual_seed(0), std=0.3)
    return made


@pytest.mark.feature("CORP-14")
def test_staged_sequences_grow_and_every_step_has_the_same_tokens_in_the_same_order(split):
    data = DataConfig(order="staged", stages=STAGES, packing={"borders": "block"})
    config = PretrainConfig(model=SHAPE, steps=20, warmup_steps=0, data=data)
    plain, staged = (BatchLoader(split, 4, 32, 0, DataConfig(packing={"borders": "block"})) for _ in range(2))
    lengths = []
    for step in range(config.steps):
        expected, batch = plain.draw(), staged.draw().cut(context_length(config, step))
        lengths.append(batch.inputs_BT.shape[1])
        assert batch.inputs_BT.numel() == 4 * 32
        for mine, theirs in zip(batch, expected, strict=True):
            assert torch.equal(mine.flatten(), theirs.flatten())
    assert lengths == [8] * 5 + [16] * 7 + [32] * 8


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"order": "staged"}, "expected rising shares"),
        ({"order": "staged", "stages": [{"until": 0.5, "context_length": 8}]}, "the last 1"),
        (
            {"order": "staged", "stages": [{"until": 1, "context_length": 8}, {"until": 0.5, "context_length": 8}]},
            "rising",
        ),
        (
            {"order": "staged", "stages": [{"until": 1, "context_length": 12}]},
            "does not divide model.context_length 32",
        ),
        ({"stages": [{"until": 1, "context_length": 8}]}, "order is shuffled"),
    ],
)
def test_stages_that_cannot_be_run_are_refused(data, message):
    with pytest.raises(ValidationError, match=message):
        PretrainConfig(model=SHAPE, data=data)


def test_negative_targets_count_neither_in_the_loss_nor_in_the_gradient():
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(2, 6, 8, generator=generator).requires_grad_()
    weight = torch.randn(11, 8, generator=generator).requires_grad_()
    targets = torch.tensor([[3, -1, 5, 0, -1, 10], [-1, -1, 2, 4, 9, -1]])
    loss = next_token_loss(hidden, weight, targets)
    loss.backward()
    plain = [x.detach().clone().requires_grad_() for x in (hidden, weight)]
    expected = torch.nn.functional.cross_entropy(
        (plain[0] @ plain[1].T).flatten(0, 1), targets.flatten(), ignore_index=-1
    )
    expected.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(hidden.grad, plain[0].grad, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(weight.grad, plain[1].grad, atol=1e-6, rtol=1e-4)


def test_a_batch_without_a_target_has_no_loss_and_no_gradient():
    hidden = torch.randn(1, 4, 8).requires_grad_()
    loss = next_token_loss(hidden, torch.randn(5, 8), torch.full((1, 4), -1))
    loss.backward()
    assert loss.item() == 0
    assert not hidden.grad.any()


@pytest.mark.feature("CORP-06")
def test_losses_by_language_are_those_of_the_language_alone(split, network, tmp_path):
    found = validation_losses_by(network, split, "language", max_tokens=10**6, batch_sequences=3, borders="ignore")
    assert set(found) == {"en", "fr"}
    for language in found:
        with ShardWriter(tmp_path / language, small_tokenizer()) as writer:
            for number in range(split.n_documents):
                if split.groups[split.document_groups[number]].language == language:
                    writer.append(split.document(number)[1:], 1)
        alone = TokenDataset.open(tmp_path, language)
        expected = validation_loss(network, alone, max_tokens=10**6, batch_sequences=5)
        assert found[language] == pytest.approx(expected, rel=1e-5)


@pytest.mark.feature("CORP-15")
def test_validation_with_borders_scores_each_document_by_itself(split, network):
    found = validation_loss(network, split, max_tokens=10**6, batch_sequences=3, borders="block")
    total, counted = 0.0, 0
    starts = split.offsets.tolist()
    with torch.no_grad():
        for begin, end in itertools.pairwise(starts):
            # windows of 32 fall where they fall; in each a document is scored from its first token there
            cuts = sorted({begin, end, *range(-(-begin // 32) * 32, end, 32)})
            for a, b in itertools.pairwise(cuts):
                tokens = torch.from_numpy(split.read(a, min(b + 1, end) - a))[None]
                if tokens.shape[1] > 1:
                    n = tokens.shape[1] - 1
                    logits = network(tokens[:, :-1])[0]
                    total += torch.nn.functional.cross_entropy(logits, tokens[0, 1:], reduction="sum").item()
                    counted += n
    assert found == pytest.approx(total / counted, rel=1e-5)
    assert math.isfinite(found)

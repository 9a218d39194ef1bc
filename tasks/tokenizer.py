"""Stage `tokenizer`: learn the vocabulary from the training split and say how well it fits each split."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from model.corpus.documents import count_documents, document_files, read_texts
from model.errors import CorpusError
from model.files import content_digest, sha256_file
from model.tokenizer.config import TokenizerConfig
from model.tokenizer.statistics import TokenStatistics, length_rows, longest_tokens, measure, rank_rows
from model.tokenizer.tokenizer import Tokenizer, copy_tokenizer
from model.tokenizer.training import train_tokenizer
from tasks.existing_model import find_model
from tasks.journal import Journal
from tasks.params import Params
from tasks.report import StageReport

SPLITS = ("train", "validation", "test")
SMALLER_BY_NATURE = {"char", "byte"}
MEASURED_CHARACTERS = 4_000_000
"""Text of each split behind the report's figures; more would not change them visibly."""


def tokenizer(
    config: TokenizerConfig,
    clean: Path,
    out: Path,
    journal: Journal,
    root: Path = Path(),
    params: Params | None = None,
) -> StageReport:
    """Train on `clean/train` (or take the tokenizer of a model that exists), save to `out` in the Hugging Face layout.

    Raises:
        ConfigError: The model to take it from is not there.
        CorpusError: The training split is empty.
        TokenizerError: The model's tokenizer is not one of bytes.
    """
    train = clean / "train"
    n_documents = count_documents(train)
    if not n_documents:
        raise CorpusError(
            f"{train}: no documents, expected at least one to learn a vocabulary from; add texts to ingest.sources"
        )
    origin: dict[str, Any]
    if config.from_model is None:
        trained = train_tokenizer(_reported(train, n_documents, journal), config)
        trained.save(out, chat_template=config.chat_template is not False)
        origin = {
            "kind": config.kind,
            "pre_tokenization": [rule if isinstance(rule, str) else rule.regex for rule in config.pre_tokenization],
            "normalization": list(config.normalization),
        }
    else:
        source = find_model("tokenizer.from", config.from_model, root, params)
        copy_tokenizer(source.folder, out)
        trained = Tokenizer.open(out)
        origin = {"from": source.name, "from_digest": source.digest, "bytes_without_token": trained.missing_bytes}
        journal.tags({"from": source.name, "from.digest": source.digest})
    asked = config.vocab_size if config.from_model is None and config.kind not in SMALLER_BY_NATURE else 0
    smaller = trained.vocab_size < asked
    if smaller:
        journal.say(
            f"the text gives {trained.vocab_size:,} tokens, tokenizer.vocab_size allows {asked:,} (a pair counts from "
            f"{config.min_frequency} times on); more text gives more, or: tisslm run --set tokenizer.min_frequency=1"
        )
    measured = {split: measure(trained, read_texts(clean / split), MEASURED_CHARACTERS) for split in SPLITS}
    digest = content_digest({path.name: sha256_file(path) for path in document_files(train)})
    journal.dataset("clean/train", train, digest, "training", {"documents": n_documents})
    shown = measured["validation"]
    return StageReport(
        headline=(
            f"{trained.vocab_size:,} tokens{f' (at most {asked:,})' if smaller else ''}, "
            f"{shown.bytes_per_token:.2f} bytes/token, {shown.fertility:.2f} tokens/word on validation text"
        ),
        metrics={"vocab_size": trained.vocab_size, **_figures(measured)},
        series={"token_lengths": length_rows(trained, shown.uses), "ranks": rank_rows(shown.uses)},
        tables={
            "Splits": [{"split": split, **_row(statistics)} for split, statistics in measured.items()],
            "Longest tokens, with their uses in the validation split": longest_tokens(trained, shown.uses),
        },
        facts={
            **origin,
            **({"vocab_size_asked": asked} if asked else {}),
            "engine": trained.engine.name,
            "digest": trained.digest,
            "special_tokens": trained.special_tokens,
            "measured_characters_per_split": MEASURED_CHARACTERS,
        },
    )


def _reported(train: Path, n_documents: int, journal: Journal) -> Iterator[str]:
    for index, text in enumerate(read_texts(train)):
        journal.progress(index, n_documents, "documents")
        yield text


def _figures(measured: dict[str, TokenStatistics]) -> dict[str, float]:
    return {
        f"{split}_{name}": value
        for split, statistics in measured.items()
        for name, value in _row(statistics).items()
        if name in {"fertility", "bytes_per_token", "vocabulary_use"}
    }


def _row(statistics: TokenStatistics) -> dict[str, float]:
    return {
        "documents": statistics.n_documents,
        "words": statistics.n_words,
        "bytes": statistics.n_bytes,
        "tokens": statistics.n_tokens,
        "fertility": round(statistics.fertility, 4),
        "bytes_per_token": round(statistics.bytes_per_token, 4),
        "vocabulary_use": round(statistics.vocabulary_use, 4),
    }

"""Stage `tokenize`: clean documents become shards of token ids that training maps into memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from model.corpus.documents import count_documents, document_batches, document_files, read_documents
from model.dataset.config import TokenizeConfig
from model.dataset.shards import ShardWriter, TokenDataset
from model.dataset.statistics import SplitStatistics, document_length_rows, group_rows, token_length_rows
from model.errors import CorpusError, IntegrityError
from model.files import content_digest, sha256_file
from model.randomness import numpy_generator
from model.tokenizer.config import SubwordRegularizationConfig
from model.tokenizer.tokenizer import Tokenizer
from tasks.journal import Journal
from tasks.report import StageReport

if TYPE_CHECKING:
    import pandas as pd

CONTEXTS = {"train": "training", "validation": "validation", "test": "test"}
BATCH_CHARACTERS, BATCH_DOCUMENTS = 1_000_000, 10_000
FACTS_AT_ONCE = 20_000
RELEASE_EVERY = 512
CHECKED_EVERY = 16
"""Every so many documents, one is read back from its shard, decoded and compared with its text."""


def tokenize(
    config: TokenizeConfig, clean: Path, tokenizer: Path, out: Path, journal: Journal, *, report_folder: Path
) -> StageReport:
    """Encode each split of `clean` into `out`, in bounded memory, and check what was written.

    Raises:
        CorpusError: A split has no documents.
        TokenizerError: The tokenizer is missing or damaged.
        IntegrityError: A document does not come back from its tokens unchanged.
        ExpectationError: The facts about the documents break an expectation of the suite `tokens`.
    """
    from tasks.expectations.validation import validate  # takes seconds

    opened = Tokenizer.open(tokenizer)
    counts = {split: count_documents(clean / split) for split in CONTEXTS}
    for split, count in counts.items():
        if not count:
            raise CorpusError(
                f"{clean / split}: no documents, expected at least one in every split; "
                "add texts to ingest.sources or raise clean.validation_fraction and clean.test_fraction"
            )
    writers = {split: ShardWriter(out / split, opened, config.shard_tokens) for split in CONTEXTS}
    statistics = {split: SplitStatistics.empty(opened.vocab_size) for split in CONTEXTS}
    facts = chain.from_iterable(
        encode_split(
            clean / split,
            opened,
            writers[split],
            statistics[split],
            config.subword_regularization if split == "train" else None,
        )
        for split in CONTEXTS
    )
    summary = validate("tokens", _tables(facts, sum(counts.values()), journal), report_folder / "data_docs")
    profiles = {split: _profile(writer) for split, writer in writers.items()}
    for split, context in CONTEXTS.items():
        digest = content_digest({path.name: sha256_file(path) for path in document_files(clean / split)})
        journal.dataset(f"clean/{split}", clean / split, digest, context, profiles[split])
    groups = group_rows({split: writer.groups for split, writer in writers.items()})
    return _report(profiles, statistics, opened, summary.table(), groups)


def encode_split(
    source: Path,
    tokenizer: Tokenizer,
    writer: ShardWriter,
    statistics: SplitStatistics,
    regularization: SubwordRegularizationConfig | None = None,
) -> Iterator[dict[str, Any]]:
    """Encode the documents of a folder into a split as its facts are read, then compare a sample with the disk.

    With `regularization` the documents follow once more for each of its passes, each time segmented at random.

    Yields:
        The facts of each document that the suite `tokens` judges.

    Raises:
        IntegrityError: A document does not come back from its tokens unchanged.
    """
    sample: dict[int, tuple[str, bytes]] = {}
    with writer:
        for documents in document_batches(read_documents(source), BATCH_CHARACTERS, BATCH_DOCUMENTS):
            encoded = tokenizer.encode_arrays([document.text for document in documents])
            for document, ids in zip(documents, encoded, strict=True):
                text = document.text.encode("utf-8")
                if writer.n_documents % CHECKED_EVERY == 0:
                    kept = tokenizer.normalized(document.text).encode("utf-8")
                    sample[writer.n_documents] = document.id, hashlib.sha256(kept).digest()
                writer.append(ids, len(text), document.source, document.language)
                statistics.add(ids)
                yield _facts(document.id, ids, len(text), tokenizer.vocab_size)
        if regularization is not None:
            append_passes(source, tokenizer, writer, statistics, regularization)
    dataset = TokenDataset(writer.folder)
    for done, (index, (document_id, digest)) in enumerate(sample.items()):
        if done % RELEASE_EVERY == 0:
            dataset.release()
        if hashlib.sha256(tokenizer.decode_bytes(dataset.document(index).tolist())).digest() != digest:
            raise IntegrityError(
                f"{writer.folder}: the tokens of document {document_id!r} decode to another text than its own; "
                "check the disk and run the tokenizer stage again (tisslm run --from tokenizer)"
            )


def append_passes(
    source: Path,
    tokenizer: Tokenizer,
    writer: ShardWriter,
    statistics: SplitStatistics,
    config: SubwordRegularizationConfig,
) -> None:
    """Add the documents of a folder again, in other segmentations drawn from the seed, the pass and the id alone."""
    for number in range(config.passes):
        for document in read_documents(source):
            generator = numpy_generator(config.seed, "subword regularization", number, document.id)
            ids = tokenizer.sample_encode(document.text, generator, dropout=config.dropout, alpha=config.alpha)
            writer.append(ids, len(document.text.encode("utf-8")), document.source, document.language)
            statistics.add(ids)


def _facts(document_id: str, ids: npt.NDArray[np.uint32], n_bytes: int, vocab_size: int) -> dict[str, Any]:
    """A document as the suite `tokens` sees it; `n_tokens` counts its `<|endoftext|>`, the ids are its text's."""
    return {
        "id": document_id,
        "n_tokens": len(ids) + 1,
        "n_bytes": n_bytes,
        "bytes_per_token": n_bytes / (len(ids) + 1),
        "min_id": int(ids.min()) if len(ids) else 0,
        "max_id": int(ids.max()) if len(ids) else 0,
        "vocab_size": vocab_size,
    }


def _tables(facts: Iterable[dict[str, Any]], total: int, journal: Journal) -> Iterator[pd.DataFrame]:
    """Facts as tables of bounded size; reading them is what drives the encoding."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for done, row in enumerate(facts, start=1):
        rows.append(row)
        journal.progress(done, total, "documents")
        if len(rows) == FACTS_AT_ONCE:
            yield pd.DataFrame(rows)
            rows = []
    if rows:
        yield pd.DataFrame(rows)


def _profile(split: ShardWriter) -> dict[str, float]:
    return {
        "documents": split.n_documents,
        "tokens": split.n_tokens,
        "bytes": split.n_bytes,
        "bytes_per_token": round(split.n_bytes / split.n_tokens, 4),
    }


def _report(
    profiles: Mapping[str, Mapping[str, float]],
    statistics: Mapping[str, SplitStatistics],
    tokenizer: Tokenizer,
    expectations: list[dict[str, Any]],
    groups: list[dict[str, Any]],
) -> StageReport:
    totals = {key: sum(profile[key] for profile in profiles.values()) for key in ("documents", "tokens", "bytes")}
    bytes_per_token = totals["bytes"] / totals["tokens"]
    return StageReport(
        headline=f"{_short(totals['tokens'])} tokens, {bytes_per_token:.1f} bytes/token",
        metrics={
            **totals,
            "bytes_per_token": round(bytes_per_token, 4),
            **{f"{split}_{key}": value for split, profile in profiles.items() for key, value in profile.items()},
        },
        series={
            "token_lengths": token_length_rows(statistics, tokenizer),
            "document_lengths": document_length_rows(statistics),
        },
        tables={
            "Splits": [{"split": split, **profile} for split, profile in profiles.items()],
            **({"Sources and languages": groups} if groups else {}),
            "Expectations": expectations,
        },
        facts={
            "tokenizer_digest": tokenizer.digest,
            "vocab_size": tokenizer.vocab_size,
            "read_back": f"one document in {CHECKED_EVERY} was read back from its shard and decoded to its own text",
        },
    )


def _short(count: float) -> str:
    """A count as people say it: `3.1 M`."""
    for size, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.1f} {name}"
    return str(int(count))

"""The contamination check of any stream of documents against the benchmarks of a config."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from model.corpus.contamination.config import ContaminationConfig
from model.corpus.contamination.counting import ContaminationCount
from model.corpus.contamination.items import Item, benchmark_items
from model.corpus.contamination.ngram_index import NgramIndex
from model.corpus.contamination.report import ContaminationReport, build_contamination_report
from model.corpus.documents import Document, document_batches
from model.corpus.near_duplicates.words import characters_of, words_of
from model.errors import ConfigError

BATCH_CHARACTERS, BATCH_DOCUMENTS = 1_000_000, 10_000


def check_contamination(
    documents: Iterable[Document],
    config: ContaminationConfig,
    *,
    root: Path = Path(),
    test_items: Callable[[], Iterable[Item]] | None = None,
    on_progress: Callable[[int], None] = lambda _documents: None,
    on_overlap: Callable[[str, bool], None] | None = None,
) -> ContaminationReport:
    """Compare training documents with the benchmarks of a config.

    Args:
        documents: Training documents, read once.
        config: Benchmarks and lengths of runs.
        root: Folder that the benchmarks' paths are relative to.
        test_items: Called, gives the items of a test split (`document_items(read_documents(folder))`); called once for
            each length of runs and once more to check the examples.
        on_progress: Told the documents done.
        on_overlap: Told the id of each document that shares a run with an item, and whether it holds an item by the
            longest runs, which makes it removable.

    Raises:
        ConfigError: There is nothing to compare with.
        CorpusError: A benchmark cannot be read.
    """
    if not config.benchmarks and test_items is None:
        raise ConfigError(
            "contamination.benchmarks: got none, expected files to compare with, like [{path: arc.jsonl}]"
        )
    counts = [
        ContaminationCount(index, minimum_share=config.minimum_share, examples=config.examples)
        for index in build_indexes(config, root=root, test_items=test_items)
    ]
    done = 0
    for batch in document_batches(documents, BATCH_CHARACTERS, BATCH_DOCUMENTS):
        texts, ids = characters_of([document.text for document in batch]), [document.id for document in batch]
        words = words_of(texts)
        overlaps = [count.add(texts, ids, first_position=done, words=words) for count in counts]
        if on_overlap is not None:
            longest = max(config.ngram_words)
            for k, name in enumerate(ids):
                if any(overlap.runs[k] for overlap in overlaps):
                    removable = (
                        overlap.holds_item[k]
                        for count, overlap in zip(counts, overlaps, strict=True)
                        if count.index.n == longest
                    )
                    on_overlap(name, any(removable))
        done += len(batch)
        on_progress(done)
    return build_contamination_report(counts, all_items(config, root=root, test_items=test_items))


def build_indexes(
    config: ContaminationConfig, *, root: Path = Path(), test_items: Callable[[], Iterable[Item]] | None = None
) -> list[NgramIndex]:
    """An index of the benchmarks and, where there are test items, one of them, for each length of runs.

    They are apart, so that a large test split does not push benchmarks out.

    Raises:
        CorpusError: A benchmark cannot be read.
    """
    indexes: list[NgramIndex] = []
    for n in config.ngram_words:
        groups: list[Iterable[Item]] = [benchmark_items(config.benchmarks, root)] if config.benchmarks else []
        if test_items is not None and config.test_split == "compare":
            groups.append(test_items())
        indexes.extend(
            NgramIndex.build(group, n, least_words=config.least_words, max_ngrams=config.max_ngrams) for group in groups
        )
    return indexes


def all_items(
    config: ContaminationConfig, *, root: Path = Path(), test_items: Callable[[], Iterable[Item]] | None = None
) -> Iterable[Item]:
    """All items of the benchmarks and of the test split once more."""
    yield from benchmark_items(config.benchmarks, root)
    if test_items is not None and config.test_split == "compare":
        yield from test_items()

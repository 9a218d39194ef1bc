"""The way of a document through cleaning: normalized, filtered, split, written, counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from model.corpus.config import CleanConfig
from model.corpus.documents import Document, DocumentWriter, count_documents, read_documents
from model.corpus.filters import REASONS, Filter, build_filters
from model.corpus.normalize import Repair, repairs
from model.corpus.split import SPLITS, Splitter
from model.corpus.statistics import CorpusStatistics
from model.errors import CorpusError

EXAMPLE_CHARACTERS = 120
PROGRESS_EVERY = 64


@dataclass
class CleaningResult:
    """What cleaning did.

    Attributes:
        documents: Documents that came in; equals `kept` plus all `dropped`.
        characters: Characters that came in.
        kept: Documents written, over all splits.
        dropped: Documents dropped, by reason.
        dropped_characters: Their characters, by reason.
        examples: The first few dropped documents by reason: id and beginning of the text.
        changed: Documents that a repair has changed, by the repair's name.
        statistics: Figures of the documents that were kept.
    """

    documents: int = 0
    characters: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    dropped_characters: Counter[str] = field(default_factory=Counter)
    examples: defaultdict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    changed: Counter[str] = field(default_factory=Counter)
    statistics: CorpusStatistics = field(default_factory=CorpusStatistics)


def clean_documents(
    config: CleanConfig, raw: Path, out: Path, on_progress: Callable[[int, int], None] = lambda _done, _total: None
) -> CleaningResult:
    """Clean the documents in `raw` into `out/train`, `out/validation` and `out/test`, in bounded memory.

    Args:
        config: What to repair, drop and split.
        raw: Folder of documents; it is only read.
        out: Folder to fill.
        on_progress: Told documents done and documents in all.

    Raises:
        CorpusError: No document is left, or a split has none.
    """
    result, splitter = CleaningResult(), Splitter(config)
    wanted, filters = repairs(config.normalize), build_filters(config)
    total = count_documents(raw)
    with ExitStack() as stack:
        writers = {split: stack.enter_context(DocumentWriter(out / split)) for split in SPLITS}
        for document in read_documents(raw):
            result.documents += 1
            result.characters += len(document.text)
            text = normalized(document.text, wanted, result.changed)
            reason = first_reason(text, filters)
            if reason is None:
                split = splitter.split(document.id)
                cleaned = replace(document, text=text)
                writers[split].write(cleaned)
                result.statistics.add(cleaned, split)
                result.kept += 1
            else:
                _drop(result, document, text, reason, config.examples_per_reason)
            if result.documents % PROGRESS_EVERY == 0 or result.documents == total:
                on_progress(result.documents, total)
    assert result.documents == result.kept + result.dropped.total(), "a document was neither kept nor dropped"  # noqa: S101
    if not result.kept:
        raise CorpusError(_nothing_left(config, result))
    splitter.check()
    return result


def normalized(text: str, wanted: dict[str, Repair], changed: Counter[str]) -> str:
    """The text after all repairs; counts which of them changed it."""
    for name, repair in wanted.items():
        repaired = repair(text)
        if repaired != text:
            changed[name] += 1
        text = repaired
    return text


def first_reason(text: str, filters: list[Filter]) -> str | None:
    """The first reason to drop a text, if there is one."""
    return next((reason for judge in filters if (reason := judge(text)) is not None), None)


def _drop(result: CleaningResult, document: Document, text: str, reason: str, n_examples: int) -> None:
    result.dropped[reason] += 1
    result.dropped_characters[reason] += len(text)
    if len(result.examples[reason]) < n_examples:
        result.examples[reason].append((document.id, text[:EXAMPLE_CHARACTERS]))


def _nothing_left(config: CleanConfig, result: CleaningResult) -> str:
    limits = {"too_short": f" ({config.min_characters:,})", "too_long": f" ({config.max_characters or 0:,})"}
    reasons = "; ".join(
        f"{n:,} {reason}: {REASONS[reason]}{limits.get(reason, '')}" for reason, n in result.dropped.most_common()
    )
    return f"clean: no documents left of {result.documents:,}; {reasons}; change these settings or add other texts"

"""First pass of cleaning: the documents of one shard, each judged by itself.

Repaired, filtered, freed from personal data; what is left is written down with its digest and, where near-duplicates
are looked for, its signature. Nothing here depends on another shard, so shards are done side by side, in any order.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from model.corpus.cleaning_result import CleaningResult
from model.corpus.config import CleanConfig
from model.corpus.deduplicate import text_digest
from model.corpus.documents import Document, DocumentWriter, document_batches, document_files, read_document_file
from model.corpus.facts import FactsWriter, fact_row
from model.corpus.normalize import Repair, repairs

if TYPE_CHECKING:
    import numpy as np

    from model.corpus.boilerplate import BoilerplateRemover
    from model.corpus.filters.chain import FilterChain
    from model.corpus.pii.scrub import PiiScrubber

KEPT = "kept"
DROPPED = "dropped"
RAW_FACTS = "raw_facts.parquet"
DIGESTS = "digests.npy"
LENGTHS = "lengths.npy"
SIGNATURES = "signatures.npy"
SHINGLES = "shingles"
UNIT_CHARACTERS = 16_000_000  # starting a process takes as long as judging this much
BATCH_CHARACTERS = 1_000_000
BATCH_DOCUMENTS = 512


@dataclass(frozen=True)
class ShardToJudge:
    """Some row groups of a file of raw documents.

    Attributes:
        file: The Parquet file.
        row_groups: Which of its row groups.
        config: What to repair and drop.
        repeated_lines: File with the lines that repeat all over the corpus, if they are to be removed.
        pii_key: Key of hashed personal data; never written anywhere.
    """

    file: Path
    row_groups: tuple[int, ...]
    config: CleanConfig
    repeated_lines: Path | None = None
    pii_key: bytes | None = None

    @property
    def key(self) -> str:
        """Names the unit among those of one corpus and config."""
        return f"judge-{self.file.stem}-{self.row_groups[0]:05d}"

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.file.name}, row groups {self.row_groups[0]} to {self.row_groups[-1]}"


def shards_to_judge(
    raw: Path, config: CleanConfig, repeated_lines: Path | None = None, pii_key: bytes | None = None
) -> list[ShardToJudge]:
    """The units of the first pass: neighbouring row groups of about 16 MB of text, whatever the number of workers."""
    import pyarrow.parquet as pq

    units = []
    for path in document_files(raw):
        metadata = pq.ParquetFile(path).metadata
        groups: list[int] = []
        size = 0
        for group in range(metadata.num_row_groups):
            groups.append(group)
            size += metadata.row_group(group).total_byte_size
            if size >= UNIT_CHARACTERS or group == metadata.num_row_groups - 1:
                units.append(ShardToJudge(path, tuple(groups), config, repeated_lines, pii_key))
                groups, size = [], 0
    return units


def judge_shard(unit: ShardToJudge, folder: Path) -> dict[str, Any]:
    """Judge the documents of one unit into `folder`.

    Files: `kept/part-*.parquet`, `digests.npy` (n_kept, 2) uint64, `lengths.npy` (n_kept,) int64, what `Signer` writes
    where near-duplicates are looked for, `raw_facts.parquet`, and `dropped/part-*.parquet` if dropped documents are to
    be shown.

    Returns:
        The unit's `CleaningResult` as JSON; what is left counts as kept only once the last pass has written it.
    """
    import numpy as np

    config, result = unit.config, CleaningResult()
    digests: list[bytes] = []
    lengths: list[int] = []
    with ExitStack() as stack:
        signer = stack.enter_context(Signer(config, folder)) if config.wants_signatures else None
        kept = stack.enter_context(DocumentWriter(folder / KEPT))
        facts = stack.enter_context(FactsWriter(folder / RAW_FACTS))
        dropped = stack.enter_context(DocumentWriter(folder / DROPPED)) if config.keep_dropped else None
        documents = read_document_file(unit.file, unit.row_groups)
        for batch in document_batches(documents, BATCH_CHARACTERS, BATCH_DOCUMENTS):
            left = []
            for document, judged, reason in _judged(unit, batch, result):
                facts.write(fact_row(document, ""))
                result.take_in(document.text)
                if reason:
                    result.drop(document.id, judged.text, reason, config.examples_per_reason)
                    if dropped is not None:
                        dropped.write(with_metadata(judged, dropped=reason))
                else:
                    left.append(judged)
            for judged in left:
                kept.write(judged)
                digests.append(text_digest(judged.text))
                lengths.append(len(judged.text))
            if left and signer is not None:
                signer.add([document.text for document in left])
    np.save(folder / DIGESTS, np.frombuffer(b"".join(digests), "<u8").reshape(-1, 2))
    np.save(folder / LENGTHS, np.array(lengths, np.int64))
    return result.to_json()


def _judged(
    unit: ShardToJudge, batch: Sequence[Document], result: CleaningResult
) -> Iterator[tuple[Document, Document, str]]:
    """Each document as it came, as it is now, and the reason to drop it (empty: none)."""
    config = unit.config
    wanted, chain = repairs(config.normalize), _chain(config)
    texts = [normalized(document.text, wanted, result.changed) for document in batch]
    remover = _remover(config, unit.repeated_lines)
    if remover is not None:
        for i, document in enumerate(batch):
            shorter = remover.remove(texts[i], document.source)
            result.changed["boilerplate"] += shorter != texts[i]
            texts[i] = shorter
    reasons = [length_reason(text, config) for text in texts]
    languages = [document.language for document in batch]
    if chain is not None:
        through = [i for i, reason in enumerate(reasons) if not reason]
        verdicts = chain.judge([texts[i] for i in through], [languages[i] for i in through])
        for i, verdict in zip(through, verdicts, strict=True):
            texts[i], reasons[i] = verdict.text, verdict.reason or length_reason(verdict.text, config)
            languages[i] = verdict.language or languages[i]
            result.changed.update(verdict.changed)
    scrubber = _scrubber(config, unit.pii_key)
    for i, document in enumerate(batch):
        if scrubber is not None and not reasons[i]:
            scrubbed = scrubber.scrub(texts[i])
            texts[i] = scrubbed.text
            result.pii_entities.update(scrubbed.found)
            result.pii_documents.update(scrubbed.found.keys())
        yield document, replace(document, text=texts[i], language=languages[i]), reasons[i]


def length_reason(text: str, config: CleanConfig) -> str:
    """`empty`, `too_short`, `too_long`, or nothing."""
    if not text or text.isspace():
        return "empty"
    if len(text) < config.min_characters:
        return "too_short"
    return "too_long" if config.max_characters is not None and len(text) > config.max_characters else ""


def normalized(text: str, wanted: dict[str, Repair], changed: Counter[str]) -> str:
    """The text after all repairs; counts which of them changed it."""
    for name, repair in wanted.items():
        repaired = repair(text)
        if repaired != text:
            changed[name] += 1
        text = repaired
    return text


def with_metadata(document: Document, **facts: Any) -> Document:
    """The document with more in its metadata."""
    return replace(
        document, metadata=json.dumps({**json.loads(document.metadata), **facts}, sort_keys=True, ensure_ascii=False)
    )


@functools.lru_cache(maxsize=2)
def _remover(config: CleanConfig, repeated_lines: Path | None) -> BoilerplateRemover | None:
    if config.boilerplate is None:
        return None
    from model.corpus.boilerplate import BoilerplateRemover, RepeatedLines

    return BoilerplateRemover(config.boilerplate, RepeatedLines.load(repeated_lines) if repeated_lines else None)


@functools.lru_cache(maxsize=2)
def _chain(config: CleanConfig) -> FilterChain | None:
    if not config.filters:
        return None
    from model.corpus.filters.chain import FilterChain

    return FilterChain(config.filters)


@functools.lru_cache(maxsize=2)
def _scrubber(config: CleanConfig, key: bytes | None) -> PiiScrubber | None:
    if config.pii is None:
        return None
    from model.corpus.pii.scrub import PiiScrubber

    return PiiScrubber(config.pii, key)


class Signer:
    """Writes `signatures.npy`, (n, columns) uint32, and the folder `shingles` if pairs are to be compared exactly."""

    def __init__(self, config: CleanConfig, folder: Path) -> None:
        from model.corpus.near_duplicates.shingle_file import ShingleWriter

        self.signatures = folder / SIGNATURES
        self.shingles = folder / SHINGLES
        self._config = config.similarity
        self._signed: list[np.ndarray] = []
        self._shingles = ShingleWriter(self.shingles) if self._config.verify == "exact" else None

    def add(self, texts: list[str]) -> None:
        """Sign the next documents."""
        from model.corpus.near_duplicates.shingles import shingles
        from model.corpus.near_duplicates.signatures import signatures_of
        from model.corpus.near_duplicates.words import characters_of

        cut = shingles(characters_of(texts), self._config.shingle_words)
        self._signed.append(signatures_of(cut, self._config))
        if self._shingles is not None:
            self._shingles.write(cut)

    def __enter__(self) -> Signer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import numpy as np

        from model.corpus.near_duplicates.signatures import signature_columns

        if self._shingles is not None:
            self._shingles.close()
        if kind is None:
            empty = np.empty((0, signature_columns(self._config)), np.uint32)
            np.save(self.signatures, np.concatenate([empty, *self._signed]))

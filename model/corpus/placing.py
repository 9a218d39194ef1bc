"""Second pass of cleaning: what can only be said of all documents together. Which are duplicates, where each one goes.

It looks at digests, signatures, ids and dates, never at a text (but for pairs that a signature leaves in doubt), so it
takes some 100 bytes of memory for each document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.corpus.config import CleanConfig
from model.corpus.judged_documents import JudgedDocuments
from model.corpus.judging import SHINGLES, SIGNATURES
from model.corpus.near_duplicates.config import NearDuplicatesConfig
from model.corpus.overlaps import in_reference, shared_runs
from model.corpus.split import SPLITS, Splitter, fill_splits
from model.corpus.split_by_time import find_boundaries

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from model.corpus.near_duplicates.shingle_file import ShingleFiles

DUPLICATE, NEAR_DUPLICATE, IN_REFERENCE, CONTAMINATED = 10, 11, 12, 13
REASON_OF_CODE = {
    DUPLICATE: "duplicate",
    NEAR_DUPLICATE: "near_duplicate",
    IN_REFERENCE: "in_reference",
    CONTAMINATED: "contaminated",
}
FILLED = "Moved into a split that would be empty"
SHOWN_CLUSTERS = 20
SHOWN_MEMBERS = 5
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Placement:
    """Where every judged document goes.

    Attributes:
        codes: (n_documents,) uint8: an index into `SPLITS`, or a key of `REASON_OF_CODE`.
        starts: Where each unit's documents begin in `codes`; one more than there are units.
        tables: What is to be said of it, by title.
    """

    codes: npt.NDArray[np.uint8]
    starts: list[int]
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def place_documents(
    config: CleanConfig,
    units: Sequence[Path],
    work: Path,
    root: Path,
    on_progress: Progress = lambda _done, _total, _what: None,
) -> Placement:
    """Decide about all documents that the first pass has left.

    Args:
        config: Duplicates, splits, overlaps with what judges models.
        units: The finished folders of the first pass, in order.
        work: A folder for large temporary files.
        root: The folder that paths of reference sets and benchmarks are relative to.
        on_progress: Told what is done, of how much, and what it is.

    Raises:
        CorpusError: A split would stay empty, or dates are missing for a split by time.
    """
    import numpy as np

    judged = JudgedDocuments(units)
    codes = np.zeros(len(judged), np.uint8)
    clusters = np.arange(len(judged), dtype=np.int64)
    tables: dict[str, list[dict[str, Any]]] = {}
    signatures = shingles_of = None
    if config.wants_signatures:
        signatures, shingles_of = _signatures(units, work), _shingles(config, units)
        clusters = _clusters(config.similarity, judged, signatures, shingles_of, on_progress)
    if config.deduplicate != "none":
        _drop_copies(config, judged, clusters, signatures, codes, tables)
    if config.deduplicate_against:
        near = signatures if config.deduplicate == "near" else None
        found = in_reference(config, root, judged.digests, near, shingles_of if near is not None else None, work)
        codes[found & (codes < len(SPLITS))] = IN_REFERENCE
    if signatures is not None and config.keep_clusters_together and config.similarity.within == "source":
        anywhere = config.similarity.model_copy(update={"within": "all", "verify": "estimate"})
        clusters = _clusters(anywhere, judged, signatures, None, on_progress)
    del signatures, shingles_of  # their pages go before the next pass over texts
    if (codes < len(SPLITS)).any():
        _split(config, judged, clusters, codes, tables)
        _check_overlaps(config, judged, codes, root, tables, on_progress)
    return Placement(codes, judged.starts, tables)


def _signatures(units: Sequence[Path], work: Path) -> npt.NDArray[np.uint32]:
    """The signatures of all documents in one file, memory-mapped: (n_documents, columns) uint32."""
    import numpy as np

    parts = [np.load(unit / SIGNATURES, mmap_mode="r") for unit in units]
    shape = (sum(len(part) for part in parts), parts[0].shape[1])
    joined: npt.NDArray[np.uint32] = np.lib.format.open_memmap(
        work / SIGNATURES, mode="w+", dtype=np.uint32, shape=shape
    )
    start = 0
    for part in parts:
        joined[start : start + len(part)] = part
        start += len(part)
    return joined


def _shingles(config: CleanConfig, units: Sequence[Path]) -> ShingleFiles | None:
    from model.corpus.near_duplicates.shingle_file import ShingleFiles

    return ShingleFiles([unit / SHINGLES for unit in units]) if config.similarity.verify == "exact" else None


def _clusters(
    similarity: NearDuplicatesConfig,
    judged: JudgedDocuments,
    signatures: npt.NDArray[np.uint32],
    shingles_of: ShingleFiles | None,
    on_progress: Progress,
) -> npt.NDArray[np.int64]:
    """(n_documents,) int64: the first document of each document's cluster of near-duplicates."""
    from model.corpus.near_duplicates.clusters import find_clusters

    sources = judged.source_numbers() if similarity.within == "source" else None

    def on_band(done: int, bands: int) -> None:
        on_progress(done, bands, "passes over the signatures")

    return find_clusters(signatures, similarity, shingles_of=shingles_of, sources=sources, on_progress=on_band)


def _check_overlaps(
    config: CleanConfig,
    judged: JudgedDocuments,
    codes: npt.NDArray[np.uint8],
    root: Path,
    tables: dict[str, list[dict[str, Any]]],
    on_progress: Progress,
) -> None:
    """Compare training text with benchmarks and the test split, and mark what is to go."""
    n_train = int((codes == SPLITS.index("train")).sum())

    def on_document(done: int) -> None:
        on_progress(done, n_train, "documents compared with benchmarks and the test split")

    found, removed = shared_runs(config, root, judged.units, codes, on_document)
    tables.update(found)
    if removed:
        for i, (name,) in enumerate(judged.columns("id")):
            if name in removed and codes[i] == SPLITS.index("train"):
                codes[i] = CONTAMINATED


def _drop_copies(
    config: CleanConfig,
    judged: JudgedDocuments,
    clusters: npt.NDArray[np.int64],
    signatures: npt.NDArray[np.uint32] | None,
    codes: npt.NDArray[np.uint8],
    tables: dict[str, list[dict[str, Any]]],
) -> None:
    """Mark the documents that are copies, equal ones as duplicates, others as near-duplicates."""
    import numpy as np

    from model.corpus.deduplicate import exact_first
    from model.corpus.near_duplicates.finding import first_of_source
    from model.corpus.near_duplicates.keep import choose_kept

    rule, itself = config.near_duplicates, np.arange(len(codes), dtype=np.int64)
    exact_of = exact_first(judged.digests)
    if rule.within == "source":
        exact_of = first_of_source(exact_of, judged.source_numbers())
    created = [date for (date,) in judged.columns("created")] if rule.keep == "most_recent" else []
    labels = clusters if config.deduplicate == "near" else itself
    kept = choose_kept(labels, exact_of, judged.lengths(), created, rule.keep, drop_all=rule.copies == "drop_all")
    has_copies = np.bincount(exact_of, minlength=len(codes))[exact_of] > 1
    is_equal = exact_of != itself
    is_equal |= (rule.copies == "drop_all" or rule.keep == "most_recent") & has_copies
    codes[~kept & is_equal] = DUPLICATE
    codes[~kept & ~is_equal] = NEAR_DUPLICATE
    if signatures is not None and config.deduplicate == "near":
        tables.update(_cluster_tables(config, judged, labels, kept, exact_of, signatures))


def _cluster_tables(
    config: CleanConfig,
    judged: JudgedDocuments,
    labels: npt.NDArray[np.int64],
    kept: npt.NDArray[np.bool_],
    exact_of: npt.NDArray[np.int64],
    signatures: npt.NDArray[np.uint32],
) -> dict[str, list[dict[str, Any]]]:
    """How many clusters of which sizes there are, and the largest ones to look at."""
    from model.corpus.near_duplicates.keep import joined_clusters
    from model.corpus.near_duplicates.report import Note, build_report, excerpt_of

    def note_of(index: int) -> Note:
        row = judged.row(index)
        return Note(row["id"], row["source"], excerpt_of(row["text"]))

    report = build_report(
        joined_clusters(labels, exact_of), kept, exact_of, judged.source_numbers(), note_of, signatures,
        config.similarity, n_clusters=SHOWN_CLUSTERS, n_members=SHOWN_MEMBERS,
    )  # fmt: skip
    return {"Near-duplicates": report.summary_rows(), "Largest clusters of near-duplicates": report.rows()}


def _split(
    config: CleanConfig,
    judged: JudgedDocuments,
    clusters: npt.NDArray[np.int64],
    codes: npt.NDArray[np.uint8],
    tables: dict[str, list[dict[str, Any]]],
) -> None:
    """Give every kept document the split of its cluster: of the cluster's first kept document and oldest date.

    A cluster of more than a quarter of the documents that validation or test are to have trains: texts from one
    template could else fill a whole split.
    """
    is_kept = codes < len(SPLITS)
    largest = min(config.test_fraction, config.validation_fraction) * int(is_kept.sum()) / 4
    shared, too_large = _shared_keys(judged, clusters, is_kept, largest)
    if shared:
        tables["Near-duplicates kept on one side"] = [
            {"clusters": len(shared), "documents": sum(size for *_, size in shared.values()),
             "clusters too large for a test": len(too_large)}
        ]  # fmt: skip

    def keys() -> Iterator[tuple[int, str, str]]:
        for i, (name, created) in enumerate(judged.columns("id", "created")):
            if is_kept[i]:
                yield (i, *shared.get(int(clusters[i]), (name, created, 1))[:2])

    boundaries = None
    if config.split == "time":
        dated = ((name, created) for _, name, created in keys())
        boundaries = find_boundaries(dated, config.test_fraction, config.validation_fraction, config.undated)
        tables["Splits by time"] = boundaries.rows()
    splitter = Splitter(config, boundaries)
    for i, name, created in keys():
        if int(clusters[i]) in too_large:
            splitter.documents["train"] += 1
            codes[i] = SPLITS.index("train")
        else:
            codes[i] = SPLITS.index(splitter.split(name, created))
    if boundaries is None and splitter.empty():
        tables[FILLED] = _fill(
            config, splitter, codes, [key for key in keys() if int(clusters[key[0]]) not in too_large]
        )
    if is_kept.any():
        splitter.check(int(judged.lengths()[is_kept].max()))


def _fill(
    config: CleanConfig, splitter: Splitter, codes: npt.NDArray[np.uint8], keys: Sequence[tuple[int, str, str]]
) -> list[dict[str, Any]]:
    """Move documents into splits that stayed empty, and tell which."""
    trains = splitter.documents["train"] > sum(SPLITS[codes[i]] == "train" for i, *_ in keys)
    moved = fill_splits({name for _, name, _ in keys}, config, train_is_filled=trains)
    for i, name, _ in keys:
        if name in moved:
            splitter.documents[SPLITS[codes[i]]] -= 1
            splitter.documents[moved[name]] += 1
            codes[i] = SPLITS.index(moved[name])
    return [{"split": split, "document": name} for name, split in moved.items()]


def _shared_keys(
    judged: JudgedDocuments, clusters: npt.NDArray[np.int64], is_kept: npt.NDArray[np.bool_], largest: float
) -> tuple[dict[int, tuple[str, str, int]], set[int]]:
    """Of every cluster of which more than one document is kept: id of the first, oldest date, number of documents.

    Also the labels of the clusters with more than `largest` documents.
    """
    import numpy as np

    labels, counts = np.unique(clusters[is_kept], return_counts=True)
    several = labels[counts > 1]
    found: dict[int, tuple[str, str, int]] = {}
    if not len(several):
        return found, set()
    is_shared = is_kept & np.isin(clusters, several)
    for i, (name, created) in enumerate(judged.columns("id", "created")):
        if is_shared[i]:
            first, oldest, size = found.get(int(clusters[i]), (name, created, 0))
            found[int(clusters[i])] = first, min(filter(None, (oldest, created)), default=""), size + 1
    return found, {label for label, (*_, size) in found.items() if size > largest}

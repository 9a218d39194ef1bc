"""How much of each benchmark is in training text, and the worst examples with what they share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.corpus.contamination.counting import ContaminationCount
from model.corpus.contamination.items import Item
from model.corpus.near_duplicates.shingle_kernels import SKIPPED, UNSPACED
from model.corpus.near_duplicates.words import characters_of, folded_code_points, words_of


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """One benchmark at one length of runs.

    Attributes:
        benchmark: Its name.
        ngram_words: Words in a run.
        items: Its items.
        compared: Items that have a run (or are short and looked for whole).
        overlapping: Items of which some run is in the training text (what GPT-3 calls dirty).
        contaminated: Items of which `minimum_share` of the runs are (PaLM's measure).
        runs: Different runs over all its items.
        found: Of these, how many are in the training text.
        sampled: Share of the runs that could be remembered; 1.0 means all.
    """

    benchmark: str
    ngram_words: int
    items: int
    compared: int
    overlapping: int
    contaminated: int
    runs: int
    found: int
    sampled: float


@dataclass(frozen=True, slots=True)
class Example:
    """A training document and the item of a benchmark that it holds, wholly or in part.

    Attributes:
        benchmark: The benchmark.
        ngram_words: Words in a run.
        item: The item's id.
        document: The training document's id.
        share: Share of the item's runs in this document.
        shared: The text that they share, as it stands in the document.
        is_checked: Whether its words were compared with the item's text, not only their hashes.
    """

    benchmark: str
    ngram_words: int
    item: str
    document: str
    share: float
    shared: str
    is_checked: bool


@dataclass(frozen=True)
class ContaminationReport:
    """Overlap of training text with benchmarks.

    Attributes:
        results: One for each benchmark and length of runs.
        examples: The worst of each.
        documents: Training documents compared.
        overlapping_documents: Those that share a run with some item, by length of runs.
        holding_documents: Those that hold an item (`minimum_share` of its runs), by length of runs.
        false_hits: Expected number of runs found by equal hashes alone; see `ngram_index.py`.
    """

    results: tuple[BenchmarkResult, ...]
    examples: tuple[Example, ...]
    documents: int
    overlapping_documents: dict[int, int]
    holding_documents: dict[int, int]
    false_hits: float

    def rows(self) -> list[dict[str, Any]]:
        """One row for each benchmark and length of runs, for a table."""
        return [
            {
                "benchmark": result.benchmark,
                "n": result.ngram_words,
                "items": result.items,
                "compared": result.compared,
                "any overlap": result.overlapping,
                "contaminated": result.contaminated,
                "runs": result.runs,
                "found": result.found,
                "share found": round(result.found / result.runs, 4) if result.runs else 0.0,
                "sampled": round(result.sampled, 4),
            }
            for result in self.results
        ]

    def example_rows(self) -> list[dict[str, Any]]:
        """One row for each example, for a table."""
        return [
            {
                "benchmark": example.benchmark,
                "n": example.ngram_words,
                "item": example.item,
                "document": example.document,
                "share": round(example.share, 3),
                "shared": " ".join(example.shared.split()),
            }
            for example in self.examples
        ]


def build_contamination_report(counts: Sequence[ContaminationCount], items: Iterable[Item] = ()) -> ContaminationReport:
    """Sum up counts.

    Args:
        counts: One for each index, over all training documents.
        items: The benchmarks' items once more, in any order; the examples are compared with their texts, and one whose
            words are not the item's is left out. Items that do not come leave their examples unchecked.
    """
    checked = _checked(counts, items)
    results, examples = [], []
    for number, count in enumerate(counts):
        results.extend(_results(count))
        for benchmark in sorted(count.worst):
            for one in count.worst[benchmark]:
                item = count.index.item_ids[one.item]
                name = count.index.benchmarks[benchmark]
                is_right = checked.get((number, name, item, one.document))
                if is_right is not False:
                    examples.append(
                        Example(name, count.index.n, item, one.document, 1 - one.missing, one.shared, bool(is_right))
                    )
    lengths = list(dict.fromkeys(count.index.n for count in counts))
    return ContaminationReport(
        results=tuple(results),
        examples=tuple(examples),
        documents=max((count.documents for count in counts), default=0),
        overlapping_documents={n: _most(counts, n, "overlapping_documents") for n in lengths},
        holding_documents={n: _most(counts, n, "holding_documents") for n in lengths},
        false_hits=sum(
            c.scanned_words * (len(c.index.short_widths) + 1) * len(c.index.hashes) / 2.0**64 for c in counts
        ),
    )


def _most(counts: Sequence[ContaminationCount], n: int, what: str) -> int:
    return sum(int(getattr(count, what)) for count in counts if count.index.n == n)


def _results(count: ContaminationCount) -> list[BenchmarkResult]:
    index = count.index
    runs = np.diff(index.ngram_starts)
    sums = np.concatenate([[0], np.cumsum(count.found[index.ngrams])])
    found = sums[index.ngram_starts[1:]] - sums[index.ngram_starts[:-1]]
    shares = found / np.maximum(runs, 1)
    results = []
    for number, name in enumerate(index.benchmarks):
        of_it = index.benchmark_of == number
        different = np.unique(index.ngrams[np.repeat(of_it, runs)])
        results.append(
            BenchmarkResult(
                benchmark=name,
                ngram_words=index.n,
                items=int(of_it.sum()),
                compared=int((runs[of_it] > 0).sum()),
                overlapping=int((found[of_it] > 0).sum()),
                contaminated=int((shares[of_it] >= count.minimum_share).sum()),
                runs=len(different),
                found=int(count.found[different].sum()),
                sampled=index.sampled,
            )
        )
    return results


def _checked(counts: Sequence[ContaminationCount], items: Iterable[Item]) -> dict[tuple[int, str, str, str], bool]:
    """Whether each example's shared text is in its item, word by word; only for items that come."""
    wanted: dict[tuple[str, str], list[tuple[int, str, str]]] = {}
    for number, count in enumerate(counts):
        for benchmark, evidence in count.worst.items():
            for one in evidence:
                key = count.index.benchmarks[benchmark], count.index.item_ids[one.item]
                wanted.setdefault(key, []).append((number, one.document, one.shared.removesuffix(" ...")))
    checked = {}
    for item in items if wanted else ():
        if examples := wanted.get((item.benchmark, item.id)):
            whole = f" {plain_words(item.text)} "
            for number, document, shared in examples:
                checked[number, item.benchmark, item.id, document] = f" {plain_words(shared)} " in whole
    return checked


def plain_words(text: str) -> str:
    """The words of a text as they are compared, with single spaces between them."""
    letters = characters_of([text])
    begins, ends = words_of(letters, with_spans=True).spans.T
    steps = np.zeros(len(letters.characters) + 1, np.int8)
    steps[begins] += 1
    steps[ends] -= 1
    codes = folded_code_points()[letters.characters] & ~UNSPACED
    is_counted = codes > SKIPPED
    if not is_counted.any():  # a text of marks alone, each a word
        codes, is_counted = letters.characters, np.ones(len(codes), bool)
    places = np.flatnonzero(is_counted & (np.cumsum(steps[:-1], dtype=np.int8) > 0))
    spaced = np.insert(codes[places], np.searchsorted(places, begins[1:]), ord(" "))
    return spaced.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")

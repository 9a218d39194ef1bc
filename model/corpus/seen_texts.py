"""Which texts a model has been trained on, in a few bytes a document: enough to know a test text that it has seen.

A document leaves the hashes of a sample of its runs of 8 words: one run in 32, chosen by the hash itself, and at least
4 of each document ("0 mod p" fingerprints: Manber 1994, "Finding similar files in a large file system"). Another text
counts as seen where half of its own sample is there (containment: Broder 1997, "On the resemblance and containment of
documents"). So copies with small edits, other white space or case, and parts of a longer document are known as well,
however the corpus was cut, named and split. The texts cannot be read from the hashes, but who has a text can ask
whether it was there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from model.corpus.documents import Document, document_batches
from model.errors import IntegrityError
from model.files import read_json_mapping, write_json

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

HASHES_FILE, FACTS_FILE = "hashes.npy", "facts.json"
RUN_WORDS, ONE_IN, LEAST_RUNS, SEEN_SHARE = 8, 32, 4, 0.5
BATCH_CHARACTERS, BATCH_DOCUMENTS = 1_000_000, 10_000
CHOICE, KEY = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93  # odd: multiplied by them, the top bits depend on all bits below


@dataclass(frozen=True, eq=False)
class SeenTexts:
    """The record of a model's training texts.

    Attributes:
        hashes: (n,) uint32, sorted, each once.
        documents: How many documents left them.
        unknown: Models that this one was trained from and of whose texts there is no record.
    """

    hashes: npt.NDArray[np.uint32]
    documents: int
    unknown: tuple[str, ...] = ()

    @classmethod
    def of(cls, documents: Iterable[Document]) -> SeenTexts:
        """The record of some documents, read once."""
        import numpy as np

        found, n = [np.empty(0, np.uint32)], 0
        for batch in document_batches(documents, BATCH_CHARACTERS, BATCH_DOCUMENTS):
            n += len(batch)
            found.append(np.unique(np.concatenate(samples([document.text for document in batch]))))
        return cls(np.unique(np.concatenate(found)), n)

    def joined(self, other: SeenTexts) -> SeenTexts:
        """The record of a model that has seen both."""
        import numpy as np

        unknown = tuple(dict.fromkeys(chain(self.unknown, other.unknown)))
        return SeenTexts(np.union1d(self.hashes, other.hashes), self.documents + other.documents, unknown)

    def holds(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text was seen, word for word or nearly, whole or as a part of a document."""
        import numpy as np

        return [
            len(sample) > 0 and float(np.isin(sample, self.hashes).mean()) >= SEEN_SHARE for sample in samples(texts)
        ]

    def save(self, folder: Path) -> None:
        """Write the record into a folder of its own."""
        import numpy as np

        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / HASHES_FILE, self.hashes.astype("<u4"), allow_pickle=False)
        facts = {"documents": self.documents, "run_words": RUN_WORDS, "one_in": ONE_IN, "unknown": list(self.unknown)}
        write_json(folder / FACTS_FILE, facts)

    @classmethod
    def open(cls, folder: Path) -> SeenTexts | None:
        """The record in a folder, None where there is none.

        Raises:
            IntegrityError: It is damaged, or made in another way.
        """
        import numpy as np

        if not (folder / FACTS_FILE).is_file():
            return None
        facts = read_json_mapping(folder / FACTS_FILE)
        if (facts.get("run_words"), facts.get("one_in")) != (RUN_WORDS, ONE_IN):
            raise IntegrityError(
                f"{folder / FACTS_FILE}: one run of {facts.get('run_words')} words in {facts.get('one_in')}, "
                f"expected {RUN_WORDS} words, one in {ONE_IN}; publish the model again"
            )
        try:
            hashes = np.load(folder / HASHES_FILE, allow_pickle=False)
            return cls(hashes.astype(np.uint32), int(facts["documents"]), tuple(facts["unknown"]))
        except (OSError, ValueError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise IntegrityError(f"{folder / HASHES_FILE}: damaged ({error}); publish the model again") from error


def samples(texts: Sequence[str]) -> list[npt.NDArray[np.uint32]]:
    """The sample of each text: hashes of runs of words, (n,) uint32, each once."""
    import numpy as np

    from model.corpus.near_duplicates.shingles import shingles
    from model.corpus.near_duplicates.words import characters_of

    runs = shingles(characters_of(texts), RUN_WORDS)
    order = runs.hashes * np.uint64(CHOICE)
    chosen: list[npt.NDArray[np.uint32]] = []
    for begin, end in zip(runs.starts[:-1], runs.starts[1:], strict=True):
        rank, first = np.unique(order[begin:end], return_index=True)  # the smallest ranks are the sample
        n = max(int(np.searchsorted(rank, np.uint64(2**64 // ONE_IN))), LEAST_RUNS)
        keys = (runs.hashes[begin:end][first[:n]] * np.uint64(KEY)) >> np.uint64(32)
        chosen.append(np.unique(keys.astype(np.uint32)))
    return chosen

"""The documents that the first pass of cleaning has left, as one row over all its units."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.corpus.documents import document_files
from model.corpus.judging import DIGESTS, KEPT, LENGTHS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class JudgedDocuments:
    """What the units of the first pass hold, document by document in order; nothing of a text is kept in memory.

    Attributes:
        units: The finished folders, in order.
        starts: Where each unit's documents begin; one more than there are units.
        digests: (n, 2) uint64, of the texts.
    """

    def __init__(self, units: Sequence[Path]) -> None:
        import numpy as np

        self.units = list(units)
        digests = [np.load(unit / DIGESTS) for unit in units]
        self.digests: npt.NDArray[np.uint64] = np.concatenate(digests)
        self.starts: list[int] = [0, *np.cumsum([len(part) for part in digests]).tolist()]

    def __len__(self) -> int:
        """How many documents there are."""
        return self.starts[-1]

    def lengths(self) -> npt.NDArray[np.int64]:
        """(n,) int64: characters of each document."""
        import numpy as np

        return np.concatenate([np.load(unit / LENGTHS) for unit in self.units])

    def columns(self, *names: str) -> Iterator[tuple[str, ...]]:
        """Some columns of all documents, a record batch in memory at a time."""
        import pyarrow.parquet as pq

        for unit in self.units:
            for path in document_files(unit / KEPT):
                with pq.ParquetFile(path) as file:
                    for batch in file.iter_batches(batch_size=4096, columns=list(names), use_threads=False):
                        yield from zip(*(batch.column(name).to_pylist() for name in names), strict=True)

    def source_numbers(self) -> npt.NDArray[np.int64]:
        """(n,) int64: the same number for documents of the same source."""
        import numpy as np

        numbers: dict[str, int] = {}
        found = (numbers.setdefault(source, len(numbers)) for (source,) in self.columns("source"))
        return np.fromiter(found, np.int64, len(self))

    def row(self, index: int) -> dict[str, Any]:
        """One document; reads the row group that it stands in."""
        import pyarrow.parquet as pq

        unit = bisect.bisect_right(self.starts, index) - 1
        place = index - self.starts[unit]
        for path in document_files(self.units[unit] / KEPT):
            with pq.ParquetFile(path) as file:
                for group in range(file.metadata.num_row_groups):
                    n = file.metadata.row_group(group).num_rows
                    if place < n:
                        row: dict[str, Any] = file.read_row_group(group).slice(place, 1).to_pylist()[0]
                        return row
                    place -= n
        raise IndexError(index)

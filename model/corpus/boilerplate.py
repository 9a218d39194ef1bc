"""Removal of boilerplate lines: those that patterns know, and those that many documents of a source have.

Menus, cookie notices and copyright lines are found by a list of patterns that ships with the package
(`boilerplate_lines.txt`) and by patterns of one's own. What a site repeats on its pages is found by counting: before
cleaning, each document's lines go into a count-min sketch (Cormode and Muthukrishnan 2005), which takes 16 MB whatever
the corpus, never counts too little, and counts the same whatever the order and the division into shards.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from model.configuration import StrictConfig, unit

if TYPE_CHECKING:
    import numpy as np

ROWS = 4
COLUMNS = 1 << 20
LONGEST_LINE = 300


class BoilerplateConfig(StrictConfig):
    """Which lines are taken out of texts."""

    patterns: Literal["web", "none"] = Field(
        "web", description="web: the list that comes with TissLM; none: only your own"
    )
    own_patterns: tuple[str, ...] = Field(
        (), max_length=1000, description="RE2 expressions, each matched against a whole line in any case"
    )
    repeated_share: float | None = Field(
        None,
        gt=0,
        le=1,
        description="take out lines that stand in at least this share of a source's documents; null counts none",
        json_schema_extra=unit("fraction"),
    )
    repeated_documents: int = Field(
        10, ge=2, description="... and in at least so many documents", json_schema_extra=unit("documents")
    )

    @field_validator("own_patterns")
    @classmethod
    def _can_be_compiled(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        from model.corpus.filters.pattern import compile_pattern

        for pattern in patterns:
            compile_pattern(pattern)
        return patterns


def empty_sketch() -> np.ndarray:
    """A sketch that has counted nothing: (4, 1048576) uint32."""
    import numpy as np

    return np.zeros((ROWS, COLUMNS), np.uint32)


@dataclass
class RepeatedLines:
    """In how many documents of each source each line stands, about: never less than the truth.

    Lines are compared without the white space around them and with all numbers alike; blank ones and those of more than
    300 characters do not count. A count is too high by more than 2.6e-6 of all lines in one case in fifty (e / columns,
    e^-rows), which is far below any share worth asking for.

    Attributes:
        counts: (4, 1048576) uint32.
        documents: Documents seen, by source.
    """

    counts: np.ndarray = field(default_factory=empty_sketch)
    documents: Counter[str] = field(default_factory=Counter)

    def add(self, texts: Sequence[str], source: str = "") -> None:
        """Count the lines of some documents of a source, each once for a document."""
        import numpy as np

        lines, of_text = line_keys(texts, source)
        owners = np.repeat(np.arange(len(texts)), np.diff(of_text))
        counted = lines != 0
        pairs = np.unique(np.stack([owners[counted].astype(np.uint64), lines[counted]], axis=1), axis=0)
        for row in range(ROWS):
            np.add.at(self.counts[row], _column(pairs[:, 1], row), 1)
        self.documents[source] += len(texts)

    def merge(self, other: RepeatedLines) -> None:
        """Add what another counter has counted, of other documents."""
        self.counts += other.counts
        self.documents.update(other.documents)

    def count(self, lines: np.ndarray) -> np.ndarray:
        """In how many documents lines stand: (n,) uint64 keys to (n,) uint32."""
        import numpy as np

        least: np.ndarray = np.min([self.counts[row][_column(lines, row)] for row in range(ROWS)], axis=0)
        return least

    def save(self, path: Path) -> None:
        """Write the counts to a file (NumPy's format, compressed)."""
        import numpy as np

        names = sorted(self.documents)
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                counts=self.counts,
                sources=np.array(names, dtype=np.str_),
                documents=np.array([self.documents[name] for name in names], dtype=np.int64),
            )

    @classmethod
    def load(cls, path: Path) -> RepeatedLines:
        """Read what `save` wrote."""
        import numpy as np

        with np.load(path, allow_pickle=False) as saved:
            documents = Counter(dict(zip(saved["sources"].tolist(), saved["documents"].tolist(), strict=True)))
            return cls(saved["counts"], documents)


class BoilerplateRemover:
    """Takes boilerplate lines out of texts; twice gives the same as once."""

    def __init__(self, config: BoilerplateConfig, repeated: RepeatedLines | None = None) -> None:
        self.config = config
        self.repeated = repeated if config.repeated_share is not None else None
        self._is_boilerplate = _line_matcher(config.patterns, config.own_patterns)

    def remove(self, text: str, source: str = "") -> str:
        """The text without its boilerplate lines; blank lines that then follow each other become one."""
        lines = text.split("\n")
        goes = self._is_boilerplate(text)
        goes |= self._repeated_lines(text, source)
        if not goes:
            return text
        left = [line for i, line in enumerate(lines) if i not in goes and not _closes_gap(lines, goes, i)]
        return "\n".join(left).strip("\n")

    def _repeated_lines(self, text: str, source: str) -> set[int]:
        if self.repeated is None or self.config.repeated_share is None:
            return set()
        keys, _ = line_keys([text], source)
        least = max(self.config.repeated_documents, self.config.repeated_share * self.repeated.documents[source])
        return set(((self.repeated.count(keys) >= least) & (keys != 0)).nonzero()[0].tolist())


def _closes_gap(lines: list[str], goes: set[int], i: int) -> bool:
    """Whether a blank line stands behind a line that goes, with a blank line or nothing before that."""
    if lines[i].strip() or i - 1 not in goes:
        return False
    before = i - 1
    while before >= 0 and before in goes:
        before -= 1
    return before < 0 or not lines[before].strip()


def line_keys(texts: Sequence[str], source: str) -> tuple[np.ndarray, np.ndarray]:
    """Keys of the lines of texts, 0 for lines that do not count.

    Returns:
        (n_lines,) uint64 and (n_texts + 1,) int64, which lines each text has.
    """
    import numpy as np

    from model.corpus.segmentation import text_lines, word_hash
    from model.corpus.segmentation_line_kernels import line_keys as keys_of
    from model.corpus.segmentation_tables import tables

    characters, lines = text_lines(texts)
    salt = word_hash(source)
    keys = np.zeros(len(lines.starts), np.uint64)
    keys_of(characters, lines.starts, lines.ends, tables().flags, np.uint64(salt), LONGEST_LINE, keys)
    return keys, lines.of_text


@functools.lru_cache(maxsize=16)
def _line_matcher(patterns: str, own: tuple[str, ...]) -> Callable[[str], set[int]]:
    """Gives the numbers of a text's lines that match a pattern."""
    shipped = (resources.files("model.corpus") / "boilerplate_lines.txt").read_text(encoding="utf-8").splitlines()
    chosen = [line for line in shipped if line and not line.startswith("#")] if patterns == "web" else []
    chosen += own
    if not chosen:
        return lambda _text: set()
    from model.corpus.filters.pattern import compile_pattern

    whole = r"(?im)^[\t ]*(?:" + "|".join(f"(?:{pattern})" for pattern in chosen) + r")[\t ]*$"
    expression: Any = compile_pattern(whole)

    def matching(text: str) -> set[int]:
        utf8 = text.encode("utf-8", "replace")
        found: set[int] = set()
        position, line = 0, 0
        for match in expression.finditer(utf8):
            if match.end() == match.start():
                continue
            line += utf8.count(b"\n", position, match.start())
            position = match.start()
            if b"\n" not in match[0]:
                found.add(line)
        return found

    return matching


def _column(lines: np.ndarray, row: int) -> np.ndarray:
    """Where lines are counted in a row of the sketch."""
    import numpy as np

    multiplier = np.uint64((0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)[row])
    return (lines * multiplier) >> np.uint64(64 - 20)

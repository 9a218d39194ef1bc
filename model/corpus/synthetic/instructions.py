"""Instructions that many answers follow: the verifier checks the conditions, not one wording."""

from __future__ import annotations

import random
from typing import Any

from model.corpus.synthetic.example import Example
from model.corpus.synthetic.vocabulary import NAMES, NOUNS

FRAMES = ("The {a} stood beside the {b}", "{name} found a {a} near the {b}", "A {a} and a {b} lay on the floor")


def make_instruction(r: random.Random, difficulty: int) -> Example:
    """One instruction with one condition for each level of difficulty, up to five."""
    a, b = r.sample(NOUNS, 2)
    words = r.choice(FRAMES).format(a=a, b=b, name=r.choice(NAMES)).split()
    asked = [f'uses the words "{a}" and "{b}"']
    checks: list[dict[str, Any]] = [{"check": "contains", "words": [a, b]}]
    extra = ["end", "length", "case", "start", "without"]
    for kind in r.sample(extra, min(r.randint(difficulty // 3, (difficulty + 1) // 2), len(extra))):
        words = _add(r, kind, words, asked, checks)
    case = next((check["case"] for check in checks if check["check"] == "case"), "")
    sentence = " ".join(words)
    sentence = sentence.upper() if case == "upper" else sentence.lower() if case == "lower" else sentence
    end = next((check["text"] for check in checks if check["check"] == "ends_with"), ".")
    opening = r.choice(["Write a sentence that", "Give me one sentence which", "Compose a sentence that"])
    prompt = f"{opening} {'; '.join(asked)}."
    verifier = {"kind": "constraints", "checks": [{"check": "sentences", "n": 1}, *checks]}
    return Example("instructions", prompt, sentence + end, verifier, difficulty)


def _add(r: random.Random, kind: str, words: list[str], asked: list[str], checks: list[dict[str, Any]]) -> list[str]:
    """Add one condition to the instruction and the verifier, and make the sample answer meet it."""
    if kind == "end":
        sign = r.choice(["!", "?"])
        asked.append(f'ends with "{sign}"')
        checks.append({"check": "ends_with", "text": sign})
    elif kind == "length":
        most = len(words) + r.randint(3, 6)
        asked.append(f"has at most {most} words")
        checks.append({"check": "words", "least": 1, "most": most})
    elif kind == "case":
        case = r.choice(["upper", "lower"])
        asked.append(f"is all in {case} case")
        checks.append({"check": "case", "case": case})
    elif kind == "start":
        start = r.choice(["yesterday", "today", "sometimes"])
        asked.append(f'begins with the word "{start}"')
        checks.append({"check": "starts_with", "word": start})
        words = [start.title(), words[0] if words[0] in NAMES else words[0].lower(), *words[1:]]
    else:
        letter = r.choice([c for c in "jqxz" if c not in " ".join(words).lower()] or ["#"])
        asked.append(f'does not contain "{letter}"')
        checks.append({"check": "without", "text": letter})
    return words

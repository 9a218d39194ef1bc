"""A toy corpus: small distinct English-like texts, the same on every machine."""

from __future__ import annotations

import random

SUBJECTS = """the farmer, an old sailor, my sister, the young teacher, every traveller, the baker, a patient doctor,
our neighbour, the quiet clerk, the captain, a stranger, the gardener, the widow, two brothers, the whole village"""
VERBS = """carried, watched, repaired, counted, remembered, forgot, painted, sold, borrowed, admired, opened, followed,
described, searched, measured, hid, returned, promised, cleaned, built"""
OBJECTS = """the wooden boat, a basket of apples, the long letter, three silver coins, the broken clock, the heavy door,
a map of the river, an unfinished song, the morning paper, a bundle of firewood, the garden wall, the last candle,
a jar of honey, the ship's bell, the winter coat, a box of nails"""
PLACES = """near the harbour, behind the mill, in the market, on the northern road, under the old bridge,
at the edge of the forest, beside the church, in a small kitchen, across the valley, by the window, along the shore"""
TIMES = """before sunrise, in the spring, after the storm, every Sunday, late at night, during the harvest,
for many years, that afternoon, when the bells rang, at the end of the week"""
LINKS = "Because of that, However, In the meantime, As a result, Soon afterwards, Even so"
SYLLABLES = "ba, ri, mo, len, tas, vor, quil, den, sha, ok"


def choices(words: str) -> list[str]:
    """The comma-separated phrases of a list above."""
    return [" ".join(word.split()) for word in words.split(",")]


def toy_text(index: int, sentences: int = 24) -> str:
    """One text of about 2,000 characters, another for every index."""
    draw = random.Random(f"toy corpus {index}")
    name = "".join(draw.choice(choices(SYLLABLES)) for _ in range(3)).capitalize()
    paragraphs, lines = [f"The story of {name}, number {index}."], []
    for number in range(1, sentences + 1):
        sentence = " ".join(draw.choice(choices(part)) for part in (SUBJECTS, VERBS, OBJECTS, PLACES, TIMES))
        if number % 4 == 0:
            sentence = f"{draw.choice(choices(LINKS))}, {sentence}, and {name} paid {draw.randint(2, 99)} coins"
        lines.append(sentence[0].upper() + sentence[1:] + draw.choice("...!"))
        if number % 6 == 0:
            paragraphs.append(" ".join(lines))
            lines = []
    return "\n\n".join([*paragraphs, " ".join(lines)]).strip() + "\n"

"""Sentiment of English words and sentences by VADER.

Hutto and Gilbert 2014, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text" (ICWSM);
its lexicon of 7,500 rated words comes with the package, so nothing is fetched.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from model.errors import ConfigError, install_extra
from model.tokenizer.annotation.words import Word, sentences


def word_valences(found: list[Word]) -> list[float]:
    """Mean human rating of each word, from -4 (most negative) to 4; 0 for a word that was not rated.

    Raises:
        ConfigError: vaderSentiment is not installed.
    """
    lexicon = _analyzer().lexicon
    return [float(lexicon.get(word.text.lower(), 0.0)) for word in found]


def sentence_sentiments(text: str, found: list[Word]) -> list[float]:
    """For each word the compound score of its sentence, from -1 to 1, with VADER's rules for negation and emphasis."""
    analyzer = _analyzer()
    scores: list[float] = []
    for sentence in sentences(found):
        part = text[sentence[0].start : sentence[-1].end]
        scores += [float(analyzer.polarity_scores(part)["compound"])] * len(sentence)
    return scores


@cache
def _analyzer() -> Any:
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ModuleNotFoundError as error:
        raise ConfigError(f"sentiment: vaderSentiment is not installed; run {install_extra('annotate')}") from error
    return SentimentIntensityAnalyzer()

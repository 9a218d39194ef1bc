"""Part of speech of words by the Hannover Tagger, in the universal tag set.

HanTa (Wartena 2019, "A Probabilistic Morphology Model for German Lemmatization", KONVENS) is a Markov model over
morphemes that comes with models for English, German and Dutch, so nothing is fetched. The tag set is that of Petrov,
Das and McDonald 2012, "A Universal Part-of-Speech Tagset" (arXiv:1104.2086).
"""

from __future__ import annotations

from functools import cache
from typing import Any

from model.errors import ConfigError, install_extra
from model.tokenizer.annotation.words import Word, sentences

TAGS = ("NONE", "NOUN", "VERB", "ADJ", "ADV", "PRON", "DET", "ADP", "NUM", "CONJ", "PRT", "PUNCT", "X")
"""A part of speech's number is its place here; NONE is white space."""

MODELS = {"en": "morphmodel_en.pgz", "de": "morphmodel_ger.pgz", "nl": "morphmodel_dutch.pgz"}

_BEGINNINGS = {
    # English: the C5 tags of the British National Corpus
    "en": [
        ("AT", "DET"), ("DT0", "DET"), ("DTQ", "DET"), ("DPS", "PRON"), ("PN", "PRON"), ("AJ", "ADJ"), ("ORD", "ADJ"),
        ("AV", "ADV"), ("XX0", "ADV"), ("CRD", "NUM"), ("CJC", "CONJ"), ("CJ", "ADP"), ("PR", "ADP"), ("TO0", "PRT"),
        ("POS", "PRT"), ("EX0", "PRON"), ("V", "VERB"), ("N", "NOUN"), ("PU", "PUNCT"), ("ITJ", "X"), ("ZZ0", "X"),
    ],
    # German: the Stuttgart-Tübingen tag set
    "de": [
        ("ART", "DET"), ("PIAT", "DET"), ("PIDAT", "DET"), ("PDAT", "DET"), ("PWAT", "DET"), ("PTKZU", "PRT"),
        ("PTKVZ", "PRT"), ("PTKNEG", "ADV"), ("PTK", "PRT"), ("PROAV", "ADV"), ("PAV", "ADV"), ("PWAV", "ADV"),
        ("PP", "PRON"), ("PD", "PRON"), ("PI", "PRON"), ("PR", "PRON"), ("PW", "PRON"), ("ADJ", "ADJ"), ("ADV", "ADV"),
        ("AP", "ADP"), ("CARD", "NUM"), ("KOUS", "ADP"), ("KOUI", "ADP"), ("KO", "CONJ"), ("V", "VERB"), ("N", "NOUN"),
        ("$", "PUNCT"),
    ],
    # Dutch: the Corpus Gesproken Nederlands tag set
    "nl": [
        ("LID", "DET"), ("VNW", "PRON"), ("ADJ", "ADJ"), ("BW", "ADV"), ("VZ", "ADP"), ("TW", "NUM"),
        ("VG(onder", "ADP"), ("VG", "CONJ"), ("WW", "VERB"), ("N", "NOUN"), ("SPEC", "NOUN"), ("LET", "PUNCT"),
    ],
}  # fmt: skip


def tag_words(found: list[Word], language: str) -> list[int]:
    """The part of speech of each word, as its number in `TAGS`.

    Args:
        found: Words of a text, in order.
        language: `en`, `de` or `nl`.

    Raises:
        ConfigError: There is no model for the language, or HanTa is not installed.
    """
    tagger = _tagger(language)
    numbers: list[int] = []
    for sentence in sentences(found):
        for word, (_, _, tag) in zip(sentence, tagger.tag_sent([w.text for w in sentence]), strict=True):
            numbers.append(_number(word.text, tag, language))
    return numbers


def _number(word: str, tag: str, language: str) -> int:
    if not any(character.isalnum() for character in word):
        return TAGS.index("PUNCT")
    return TAGS.index(next((kind for start, kind in _BEGINNINGS[language] if tag.startswith(start)), "X"))


@cache
def _tagger(language: str) -> Any:
    if language not in MODELS:
        raise ConfigError(f"part of speech: language {language!r}, expected one of {', '.join(MODELS)}")
    try:
        from HanTa.HanoverTagger import HanoverTagger
    except ModuleNotFoundError as error:
        raise ConfigError(f"part of speech: HanTa is not installed; run {install_extra('annotate')}") from error
    return HanoverTagger(MODELS[language])

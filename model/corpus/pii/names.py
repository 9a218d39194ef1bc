"""Names of persons, found by a named-entity recogniser that is installed apart.

Nothing else in the project needs one. spaCy (`pip install spacy` and a pipeline such as `en_core_web_sm`) or Presidio
(`pip install presidio-analyzer`) do the work; a recogniser is trained, so that it misses names and finds others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from model.corpus.pii.config import NamesConfig
from model.corpus.pii.shape import Prepared
from model.corpus.pii.spans import Span
from model.errors import ConfigError, install_extra

PERSON_LABELS = frozenset({"PERSON", "PER"})
PIECE_CHARACTERS = 100_000


def name_finder(config: NamesConfig) -> Callable[[Prepared], Iterator[Span]]:
    """A finder of names; the recogniser is loaded once.

    Raises:
        ConfigError: The library or the model is not installed.
    """
    entities = _spacy(config.model) if config.engine == "spacy" else _presidio(config.model)

    def find(text: Prepared) -> Iterator[Span]:
        for start, piece in pieces(text.view):
            for first, last in entities(piece):
                yield Span(start + first, start + last, "name")

    return find


def pieces(text: str, longest: int = PIECE_CHARACTERS) -> Iterator[tuple[int, str]]:
    """A text in pieces of bounded size, each with its place, cut at line ends or spaces where there are any."""
    start = 0
    while start < len(text):
        end = min(start + longest, len(text))
        if end < len(text):
            cut = max(text.rfind("\n", start, end), text.rfind(" ", start, end))
            end = cut + 1 if cut > start else end
        yield start, text[start:end]
        start = end


def _spacy(model: str) -> Callable[[str], Iterator[tuple[int, int]]]:
    try:
        import spacy
    except ImportError as error:
        raise ConfigError(
            f"pii.names: spaCy is not installed; run {install_extra('names')}, then get a pipeline for it"
        ) from error
    try:
        pipeline = spacy.load(model)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"pii.names.model = {model}: spaCy cannot load it ({' '.join(str(error).split())[:120]}); expected an "
            f"installed pipeline or its folder, e.g. `python -m spacy download {model}`"
        ) from error

    def entities(text: str) -> Iterator[tuple[int, int]]:
        for entity in pipeline(text).ents:
            if entity.label_ in PERSON_LABELS:
                yield entity.start_char, entity.end_char

    return entities


def _presidio(model: str) -> Callable[[str], Iterator[tuple[int, int]]]:
    try:
        from presidio_analyzer import AnalyzerEngine
        from presidio_analyzer.nlp_engine import NlpEngineProvider
    except ImportError as error:
        raise ConfigError("pii.names: Presidio is not installed; `pip install presidio-analyzer`") from error
    try:
        provider = NlpEngineProvider(
            nlp_configuration={"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": model}]}
        )
        analyzer: Any = AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=["en"])
    except (OSError, ValueError) as error:
        raise ConfigError(f"pii.names.model = {model}: Presidio cannot load it; install it for spaCy first") from error

    def entities(text: str) -> Iterator[tuple[int, int]]:
        for found in analyzer.analyze(text=text, entities=["PERSON"], language="en"):
            yield found.start, found.end

    return entities

"""Back-translation: a text through another language and back again."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from model.corpus.augmentation.config import BackTranslate
from model.corpus.augmentation.words import SENTENCE_BORDER
from model.errors import CorpusError


class Translator(Protocol):
    """Translates sentences; the same sentences give the same translations."""

    def __call__(self, sentences: Sequence[str]) -> list[str]:
        """One translation for each sentence."""
        ...


class TransformersTranslator:
    """A translation model in a local transformers folder (Marian, M2M100, T5 ...), run by beam search without drawing.

    Raises:
        CorpusError: The folder holds no such model. Nothing is ever loaded from a network, nor unpickled.
    """

    def __init__(self, folder: str, beams: int, batch_sentences: int, max_tokens: int) -> None:
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        if not Path(folder).is_dir():
            raise CorpusError(
                f"{folder}: no such folder; expected a transformers translation model, e.g. opus-mt-en-de"
            )
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model: Any = AutoModelForSeq2SeqLM.from_pretrained(
                folder, local_files_only=True, use_safetensors=True
            ).eval()
        except (OSError, ValueError, KeyError, ImportError) as error:
            message = " ".join(str(error).split())[:200]
            raise CorpusError(f"{folder}: no translation model that transformers opens ({message})") from error
        self._beams, self._batch, self._max_tokens = beams, batch_sentences, max_tokens

    def __call__(self, sentences: Sequence[str]) -> list[str]:
        """One translation for each sentence; longer ones are cut at `max_tokens`."""
        import torch

        translated: list[str] = []
        for start in range(0, len(sentences), self._batch):
            batch = list(sentences[start : start + self._batch])
            inputs = self._tokenizer(
                batch, return_tensors="pt", padding=True, truncation=True, max_length=self._max_tokens
            )
            with torch.inference_mode():
                ids = self._model.generate(
                    **inputs, num_beams=self._beams, do_sample=False, max_new_tokens=self._max_tokens
                )
            translated += self._tokenizer.batch_decode(ids, skip_special_tokens=True)
        return translated


@functools.lru_cache(maxsize=4)
def open_translator(folder: str, beams: int, batch_sentences: int, max_tokens: int) -> Translator:
    """A translator, loaded once in a process."""
    return TransformersTranslator(folder, beams, batch_sentences, max_tokens)


def back_translate(operation: BackTranslate, text: str, r: random.Random) -> str:  # noqa: ARG001
    """The text there and back, sentence by sentence; lines and the spaces between sentences stay."""
    limits = (operation.beams, operation.batch_sentences, operation.max_tokens)
    there, back = open_translator(operation.there, *limits), open_translator(operation.back, *limits)
    return translate_round(text, there, back)


def translate_round(text: str, there: Translator, back: Translator) -> str:
    """The text through two translators; a sentence that comes back empty stays as it was."""
    lines = [SENTENCE_BORDER.split(line) for line in text.split("\n")]
    places = [(n, i) for n, pieces in enumerate(lines) for i in range(0, len(pieces), 2) if pieces[i].strip()]
    translated = back(there([lines[n][i] for n, i in places])) if places else []
    for (n, i), sentence in zip(places, translated, strict=True):
        old = lines[n][i]
        lines[n][i] = old.replace(old.strip(), sentence.strip() or old.strip(), 1)  # white space around it stays
    return "\n".join("".join(pieces) for pieces in lines)

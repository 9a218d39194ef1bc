"""Word vectors from text files (word2vec, fastText) or a model's embedding, and dictionaries of word pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.errors import CheckpointError, TokenizerError
from model.files import write_text
from model.tokenizer.editing.embeddings import EMBEDDING
from model.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class WordVectors:
    """Words with a vector each.

    Attributes:
        words: Different words.
        vectors_ND: (n words, d) float64.
    """

    words: tuple[str, ...]
    vectors_ND: npt.NDArray[np.float64]  # noqa: N815  (the shape, as in all tensors here)


def read_vectors(path: Path, most: int = 200_000) -> WordVectors:
    """Vectors from a text file, or from the embedding of a model's folder.

    Args:
        path: A file with a word and its numbers on each line (a first line with two numbers only is a header), or a
            folder with `tokenizer.json` and `model.safetensors`.
        most: So many lines or tokens are taken.

    Raises:
        TokenizerError: It is missing, holds no vector, or a line has another length; the message names the line.
        CheckpointError: The folder's weights are missing or damaged.
    """
    return _of_model(path, most) if path.is_dir() else _of_file(path, most)


def _of_model(folder: Path, most: int) -> WordVectors:
    """The embedding rows of tokens that are a whole word, `word` and ` word` as one: the one after a space counts."""
    from safetensors import SafetensorError, safe_open

    tokenizer = Tokenizer.open(folder)
    path = folder / "model.safetensors"
    try:
        with safe_open(path, "pt") as file:
            rows = file.get_tensor(EMBEDDING).double().numpy()
    except (FileNotFoundError, SafetensorError) as error:
        raise CheckpointError(f"{path}: missing or damaged ({error})") from error
    number: dict[str, int] = {}
    for token_id in range(min(tokenizer.vocab_size, len(rows))):
        try:
            text = tokenizer.token_bytes(token_id).decode("utf-8")
        except UnicodeDecodeError:
            continue
        word = text.removeprefix(" ")
        if word and not any(character.isspace() for character in word) and (text != word or word not in number):
            number[word] = token_id
    chosen = list(number.items())[:most]
    if not chosen:
        raise TokenizerError(f"{folder}: no token of its tokenizer is a word")
    return WordVectors(tuple(word for word, _ in chosen), rows[[token_id for _, token_id in chosen]])


def _of_file(path: Path, most: int) -> WordVectors:
    words: dict[str, None] = {}
    rows: list[npt.NDArray[np.float64]] = []
    for number, line in enumerate(_lines(path), 1):
        word, _, values = line.rstrip().partition(" ")
        if number == 1 and word.isdecimal() and values.strip().isdecimal():
            continue
        if len(rows) >= most:
            break
        if not word or word in words:
            continue
        try:
            row = np.array(values.split(), np.float64)
        except ValueError as error:
            raise TokenizerError(f"{path}, line {number}: {error}; expected a word and numbers") from error
        if not len(row) or not np.isfinite(row).all() or (rows and len(row) != len(rows[0])):
            expected = len(rows[0]) if rows else "some"
            raise TokenizerError(f"{path}, line {number}: {len(row)} numbers, expected {expected} finite ones")
        words[word] = None
        rows.append(row)
    if not rows:
        raise TokenizerError(f"{path}: holds no vector; expected a word and its numbers on each line")
    return WordVectors(tuple(words), np.stack(rows))


def read_pairs(path: Path, source: WordVectors, target: WordVectors) -> list[tuple[int, int]]:
    """Rows of the word pairs of a dictionary whose both words have a vector; other lines are left out.

    Raises:
        TokenizerError: It is missing, or a line has not two words.
    """
    rows = [{word: row for row, word in enumerate(side.words)} for side in (source, target)]
    pairs: list[tuple[int, int]] = []
    for number, line in enumerate(_lines(path), 1):
        parts = line.split()
        if not parts:
            continue
        if len(parts) != 2:
            raise TokenizerError(f"{path}, line {number}: {len(parts)} words, expected a pair")
        if parts[0] in rows[0] and parts[1] in rows[1]:
            pairs.append((rows[0][parts[0]], rows[1][parts[1]]))
    return pairs


def write_vectors(path: Path, words: Sequence[str], vectors_ND: npt.NDArray[np.float64]) -> None:
    """Write a header and a line for each word, atomically."""
    lines = [f"{len(words)} {vectors_ND.shape[1]}"]
    lines += [
        f"{word} " + " ".join(f"{value:.6g}" for value in row) for word, row in zip(words, vectors_ND, strict=True)
    ]
    write_text(path, "\n".join(lines) + "\n")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise TokenizerError(f"{path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise TokenizerError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from error

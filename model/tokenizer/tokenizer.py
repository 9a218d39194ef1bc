"""The trained tokenizer: text to ids and back, without loss and without control tokens out of a user's text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.errors import TokenizerError
from model.files import sha256_text, write_bytes, write_json, write_text
from model.tokenizer.pretokenization import pieces
from model.tokenizer.special import CHAT_TEMPLATE, END_OF_TEXT, PAD, SPECIAL_TOKENS, TURN_END, TURN_START

TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
CHARACTERS_AT_ONCE = 1_000_000

Ids = npt.NDArray[np.uint32]


class Tokenizer:
    """A byte-level BPE tokenizer (Sennrich et al. 2016, arXiv:1508.07909; bytes as in GPT-2, Radford et al. 2019).

    `encode` never recognises special tokens: the text `<|endoftext|>` becomes ordinary ids that decode to the same
    text. (`transformers`, which opens the same files, does recognise them unless it is called with
    `split_special_tokens=True`.) A caller that wants a control token adds its id.

    Attributes:
        vocab_size: Number of ids; valid ids are 0 to `vocab_size - 1`.
        special_tokens: Ids of the control tokens by their names.
        end_of_text_id: Begins every document and ends the one before.
        pad_id: Fills short sequences of a batch; never learned.
        digest: sha256 of `tokenizer.json`; tokens remember it.
    """

    def __init__(self, content: str, where: str = TOKENIZER_FILE) -> None:
        """Build from the text of a `tokenizer.json`; `where` names it in errors.

        Raises:
            TokenizerError: It is damaged, is not byte-level BPE, or lacks a special token.
        """
        import tokenizers

        remedy = "restore the file or run the tokenizer stage again (tisslm run --from tokenizer)"
        try:
            inner = tokenizers.Tokenizer.from_str(content)
        except Exception as error:  # tokenizers raises bare Exception
            raise TokenizerError(
                f"{where}: not a tokenizer ({' '.join(str(error).split())[:120]}); {remedy}"
            ) from error
        ids = {token: inner.token_to_id(token) for token in SPECIAL_TOKENS}
        special = {token: token_id for token, token_id in ids.items() if token_id is not None}
        missing = [token for token in SPECIAL_TOKENS if token not in special]
        if missing:
            raise TokenizerError(
                f"{where}: lacks the special token {missing[0]}, expected all of {' '.join(SPECIAL_TOKENS)}; {remedy}"
            )
        inner.encode_special_tokens = True
        inner.no_padding()
        inner.no_truncation()
        self.content = content
        self.digest = sha256_text(content)
        self.vocab_size: int = inner.get_vocab_size(with_added_tokens=True)
        self.special_tokens: dict[str, int] = special
        self.end_of_text_id = self.special_tokens[END_OF_TEXT]
        self.pad_id = self.special_tokens[PAD]
        self._inner = inner
        self._bytes = _byte_table(inner, set(self.special_tokens.values()), self.vocab_size, where)

    @classmethod
    def open(cls, folder: Path) -> Tokenizer:
        """Open the tokenizer in a folder (`data/tokenizer` or any model folder).

        Raises:
            TokenizerError: It is missing or damaged.
        """
        path = folder / TOKENIZER_FILE
        try:
            content = path.read_bytes().decode("utf-8")
        except FileNotFoundError as error:
            raise TokenizerError(f"{path}: no such file; run the tokenizer stage (tisslm run)") from error
        except UnicodeDecodeError as error:
            raise TokenizerError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); restore it") from error
        return cls(content, str(path))

    def save(self, folder: Path, *, chat_template: bool = True) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`, which `transformers.AutoTokenizer` opens unchanged."""
        settings: dict[str, Any] = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": END_OF_TEXT,
            "eos_token": END_OF_TEXT,
            "pad_token": PAD,
            "additional_special_tokens": [TURN_START, TURN_END],
            "clean_up_tokenization_spaces": False,
        }
        if chat_template:
            settings["chat_template"] = CHAT_TEMPLATE
        write_text(folder / TOKENIZER_FILE, self.content)
        write_json(folder / TOKENIZER_CONFIG_FILE, settings)

    def encode(self, text: str) -> list[int]:
        """The ids of a text; no special token is added or recognised.

        Raises:
            TokenizerError: The text holds half of a surrogate pair, which is no character.
        """
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text; see `encode` and `encode_arrays`."""
        return [ids.tolist() for ids in self.encode_arrays(texts)]

    def encode_arrays(self, texts: Sequence[str]) -> list[Ids]:
        """The ids of each text as (length,) uint32, on as many threads as `RAYON_NUM_THREADS` allows.

        Memory beside the result stays near 100 MB however long the texts are, as long as they hold words.
        """
        found: list[list[Ids]] = [[] for _ in texts]
        try:
            for group in _groups(texts):
                encodings = self._inner.encode_batch_fast([piece for _, piece in group], add_special_tokens=False)
                for (index, _), encoding in zip(group, encodings, strict=True):
                    found[index].append(np.array(encoding.ids, np.uint32))
        except TypeError as error:
            raise _explained(texts, error) from error
        return [parts[0] if len(parts) == 1 else np.concatenate(parts) for parts in found]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens left out; bytes that are not UTF-8 become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        """The exact bytes of ids, special tokens left out; a token may hold a part of a character.

        Raises:
            TokenizerError: An id is not in the vocabulary.
        """
        table = self._bytes
        try:
            if len(ids) and min(ids) < 0:
                raise IndexError
            return b"".join([table[i] for i in ids])
        except IndexError:
            wrong = next(i for i in ids if not 0 <= i < self.vocab_size)
            raise TokenizerError(
                f"cannot decode id {wrong}: expected 0 to {self.vocab_size - 1}; do these ids come from this tokenizer?"
            ) from None

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of one id, empty for a special token."""
        return self.decode_bytes([token_id])


def _groups(texts: Sequence[str]) -> Iterator[list[tuple[int, str]]]:
    """The texts' pieces with the number of their text, in order, about a million characters at a time."""
    group: list[tuple[int, str]] = []
    size = 0
    for index, text in enumerate(texts):
        for piece in pieces(text):
            group.append((index, piece))
            size += len(piece)
            if size >= CHARACTERS_AT_ONCE:
                yield group
                group, size = [], 0
    if group:
        yield group


def _explained(texts: Sequence[str], error: TypeError) -> Exception:
    for index, text in enumerate(texts):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as found:
            return TokenizerError(
                f"text {index}: character {found.start} is U+{ord(text[found.start]):04X}, half of a surrogate pair, "
                "expected Unicode characters; clean the text first"
            )
    return error


def _byte_table(inner: Any, special: set[int], vocab_size: int, where: str) -> list[bytes]:
    """The bytes of every id, from the printable stand-ins that byte-level vocabularies use."""
    byte_of = {stand_in: byte for byte, stand_in in _stand_ins().items()}
    table: list[bytes] = []
    for token_id in range(vocab_size):
        token = inner.id_to_token(token_id)
        if token is None or (token_id not in special and not set(token) <= byte_of.keys()):
            raise TokenizerError(
                f"{where}: id {token_id} is {token!r}, expected a token made of bytes; use a byte-level BPE tokenizer"
            )
        table.append(b"" if token_id in special else bytes(byte_of[character] for character in token))
    if len({token for token in table if len(token) == 1}) < 256:
        raise TokenizerError(f"{where}: lacks a token for some bytes; use a tokenizer with the full byte alphabet")
    return table


def _stand_ins() -> dict[int, str]:
    """The printable character for every byte (`bytes_to_unicode` in github.com/openai/gpt-2, src/encoder.py)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    stand_ins = {byte: chr(byte) for byte in printable}
    others = [byte for byte in range(256) if byte not in stand_ins]
    return stand_ins | {byte: chr(256 + index) for index, byte in enumerate(others)}


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copy a tokenizer's files into a model folder, byte for byte.

    Raises:
        TokenizerError: There is no tokenizer in `source`.
    """
    Tokenizer.open(source)
    for name in (TOKENIZER_FILE, TOKENIZER_CONFIG_FILE):
        if (source / name).is_file():
            write_bytes(target / name, (source / name).read_bytes())

"""The trained tokenizer: text to ids and back, without loss and without control tokens out of a user's text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from model.errors import TokenizerError
from model.files import sha256_text, write_bytes, write_json, write_text
from model.tokenizer.roles import OUR_ROLES, Roles, roles_in
from model.tokenizer.special import CHAT_TEMPLATE, END_OF_TEXT, PAD, TURN_END, TURN_START
from model.tokenizer.spelling import byte_table

if TYPE_CHECKING:
    from model.tokenizer.engines.engine import EncodingEngine
    from model.tokenizer.sampling import Sampler

TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"

Ids = npt.NDArray[np.uint32]


class Tokenizer:
    """A tokenizer that gives any text back: byte-level BPE, Unigram or WordPiece, characters, or bytes.

    `encode` never recognises control tokens: the text `<|endoftext|>` becomes ordinary ids that decode to the same
    text. (`transformers`, which opens the same files, does recognise them unless it is called with
    `split_special_tokens=True`.) A caller that wants a control token adds its id.

    Attributes:
        vocab_size: Number of ids; valid ids are 0 to `vocab_size - 1`.
        special_tokens: Ids of the control tokens by their names.
        end_of_text_id: Begins every document and ends the one before.
        pad_id: Fills short sequences of a batch; never learned.
        digest: sha256 of `tokenizer.json`; tokens remember it.
        roles: Which control tokens end texts and fill rows.
        missing_bytes: Bytes that no token can spell, none in a tokenizer of ours; text loses them.
    """

    def __init__(
        self, content: str, where: str = TOKENIZER_FILE, inner: Any | None = None, roles: Roles = OUR_ROLES
    ) -> None:
        """Build from the text of a `tokenizer.json`; `where` names it in errors.

        Args:
            content: The text.
            where: Its name.
            inner: The `tokenizers.Tokenizer` that wrote the text, if it is at hand; it then belongs to this object.
            roles: Which control tokens must be there; others' tokenizers have other ones, and may lack bytes.

        Raises:
            TokenizerError: It is damaged, cannot spell every byte, or lacks a special token.
        """
        import tokenizers

        remedy = "restore the file or run the tokenizer stage again (tisslm run --from tokenizer)"
        try:
            inner = tokenizers.Tokenizer.from_str(content) if inner is None else inner
            settings = json.loads(content)
        except Exception as error:  # tokenizers raises bare Exception
            raise TokenizerError(
                f"{where}: not a tokenizer ({' '.join(str(error).split())[:120]}); {remedy}"
            ) from error
        ids = {token: inner.token_to_id(token) for token in roles.required}
        special = {token: token_id for token, token_id in ids.items() if token_id is not None}
        missing = [token for token in roles.required if token not in special]
        if missing:
            raise TokenizerError(
                f"{where}: lacks the special token {missing[0]}, expected all of {' '.join(roles.required)}; {remedy}"
            )
        added = settings.get("added_tokens") or []
        special |= {token["content"]: token["id"] for token in added if token["special"]}
        inner.encode_special_tokens = True
        inner.no_padding()
        inner.no_truncation()
        self.content = content
        self.digest = sha256_text(content)
        self.vocab_size: int = inner.get_vocab_size(with_added_tokens=True)
        self.special_tokens: dict[str, int] = special
        self.roles = roles
        self.end_of_text_id = self.special_tokens[roles.end_of_text]
        self.pad_id = self.special_tokens[roles.pad]
        self._inner = inner
        self._settings = settings
        self._engine: EncodingEngine | None = None
        self._sampler: Sampler | None = None
        self._bytes = byte_table(settings, set(special.values()), self.vocab_size, where)
        self.missing_bytes = sorted(set(range(256)) - {token[0] for token in self._bytes if len(token) == 1})
        if self.missing_bytes and roles == OUR_ROLES:
            raise TokenizerError(f"{where}: lacks a token for some bytes; use a tokenizer with the full byte alphabet")

    @property
    def engine(self) -> EncodingEngine:
        """What encodes: the fastest engine with the ids of the Hugging Face file, chosen at the first text."""
        if self._engine is None:
            from model.tokenizer.engines.engine import choose_engine

            self._engine = choose_engine(self._settings, self._inner)
        return self._engine

    def __reduce__(self) -> tuple[type[Tokenizer], tuple[str, str, None, Roles]]:
        """Pickled as its text."""
        return Tokenizer, (self.content, TOKENIZER_FILE, None, self.roles)

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
        return cls(content, str(path), roles=roles_in(folder / TOKENIZER_CONFIG_FILE, content))

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
        try:
            ids: list[int] = self.engine.encode(text).tolist()
        except (TypeError, UnicodeError) as error:
            raise _explained([text], error) from error
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text; see `encode` and `encode_arrays`."""
        return [ids.tolist() for ids in self.encode_arrays(texts)]

    def encode_arrays(self, texts: Sequence[str]) -> list[Ids]:
        """The ids of each text as (length,) uint32.

        Memory beside the result stays near 100 MB however long the texts are, as long as they hold words (and the
        rules are not `abc` or one's own, whose words may be anything).
        """
        try:
            return self.engine.encode_batch(texts)
        except (TypeError, UnicodeError) as error:
            raise _explained(texts, error) from error

    def encode_flat(self, texts: Sequence[str]) -> tuple[Ids, npt.NDArray[np.int64]]:
        """The ids of many texts end to end, which is faster than an array for each where texts are short.

        Returns:
            (n_ids,) uint32, and (n_texts + 1,) int64 borders: the ids of text i are `ids[borders[i]:borders[i + 1]]`.
        """
        from model.tokenizer.engines.engine import FlatEngine
        from model.tokenizer.engines.giga import flattened

        try:
            engine = self.engine
            return (
                engine.encode_flat(texts) if isinstance(engine, FlatEngine) else flattened(engine.encode_batch(texts))
            )
        except (TypeError, UnicodeError) as error:
            raise _explained(texts, error) from error

    def normalized(self, text: str) -> str:
        """What `decode` gives back for a text: the text itself, unless the tokenizer has a normalizer."""
        normalizer = self._inner.normalizer
        return text if normalizer is None else str(normalizer.normalize_str(text))

    def sample_encode(
        self, text: str, generator: np.random.Generator, *, dropout: float = 0.1, alpha: float = 0.2
    ) -> Ids:
        """The ids of a text in a random segmentation, for training only; `decode` gives the same text.

        Args:
            text: Any text.
            generator: Source of the draws; the same state gives the same ids.
            dropout: Kind `bpe`: probability that a possible merge is left out (BPE-dropout, Provilkov et al. 2020,
                arXiv:1910.13267).
            alpha: Kind `unigram`: exponent of the probabilities of the segmentations (Kudo 2018, arXiv:1804.10959).

        Raises:
            TokenizerError: The kind has only one segmentation (wordpiece, char, byte).
        """
        from model.tokenizer.sampling import sampler

        if self._sampler is None:
            self._sampler = sampler(self._settings, self._inner)
        try:
            return self._sampler.sample(text, generator, dropout=dropout, alpha=alpha)
        except (TypeError, UnicodeError) as error:
            raise _explained([text], error) from error

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


def _explained(texts: Sequence[str], error: Exception) -> Exception:
    for index, text in enumerate(texts):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as found:
            return TokenizerError(
                f"text {index}: character {found.start} is U+{ord(text[found.start]):04X}, half of a surrogate pair, "
                "expected Unicode characters; clean the text first"
            )
    return error


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copy a tokenizer's files into a model folder, byte for byte.

    Raises:
        TokenizerError: There is no tokenizer in `source`.
    """
    Tokenizer.open(source)
    for name in (TOKENIZER_FILE, TOKENIZER_CONFIG_FILE):
        if (source / name).is_file():
            write_bytes(target / name, (source / name).read_bytes())

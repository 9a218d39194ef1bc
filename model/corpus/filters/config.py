"""The `clean.filters` list of `params.yaml`: which quality filters a text goes through, in which order.

Every threshold may be null, which switches its rule off. The defaults are the published ones.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, field_validator, model_validator

from model.configuration import StrictConfig, unit

Share = Annotated[float, Field(ge=0, le=1, json_schema_extra=unit("fraction"))]
Count = Annotated[int, Field(ge=0, le=10**9)]
CharacterClassName = Literal["letters", "digits", "punctuation", "symbols", "capitals", "non_ascii", "white_space"]
GramLimits = dict[Annotated[int, Field(ge=2, le=32)], Share]


class LengthFilterConfig(StrictConfig):
    """Drops texts that are too short or too long."""

    filter: Literal["length"] = "length"
    min_characters: Count | None = Field(None, description="fewest characters", json_schema_extra=unit("characters"))
    max_characters: Count | None = Field(None, description="most characters", json_schema_extra=unit("characters"))
    min_words: Count | None = Field(
        None, description="fewest words, marks not counted", json_schema_extra=unit("words")
    )
    max_words: Count | None = Field(None, description="most words, marks not counted", json_schema_extra=unit("words"))

    @model_validator(mode="after")
    def _limits_in_order(self) -> LengthFilterConfig:
        for what in ("characters", "words"):
            least, most = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if least is not None and most is not None and most < least:
                raise ValueError(f"max_{what} {most} is below min_{what} {least}: nothing can pass")
        return self


class CharacterClassesConfig(StrictConfig):
    """Drops texts with too many or too few characters of a class.

    Shares are of all characters that are not white space; that of `white_space` is of all characters, that of
    `capitals` of all letters.
    """

    filter: Literal["character_classes"] = "character_classes"
    least: dict[CharacterClassName, Share] = Field(
        default_factory=dict, description="smallest share of a class: {letters: 0.6}"
    )
    most: dict[CharacterClassName, Share] = Field(
        default_factory=dict, description="largest share of a class: {digits: 0.3}"
    )

    @model_validator(mode="after")
    def _can_pass(self) -> CharacterClassesConfig:
        if not self.least and not self.most:
            raise ValueError("expected at least one limit, like most: {digits: 0.3}")
        for name, least in self.least.items():
            if least > self.most.get(name, 1.0):
                raise ValueError(f"least {name} {least} is above most {name} {self.most[name]}: nothing can pass")
        return self


class GopherQualityConfig(StrictConfig):
    """Document rules of Gopher (Rae et al. 2021, arXiv:2112.11446, appendix A.1.1)."""

    filter: Literal["gopher_quality"] = "gopher_quality"
    min_words: Count | None = Field(
        50, description="fewest words that are not only marks", json_schema_extra=unit("words")
    )
    max_words: Count | None = Field(100_000, description="most such words", json_schema_extra=unit("words"))
    min_mean_word_length: float | None = Field(3, ge=0, description="their mean length, at least")
    max_mean_word_length: float | None = Field(10, ge=0, description="their mean length, at most")
    max_hashes_per_word: float | None = Field(0.1, ge=0, description="# signs for each word, at most")
    max_ellipses_per_word: float | None = Field(0.1, ge=0, description="ellipses for each word, at most")
    max_bullet_lines: Share | None = Field(0.9, description="share of lines that begin with a bullet, at most")
    max_ellipsis_lines: Share | None = Field(0.3, description="share of lines that end with an ellipsis, at most")
    min_alphabetic_words: Share | None = Field(0.8, description="share of words with a letter, at least")
    min_stop_words: Count | None = Field(
        2, description="different stop words, at least", json_schema_extra=unit("words")
    )
    stop_words: tuple[str, ...] = Field(
        ("the", "be", "to", "of", "and", "that", "have", "with"),
        max_length=64,
        description="words that any English text has; give others for other languages",
    )


class GopherRepetitionConfig(StrictConfig):
    """Repetition rules of Gopher (Rae et al. 2021, arXiv:2112.11446, table A1)."""

    filter: Literal["gopher_repetition"] = "gopher_repetition"
    max_duplicate_lines: Share | None = Field(0.30, description="share of lines that came before, at most")
    max_duplicate_paragraphs: Share | None = Field(0.30, description="share of paragraphs that came before, at most")
    max_duplicate_line_characters: Share | None = Field(0.20, description="share of characters in such lines, at most")
    max_duplicate_paragraph_characters: Share | None = Field(
        0.20, description="share of characters in such paragraphs, at most"
    )
    max_top_grams: GramLimits = Field(
        {2: 0.20, 3: 0.18, 4: 0.16}, description="share of characters in the most frequent n-gram of words, at most"
    )
    max_duplicate_grams: GramLimits = Field(
        {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10},
        description="share of characters in n-grams of words that came before, at most",
    )


class C4Config(StrictConfig):
    """Line rules of C4 (Raffel et al. 2020, JMLR 21/20-074, section 2.2) as its published code applies them."""

    filter: Literal["c4"] = "c4"
    remove_citations: bool = Field(True, description="take [1], [edit] and [citation needed] out of lines")
    require_terminal_punctuation: bool = Field(True, description="""drop lines that do not end in . ? ! " or '""")
    min_words_per_line: Count | None = Field(3, description="drop shorter lines", json_schema_extra=unit("words"))
    max_word_length: Count | None = Field(
        1000, description="drop lines with a longer word", json_schema_extra=unit("characters")
    )
    dropped_line_phrases: tuple[str, ...] = Field(
        ("javascript",), max_length=30, description="drop lines with one of these, in any case"
    )
    policy_phrases: tuple[str, ...] = Field(
        ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies"),
        max_length=30,
        description="drop lines with one of these, in any case; looked for last",
    )
    dropped_text_phrases: tuple[str, ...] = Field(
        ("lorem ipsum",), max_length=30, description="drop texts where one of these is in a line that would stay"
    )
    drop_curly_brackets: bool = Field(True, description="drop texts with { in a line that would stay")
    min_sentences: Count | None = Field(
        5, description="sentences in the lines that stay", json_schema_extra=unit("sentences")
    )

    @field_validator("dropped_line_phrases", "policy_phrases", "dropped_text_phrases")
    @classmethod
    def _in_lower_case(cls, phrases: tuple[str, ...]) -> tuple[str, ...]:
        for phrase in phrases:
            if not phrase or len(phrase) > 100 or phrase != phrase.lower():
                raise ValueError(f"expected phrases of 1 to 100 characters in lower case, got {phrase!r}")
        return phrases


class FineWebConfig(StrictConfig):
    """Line rules of FineWeb (Penedo et al. 2024, arXiv:2406.17557, section 3.6)."""

    filter: Literal["fineweb"] = "fineweb"
    min_punctuated_lines: Share | None = Field(0.12, description="share of lines that end in punctuation, at least")
    max_short_lines: Share | None = Field(0.67, description="share of short lines, at most")
    short_line: Count = Field(30, description="a line up to here is short", json_schema_extra=unit("characters"))
    max_duplicate_line_characters: Share | None = Field(
        0.01, description="share of characters in lines that came before, at most"
    )
    max_lines_per_word: float | None = Field(0.3, ge=0, description="line ends for each word, at most")


class LanguageFilterConfig(StrictConfig):
    """Keeps texts in some languages, as py3langid recognizes them (97 languages)."""

    filter: Literal["language"] = "language"
    keep: tuple[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")], ...] = Field(
        (), description="languages to keep, by ISO 639 code; empty keeps all"
    )
    min_probability: Share = Field(0.5, description="a text whose language is less certain is dropped")
    retag: bool = Field(False, description="set each document's language tag to what was recognized")
    max_characters: int = Field(
        3_000, ge=100, le=10**7, description="how much of a text is looked at", json_schema_extra=unit("characters")
    )

    @model_validator(mode="after")
    def _known(self) -> LanguageFilterConfig:
        if not self.keep and not self.retag:
            raise ValueError("expected languages to keep, like keep: [en], or retag: true")
        if self.keep:
            from model.corpus.filters.language import known_languages

            unknown = sorted(set(self.keep) - set(known_languages()))
            if unknown:
                raise ValueError(f"keep: {unknown[0]!r} is no language that py3langid knows, like en, de or zh")
        return self


class ToxicityFilterConfig(StrictConfig):
    """Drops texts with many passages that alt-profanity-check's classifier (English) calls offensive."""

    filter: Literal["toxicity"] = "toxicity"
    min_probability: Share = Field(0.8, description="a passage from here on is offensive")
    max_offensive: Share = Field(0.1, description="share of a text in offensive passages, at most")
    passage: int = Field(
        300, ge=50, le=10_000, description="passages end at white space before", json_schema_extra=unit("characters")
    )


class PatternFilterConfig(StrictConfig):
    """Keeps or drops texts in which a regular expression (RE2 syntax, linear time) is found."""

    filter: Literal["pattern"] = "pattern"
    pattern: str = Field(min_length=1, max_length=10_000, description="RE2 expression, like (?i)casino|viagra")
    texts_with_it: Literal["drop", "keep"] = Field("drop", description="what happens to texts in which it is found")
    min_matches: int = Field(1, ge=1, le=10**6, description="so many matches count as found")
    name: str = Field("pattern", pattern=r"^[a-z][a-z0-9_]{0,39}$", description="names the rule in reports")

    @field_validator("pattern")
    @classmethod
    def _can_be_compiled(cls, pattern: str) -> str:
        from model.corpus.filters.pattern import compile_pattern

        compile_pattern(pattern)
        return pattern


FilterConfig = Annotated[
    LengthFilterConfig
    | CharacterClassesConfig
    | GopherQualityConfig
    | GopherRepetitionConfig
    | C4Config
    | FineWebConfig
    | LanguageFilterConfig
    | ToxicityFilterConfig
    | PatternFilterConfig,
    Discriminator("filter"),
]

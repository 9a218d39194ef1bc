r"""The pre-tokenization rules by name: regular expressions for Oniguruma, the engine inside `tokenizers`.

A cutting rule matches every word, so its matches are the words. A keeping rule matches only what has to stay whole (a
number, a LaTeX command, a gene's name); the cutting rules after it leave its matches alone. Every quantifier that a
later part of the same alternative could undo is bounded, possessive or in an atomic group (`{1,30}+` is not possessive
in this syntax), so matching is linear on any text.
"""

from __future__ import annotations

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""Radford et al. 2019; `encoder.py` in github.com/openai/gpt-2."""

GPT4 = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*"
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
)
"""The rule of `cl100k_base` in github.com/openai/tiktoken (tiktoken_ext/openai_public.py)."""

_UPPER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}"
_LOWER = r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
O200K = (
    rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]*[{_LOWER}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    rf"|[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]+[{_LOWER}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""The rule of `o200k_base` in the same file: words also end where lower case turns into upper case."""

WHITESPACE = r" ?\S+|\s+(?!\S)|\s+"
DIGITS = r"\p{N}"
DIGITS_BY_THREE = r"\p{N}{1,3}(?=(?:\p{N}{3}){0,30}(?!\p{N}))|\p{N}{3}"
"""From the right, so that thousands stay together (Singh and Strouse 2024, arXiv:2402.14903); beyond 93 digits from
the left until 93 are left, which keeps the look ahead short."""

CODE = (
    r" ?\p{Lu}+(?!\p{Ll})| ?\p{Lu}?\p{Ll}+| ?[\p{L}\p{M}]+|_+| ?\p{N}{1,3}| ?[^\s\p{L}\p{M}\p{N}_]+"
    r"|[\r\n]+|[^\S\r\n]+(?=[^\S\r\n])|\s+(?!\S)|\s+"
)
"""Identifiers fall into their parts (`camelCase`, `snake_case`, `HTTPServer`), indentation is a word apart from the
line's end before it and from the word after it."""

SCIENTIFIC = r" ?(?<![\p{L}\p{N}])[0-9]++(?:[.,][0-9]++)*+(?:[eE][+\-\u2212]?[0-9]++)?+"
"""Numbers whole: `1.5e-10`, `6.022e23`, `1,000.5`."""
LATEX = r"\\(?:[A-Za-z]++\*?|.)"
r"""Commands: `\alpha`, `\section*`, `\%`."""
BIOMEDICAL = (
    r" ?(?<![\p{L}\p{N}\-])(?=[\p{L}\p{N}\-]{0,40}[\p{Lu}\p{N}\p{Greek}])"
    r"(?:(?>[\p{L}\p{N}]{1,30})(?:[\-\u2010\u2011](?>[\p{L}\p{N}]{1,30})){1,6}\+?"
    r"|(?>\p{Lu}{1,6}[0-9]{1,4}\p{L}{0,2})\+?|(?>\p{Ll}{1,3}[0-9]{1,4})(?![\p{L}\p{N}]))"
)
r"""Names of genes, proteins, receptors whole: `IL-2`, `5-HT1A`, `TNF-\u03b1`, `CD4+`, `p53`; words such as `well-known`
are no names and stay with the cutting rules."""

ABC = (
    r'"[^"\r\n]{0,40}"|![^!\r\n]{1,40}!|\[[A-Za-z]:|(?<![^\r\n])[A-Za-z]:'
    r"|[\^_=]{0,2}[A-Ga-gxyzXYZ][,']*+[0-9]*+/*+[0-9]*+|:?\|[\|\]:0-9]?|\([2-9]|[\[\](){}<>~.\-]"
    r"|[\r\n]+|[^\S\r\n]+|[^\s]"
)
"""Tunes in ABC notation (abcnotation.com/wiki/abc:standard:v2.1): a note with its accidental, octave and length is one
word, bars, chords in quotation marks, decorations and the names of fields are others."""

CUTTING = {
    "gpt2": GPT2,
    "gpt4": GPT4,
    "o200k": O200K,
    "whitespace": WHITESPACE,
    "digits": DIGITS,
    "digits_by_three": DIGITS_BY_THREE,
    "code": CODE,
    "abc": ABC,
}
KEEPING = {"scientific": SCIENTIFIC, "latex": LATEX, "biomedical": BIOMEDICAL}

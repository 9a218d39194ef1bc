"""Where words end: no learned token crosses such a border.

Rules cut the text itself into words, lose nothing, and hand the bytes of each word to the model. A chain of them is a
`tokenizers` sequence, so that the saved file carries it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from model.errors import TokenizerError
from model.tokenizer.config import RegexRule, RuleName
from model.tokenizer.rules import CUTTING, KEEPING

PIECE_CHARACTERS = 65_536
CONTROL_GUARD = r"<\|"
"""Cut out of every word, so that no learned token can spell a control token and take its id."""
_CUT = re.compile(r"(?<=[A-Za-z])(?=[ \n\t.,;:!?])")

Pattern = Literal["gpt2", "gpt4"]
Rules = Sequence[RuleName | RegexRule]


def expressions(rules: Rules) -> list[str]:
    """The regular expressions of a chain in turn; what a keeping rule has matched, the later ones match whole."""
    found: list[str] = []
    kept: list[str] = []
    for rule in rules:
        if isinstance(rule, RegexRule):
            found.append("|".join([*kept, f"(?:{rule.regex})"]) if kept else rule.regex)
        elif rule in KEEPING:
            kept.append(KEEPING[rule])
            found.append("|".join(kept))
        else:
            found.append("|".join([*kept, CUTTING[rule]]))
    return found


def pre_tokenizer(rules: Rules, *, longest: int | None = None) -> Any:
    """The `tokenizers` pre-tokenizer of a chain of rules, then bytes; `longest` cuts the words of bytes once more.

    Raises:
        TokenizerError: A regular expression does not compile.
    """
    from tokenizers import Regex, pre_tokenizers

    if list(rules) == ["gpt2"] and longest is None:
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    steps: list[Any] = []
    for rule, expression in zip(rules, expressions(rules), strict=True):
        try:
            steps.append(pre_tokenizers.Split(Regex(expression), behavior="isolated"))
        except Exception as error:  # tokenizers raises bare Exception
            raise TokenizerError(
                f"tokenizer.pre_tokenization: the regular expression of {rule!r} does not compile "
                f"({' '.join(str(error).split())[:120]}); correct it"
            ) from error
    if list(rules) != ["gpt4"]:  # in which no word holds both `<|` and a letter
        steps.append(pre_tokenizers.Split(Regex(CONTROL_GUARD), behavior="isolated"))
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))
    if longest is not None:
        steps.append(pre_tokenizers.Split(Regex(f"(?m:.{{1,{longest}}})"), behavior="isolated"))
    return pre_tokenizers.Sequence(steps) if len(steps) > 1 else steps[0]


def pieces(text: str, size: int = PIECE_CHARACTERS) -> Iterator[str]:
    """Cut a long text into pieces of about `size` characters whose ids, one after the other, are those of the whole.

    `tokenizers` needs some hundred bytes of memory per character of one text, so a text of many megabytes goes in
    pieces. In the rules `gpt2` and `gpt4` a word that holds a letter ends with a letter and nothing looks back, so the
    border between an ASCII letter and ASCII white space or punctuation after it is a border of words whatever stands
    around it. A text without such a place stays whole, and other rules see whole texts.
    """
    start = 0
    while len(text) - start > size:
        cut = _CUT.search(text, start + size)
        if cut is None:
            break
        yield text[start : cut.start()]
        start = cut.start()
    if start < len(text) or not text:
        yield text[start:]

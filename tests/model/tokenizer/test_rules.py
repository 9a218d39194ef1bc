"""The pre-tokenization rules cut where their names say, lose nothing, and take linear time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.tokenizer.config import RegexRule, TokenizerConfig
from model.tokenizer.pretokenization import pre_tokenizer
from model.tokenizer.rules import CUTTING, KEEPING
from model.tokenizer.training import train_tokenizer

ALL = (*CUTTING, *KEEPING)


def words(rules, text):
    """The words of a text, by the pre-tokenizer that is saved."""
    return [text[start:stop] for _, (start, stop) in pre_tokenizer(rules).pre_tokenize_str(text)]


@pytest.mark.feature("TOK-03", "TOK-10")
@pytest.mark.parametrize(
    ("rules", "text", "expected"),
    [
        (["gpt2"], "It's 1234 a", ["It", "'s", " 1234", " a"]),
        (["gpt4"], "It'S 1234 a", ["It", "'S", " ", "123", "4", " a"]),
        (["o200k"], "camelCase isn't", ["camel", "Case", " isn't"]),
        (["gpt4", "digits"], "in 1984", ["in", " ", "1", "9", "8", "4"]),
        (["digits_by_three", "gpt4"], "1234567 12", ["1", "234", "567", " ", "12"]),
        (["code"], "my_camelCase", ["my", "_", "camel", "Case"]),
        (["code"], "HTTPServer(x)", ["HTTP", "Server", "(", "x", ")"]),
        (["code"], "if a:\n    b", ["if", " a", ":", "\n", "   ", " b"]),
        (["scientific", "gpt4"], "about 1.5e-10 or 6,022.5.", ["about", " 1.5e-10", " or", " 6,022.5", "."]),
        (["latex", "gpt4"], r"$\alpha_1 \section*{A}$", ["$", r"\alpha", "_", "1", " ", r"\section*", "{A", "}$"]),
        (
            ["biomedical", "gpt4"],
            "IL-2, 5-HT1A, TNF-α, CD4+ and p53 are well-known",
            ["IL-2", ",", " 5-HT1A", ",", " TNF-α", ",", " CD4+", " and", " p53", " are", " well", "-known"],
        ),
        (["abc"], "|:^c'2 z/2|[CEG]", ["|:", "^c'2", " ", "z/2", "|", "[", "C", "E", "G", "]"]),
        (["whitespace"], "a,b  c\n", ["a,b", " ", " c", "\n"]),
        ([RegexRule(regex="[aeiou]")], "banana", ["b", "a", "n", "a", "n", "a"]),
    ],
)
def test_words_are_what_the_rule_promises(rules, text, expected):
    assert words(rules, text) == expected


@pytest.mark.feature("TOK-03")
@pytest.mark.parametrize("rule", ALL)
@given(text=st.one_of(st.text(), st.text(alphabet="aB1-_.,\\ \n\t|'\"!^(é日\u0301+e")))
def test_nothing_is_lost_whatever_the_rules(rule, text):
    for rules in ([rule], [rule, "gpt4"], ["gpt4", rule]):
        assert "".join(words(rules, text)) == text


@pytest.mark.slow
@pytest.mark.parametrize("rule", ALL)
@pytest.mark.parametrize(
    "unit", ["1", "a", "A-", "a-", " ", " \n", "\\", "1,", "aB", '"', "!a", "^", "_", "1.e", "\u0301"]
)
def test_time_is_linear_on_hostile_text(rule, unit):
    cut = pre_tokenizer([rule, "gpt4"])
    seconds = []
    for size in (40_000, 160_000):
        text, tries = unit * (size // len(unit)), []
        for _ in range(3):
            started = time.process_time()
            cut.pre_tokenize_str(text)
            tries.append(time.process_time() - started)
        seconds.append(min(tries))
    assert seconds[1] < 10 * seconds[0] + 0.3  # quadratic work would be 16 times as much, and more than that in all


@pytest.mark.parametrize("rules", [("code",), ("scientific", "latex", "gpt4"), ("digits_by_three", "o200k"), ()])
def test_a_saved_chain_gives_back_any_text(rules, toy_texts, tmp_path):
    from transformers import AutoTokenizer

    tokenizer = train_tokenizer(toy_texts, TokenizerConfig(vocab_size=400, pre_tokenization=rules))
    tokenizer.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    text = "def f_1(x):\n    return 1.5e-10 * \\alpha + 1234567\n"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert theirs(text)["input_ids"] == tokenizer.encode(text)


@pytest.mark.parametrize("rules", [("code",), ("biomedical", "gpt4"), ("o200k",), ("digits", "gpt4"), ("whitespace",)])
def test_long_texts_in_pieces_have_the_ids_of_the_whole(rules, toy_texts):
    import tokenizers

    tokenizer = train_tokenizer(toy_texts, TokenizerConfig(vocab_size=400, pre_tokenization=rules))
    text = "\n".join([*toy_texts, "IL-2 x_1 1234 HTTPServer"]) * 4
    assert tokenizer.encode(text) == tokenizers.Tokenizer.from_str(tokenizer.content).encode(text).ids

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

import pytest
import regex
from pydantic import ValidationError
from test_pretokenization import PUBLISHED

from model.tokenizer.config import TokenizerConfig
from model.tokenizer.training import train_tokenizer


def plain_bpe(texts, n_merges, min_frequency, pattern, id_of):
    """Sennrich's algorithm, written plainly: merge the most frequent pair; of equals, the one with smaller ids."""
    words = Counter(word for text in texts for word in regex.findall(PUBLISHED[pattern], text))
    split = {word: [bytes([byte]) for byte in word.encode()] for word in words}
    merges = []
    while len(merges) < n_merges:
        pairs = Counter()
        for word, count in words.items():
            for pair in pairwise(split[word]):
                pairs[pair] += count
        (left, right), count = min(pairs.items(), key=lambda item: (-item[1], id_of[item[0][0]], id_of[item[0][1]]))
        if count < min_frequency:
            break
        id_of.setdefault(left + right, len(id_of) + 4)
        merges.append(left + right)
        for parts in split.values():
            at = 0
            while at < len(parts) - 1:
                if (parts[at], parts[at + 1]) == (left, right):
                    parts[at : at + 2] = [left + right]
                at += 1
    return merges


@pytest.mark.feature("TOK-01")
@pytest.mark.parametrize("pattern", ["gpt2", "gpt4"])
def test_learned_tokens_equal_those_of_plain_bpe(pattern, toy_texts):
    tokenizer = train_tokenizer(toy_texts[:4], TokenizerConfig(vocab_size=360, pattern=pattern))
    bytes_first = {tokenizer.token_bytes(i): i for i in range(4, 260)}
    expected = plain_bpe(toy_texts[:4], 100, 2, pattern, bytes_first)
    assert [tokenizer.token_bytes(i) for i in range(260, 360)] == expected


def test_all_bytes_are_there_whatever_the_text():
    tokenizer = train_tokenizer(["only plain letters"], TokenizerConfig(vocab_size=260))
    assert {tokenizer.token_bytes(i) for i in range(4, 260)} == {bytes([byte]) for byte in range(256)}
    assert tokenizer.decode(tokenizer.encode("żółw 🐢 \x00")) == "żółw 🐢 \x00"


@pytest.mark.feature("TOK-01")
def test_one_thread_and_many_give_the_same_bytes(run_python):
    code = """if True:
        import sys; sys.path[:0] = ["tests", "."]
        from small_tokenizers import small_tokenizer
        print(small_tokenizer("gpt4", 750).digest)
    """
    parallel = run_python(code, TOKENIZERS_PARALLELISM="true", RAYON_NUM_THREADS="4", PYTHONHASHSEED="1")
    alone = run_python(code, TOKENIZERS_PARALLELISM="false", RAYON_NUM_THREADS="1", PYTHONHASHSEED="2")
    assert parallel.stdout == alone.stdout
    assert len(alone.stdout.strip()) == 64, alone.stderr


def test_vocab_size_is_the_most_and_a_smaller_text_gives_all_it_has(toy_texts):
    everything = train_tokenizer(toy_texts[:2], TokenizerConfig(vocab_size=50_000))
    assert everything.vocab_size < 50_000
    exact = train_tokenizer(toy_texts[:2], TokenizerConfig(vocab_size=everything.vocab_size))
    assert exact.digest == everything.digest


def test_rare_pairs_are_not_merged():
    text = "abab xyzw"  # only the pair ab occurs twice
    tokenizer = train_tokenizer([text], TokenizerConfig(vocab_size=261))
    assert tokenizer.token_bytes(260) == b"ab"
    assert train_tokenizer([text], TokenizerConfig(vocab_size=261, min_frequency=3)).vocab_size == 260


def test_training_stops_reading_after_the_document_that_reaches_the_limit(toy_texts):
    read = []

    def texts():
        for text in toy_texts:
            read.append(text)
            yield text

    limit = len(toy_texts[0]) + 1
    limited = train_tokenizer(texts(), TokenizerConfig(vocab_size=300, max_training_characters=limit))
    assert limited.digest == train_tokenizer(toy_texts[:2], TokenizerConfig(vocab_size=300)).digest
    assert len(read) < len(toy_texts)


def test_control_tokens_written_in_the_text_do_not_disturb_training():
    texts = ["<|endoftext|> <|pad|>" * 50, "the theory of the thing " * 50]
    tokenizer = train_tokenizer(texts, TokenizerConfig(vocab_size=270))
    assert not set(tokenizer.encode(texts[0])) & {0, 1, 2, 3}
    assert len(json.loads(tokenizer.content)["added_tokens"]) == 4


@pytest.mark.parametrize(
    "values", [{"vocab_size": 259}, {"vocab_size": 1_000_001}, {"min_frequency": 0}, {"pattern": "gpt5"}, {"size": 1}]
)
def test_settings_out_of_range_are_refused(values):
    with pytest.raises(ValidationError):
        TokenizerConfig(**values)

"""Signatures estimate Jaccard similarities without bias, of long and short texts; words are cut as they should be."""

import math
import random
import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from near_texts import plain_words
from pydantic import ValidationError

from model.corpus.near_duplicates.banding import BAND_RECALL, banding
from model.corpus.near_duplicates.config import NearDuplicatesConfig
from model.corpus.near_duplicates.shingles import Shingles, shingles, windows
from model.corpus.near_duplicates.signatures import estimate, signature_columns, signatures, signatures_of, unpacked
from model.corpus.near_duplicates.words import Words, characters_of, folded_code_points, words_of
from model.corpus.segmentation import segment

pytestmark = pytest.mark.feature("CORP-05")

CONFIG = NearDuplicatesConfig()


def signed(sets, config=CONFIG):
    """Signatures of sets of 64-bit numbers."""
    starts = np.cumsum([0] + [len(s) for s in sets])
    return unpacked(signatures_of(Shingles(np.concatenate([*sets]).astype(np.uint64), starts), config), config)


def pairs_of_sets(size, common, n_pairs, seed=0):
    draw = np.random.default_rng(seed)
    for _ in range(n_pairs):
        values = draw.integers(1, 2**64 - 1, 2 * size - common, dtype=np.uint64)
        yield values[:size], values[size - common :]


@pytest.mark.parametrize(("size", "common"), [(3, 2), (9, 8), (30, 20), (90, 80), (400, 300), (3000, 2700)])
def test_estimates_are_unbiased_and_no_wider_than_independent_permutations(size, common):
    sets = [half for pair in pairs_of_sets(size, common, 2000) for half in pair]
    values = signed(sets)
    similarity = common / (2 * size - common)
    estimates = estimate((values[::2] == values[1::2]).sum(axis=1), CONFIG)
    error = math.sqrt(similarity * (1 - similarity) / CONFIG.signature_values)
    assert abs(estimates.mean() - similarity) < 4 * error / math.sqrt(len(estimates)) + 0.002
    assert estimates.std() < 1.15 * error


@pytest.mark.parametrize("size", [1, 5, 40, 1000])
def test_unrelated_signatures_agree_by_chance_only(size):
    values = signed([half for pair in pairs_of_sets(size, 0, 1000) for half in pair])
    assert abs((values[::2] == values[1::2]).mean() - 1 / 256) < 0.001
    assert abs(estimate((values[::2] == values[1::2]).sum(axis=1), CONFIG).mean()) < 0.001


@given(st.lists(st.integers(1, 2**64 - 1), min_size=1, max_size=50), st.randoms())
def test_a_signature_is_of_a_set(values, draw):
    again = values + draw.choices(values, k=600)  # long enough that repetitions are looked for
    draw.shuffle(again)
    first, second = signed([np.array(values, np.uint64), np.array(again, np.uint64)])
    assert first.tolist() == second.tolist()


@given(st.floats(0.3, 1), st.sampled_from([64, 120, 128, 256]))
def test_bands_find_pairs_at_the_threshold(threshold, n_values):
    cut = banding(threshold, n_values)
    assert cut.recall(threshold) >= BAND_RECALL or cut.rows == 1
    assert cut.bands * cut.rows <= n_values
    assert cut.value_bits * cut.rows >= 32 or cut.rows == 1
    longer = 1 - (1 - threshold ** (cut.rows + 1)) ** (n_values // (cut.rows + 1)) if cut.rows < n_values else 0
    assert longer < BAND_RECALL


def test_bands_at_the_default_threshold():
    cut = banding(0.8, 120)
    assert (cut.bands, cut.rows, cut.value_bits) == (20, 6, 8)
    assert signature_columns(CONFIG) * 4 == 120  # bytes for a document


def test_too_few_values_are_refused():
    with pytest.raises(ValidationError, match="raise signature_values"):
        NearDuplicatesConfig(threshold=0.3, signature_values=16)


@given(st.text(string.ascii_letters + string.digits + " .,'-_\n", max_size=200))
def test_words_of_english_are_those_of_a_regular_expression(text):
    letters = characters_of([text, "end"])
    cut = words_of(letters, with_spans=True)
    count = cut.starts[1]
    expected = plain_words(text)
    if expected:
        spans = [text[begin:end] for begin, end in cut.spans[:count].tolist()]
        assert [span.replace("'", "").lower() for span in spans] == expected
        by_hash = dict(zip(cut.hashes[:count].tolist(), expected, strict=True))
        assert len(by_hash) == len(set(expected))
    else:
        assert count == sum(character > " " for character in text)


def hashes(text):
    return words_of(characters_of([text])).hashes.tolist()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Élan naïve ŁÓDŹ", "elan  naive łodz"),
        ("don’t stop", "Dont, stop!"),
        ("co\u00adoperate", "cooperate"),
        ("ＡＢＣ", "abc"),
        ("ВСЁ ПОНЯТНО", "все понятно"),
        ("中文，文本", "中文文本"),
        ("e\u0301tude", "étude"),
    ],
)
def test_small_differences_do_not_make_other_words(one, other):
    assert hashes(one) == hashes(other)


def test_scripts_without_spaces_count_characters_and_korean_counts_words():
    assert len(hashes("中文文本 abc ภาษา")) == 4 + 1 + 4
    assert len(hashes("한국어 문장")) == 2
    assert hashes("한국어") != hashes("한국")


def test_segmented_texts_and_strings_give_the_same_signatures():
    texts = ["One text, with “quotes” and U.S. names.", "", "中文 mixed", "plain ascii"]
    assert signatures(segment(texts), CONFIG).tolist() == signatures(characters_of(texts), CONFIG).tolist()
    one_by_one = [signatures(characters_of([text]), CONFIG)[0].tolist() for text in texts]
    assert signatures(characters_of(texts), CONFIG).tolist() == one_by_one


@given(st.lists(st.text(st.characters(codec=None), max_size=30), max_size=5))
def test_any_text_can_be_signed_whatever_stands_beside_it(texts):
    together = signatures(characters_of(texts), CONFIG)
    assert together.shape == (len(texts), signature_columns(CONFIG))
    for text, row in zip(texts, together, strict=True):
        assert signatures(characters_of([text]), CONFIG)[0].tolist() == row.tolist()


def test_shingles_of_long_texts_are_few_hashes_apart():
    draw = random.Random(0)
    words = [str(draw.randrange(10**6)) for _ in range(3000)]
    made = shingles(characters_of([" ".join(words), " ".join(words[1:])]), 5)
    first, second = set(made.hashes[: made.starts[1]].tolist()), set(made.hashes[made.starts[1] :].tolist())
    assert len(first) == 2996
    assert len(first - second) == 1


MASK = 2**64 - 1


def plain_mix(value):
    value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ value >> 27) * 0x94D049BB133111EB) & MASK
    return value ^ value >> 31


def plain_signature(hashes, n_values):
    """Fast similarity sketching as in figure 1 of the paper, in plain Python."""
    values = [None] * n_values
    for turn in range(n_values):
        drawn = [plain_mix(h ^ plain_mix(turn)) if turn else h for h in hashes]
        fresh = {}
        for value in drawn:
            at = ((value >> 32) * n_values) >> 32
            if values[at] is None and (turn or value & 0xFFFFFFFF < 0xFFFFFFFF):  # at first the largest stands for none
                fresh[at] = min(fresh.get(at, 2**32), value & 0xFFFFFFFF)
        values = [fresh.get(at) if values[at] is None else values[at] for at in range(n_values)]
        if None not in values:
            break
    for at in range(n_values):
        if values[at] is None:
            values[at] = min(plain_mix(h ^ plain_mix(n_values + at)) & 0xFFFFFFFF for h in hashes)
    return [value & 255 for value in values]


@settings(max_examples=30)
@given(st.sets(st.integers(1, 2**64 - 1), min_size=1, max_size=80))
def test_the_kernel_sketches_as_plain_python_does(values):
    assert signed([np.array(sorted(values), np.uint64)])[0].tolist() == plain_signature(values, 120)


def plain_words_of_any_text(text, folded):
    """Where the words of a text are, by the table of code points."""
    spans, begin = [], None
    for place, character in enumerate([*text, " "]):
        code = int(folded[ord(character)])
        if 1 < code < 2**31:
            begin = place if begin is None else begin
        elif code != 1:
            if begin is not None:
                spans.append((begin, place))
                begin = None
            if code:
                spans.append((place, place + 1))
    return spans or [(i, i + 1) for i, character in enumerate(text) if character > " "]


@given(
    st.lists(st.text(st.characters(codec=None) | st.sampled_from("aB'9 é中ก\u0301\u200b-"), max_size=30), max_size=4)
)
def test_the_kernel_cuts_any_unicode_as_plain_python_does(texts):
    folded = folded_code_points()
    letters = characters_of(texts)
    cut = words_of(letters, with_spans=True)
    for text, begin, end, first in zip(texts, cut.starts, cut.starts[1:], letters.text_starts, strict=False):
        spans = [(b - int(first), e - int(first)) for b, e in cut.spans[begin:end].tolist()]
        expected = plain_words_of_any_text(text, folded)
        trimmed = [(b, max((i + 1 for i in range(b, e) if folded[ord(text[i])] != 1), default=e)) for b, e in expected]
        assert [
            (b, max((i + 1 for i in range(b, e) if folded[ord(text[i])] != 1), default=e)) for b, e in spans
        ] == trimmed


def test_the_table_knows_letters_and_digits_of_all_scripts():
    folded = folded_code_points()
    for code in range(0x20000):
        character = chr(code)
        if character.isalnum() and code != 0x2BC:  # the letter apostrophe is passed over like others
            assert folded[code] > 1, hex(code)
        elif character.isspace() or character in string.punctuation.replace("'", ""):
            assert folded[code] == 0, hex(code)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=30), st.integers(1, 12))
def test_windows_are_equal_exactly_where_their_words_are(words, width):
    twice = words + words
    made = windows(Words(np.array(twice, np.uint64), np.array([0, len(twice)]), np.empty((0, 2), np.int64)), width)
    runs = [tuple(twice[i : i + width]) for i in range(max(1, len(twice) - width + 1))]
    assert len(made.hashes) == len(runs)
    assert len(set(zip(made.hashes.tolist(), runs, strict=True))) == len(set(runs)) == len(set(made.hashes.tolist()))

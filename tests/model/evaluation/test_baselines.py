"""Compressors primed on training text: against whole archives written by the libraries themselves."""

from __future__ import annotations

import lzma

import pyppmd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_texts import toy_text

from model.errors import EvaluationError
from model.evaluation.baselines import baselines, priming_text
from model.randomness import python_generator

TRAIN = "\n".join(toy_text(index) for index in range(20)).encode()
TEST = toy_text(30).encode() + "naïve 語".encode()


def by_name(**texts: bytes) -> dict[str, float]:
    return {score.name: score.bits_per_byte for score in baselines(texts["train"], texts["test"])}


def test_xz_equals_the_difference_of_two_xz_9_files():
    expected = 8 * (len(lzma.compress(TRAIN + TEST, preset=9)) - len(lzma.compress(TRAIN, preset=9))) / len(TEST)

    assert by_name(train=TRAIN, test=TEST)["xz"] == pytest.approx(expected, abs=8 * 4 / len(TEST))


@pytest.mark.parametrize("order", [6, 16])
def test_ppmd_equals_the_difference_of_two_archives_but_for_pending_bytes(order):
    def archive(text: bytes) -> int:
        encoder = pyppmd.Ppmd7Encoder(order, 64 * 2**20)
        return len(encoder.encode(text)) + len(encoder.flush())

    expected = 8 * (archive(TRAIN + TEST) - archive(TRAIN)) / len(TEST)

    assert by_name(train=TRAIN, test=TEST)[f"ppmd{order}"] == pytest.approx(expected, abs=8 * 8 / len(TEST))


def test_priming_helps_text_of_the_same_kind():
    primed, alone = by_name(train=TRAIN, test=TEST), by_name(train=b"", test=TEST)

    assert all(primed[name] < alone[name] for name in primed)


def test_text_that_was_seen_costs_next_to_nothing_and_noise_costs_eight_bits():
    noise = python_generator(0, "noise").randbytes(20_000)

    seen, unseen = by_name(train=noise, test=noise), by_name(train=b"", test=noise)

    assert seen["xz"] < 0.3
    assert seen["ppmd16"] < 0.6
    assert all(7.9 < value < 9 for value in unseen.values())


def test_progress_ends_at_all_bytes_of_all_compressors():
    seen: list[tuple[int, int]] = []

    baselines(TRAIN, TEST, on_progress=lambda *figures: seen.append(figures))

    both = len(TRAIN) + len(TEST)
    assert seen[-1] == (4 * both - len(TEST), 4 * both - len(TEST))


def test_only_the_named_ones_are_measured_in_their_order():
    names = [score.name for score in baselines(TRAIN, TEST, ("ppmd16", "ppmd6"))]

    assert names == ["ppmd16", "ppmd6"]


def test_wrong_name_and_empty_text_are_refused():
    with pytest.raises(EvaluationError, match=r"baseline 'zip': no such compressor, expected one of xz, ppmd6, ppmd16"):
        baselines(TRAIN, TEST, ("zip",))
    with pytest.raises(EvaluationError, match="the test text is empty"):
        baselines(TRAIN, b"")


@given(texts=st.lists(st.binary(max_size=50), max_size=30), max_bytes=st.integers(1, 400))
def test_priming_text_is_as_long_as_it_may_be(texts, max_bytes):
    total = sum(map(len, texts))

    taken = priming_text(iter(texts), total, max_bytes)

    assert len(taken) <= max_bytes
    if total <= max_bytes:
        assert taken == b"".join(texts)
    else:
        assert len(taken) >= max_bytes - max(map(len, texts))


def test_priming_text_is_spread_over_all_documents():
    texts = [bytes([index]) * 10 for index in range(100)]

    taken = set(priming_text(iter(texts), 1000, 100))

    assert len(taken) == 10
    assert min(taken) < 10
    assert max(taken) >= 80

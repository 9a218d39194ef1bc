"""Scrubbing: what replaces findings, how overlaps are resolved, how long it takes, and how well it finds."""

from __future__ import annotations

import hashlib
import hmac
import subprocess
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from model.corpus.pii.actions import key_from_environment, masked
from model.corpus.pii.config import STRUCTURED_KINDS, PiiConfig
from model.corpus.pii.evaluation import evaluate, evaluate_passages, f_score, read_passages
from model.corpus.pii.labelled import labelled_set
from model.corpus.pii.names import pieces
from model.corpus.pii.scrub import PiiScrubber
from model.corpus.pii.spans import PRIORITY, Span, resolve
from model.errors import ConfigError, CorpusError

pytestmark = pytest.mark.feature("CORP-08")
KEY = b"sixteen bytes or more"
TEXT = "Write to Ann.Lee@example.com or ann.lee@example.com, call +44 20 7946 0958, card 4111 1111 1111 1111."
spans = st.builds(
    lambda start, length, kind: Span(start, start + length, kind),
    st.integers(0, 60), st.integers(1, 15), st.sampled_from(STRUCTURED_KINDS),
)  # fmt: skip


def test_redaction_names_the_kind_and_counts() -> None:
    done = PiiScrubber(PiiConfig()).scrub(TEXT)
    assert done.text == "Write to [EMAIL] or [EMAIL], call [PHONE], card [CARD]."
    assert done.found == {"email": 2, "phone": 1, "card": 1}


def test_a_mask_keeps_shape_and_last_four() -> None:
    done = PiiScrubber(PiiConfig(action="mask")).scrub(TEXT)
    assert done.text == (
        "Write to ***.***@*******.*** or ***.***@*******.***, call +** ** **** 0958, card **** **** **** 1111."
    )
    assert masked("AKIA1234", "secret") == "********"


def test_a_keyed_hash_is_hmac_sha256_and_equal_for_equal_values() -> None:
    scrub = PiiScrubber(PiiConfig(action="hash"), KEY).scrub
    token = hmac.new(KEY, b"email\0ann.lee@example.com", hashlib.sha256).hexdigest()[:16]
    assert scrub(TEXT).text.startswith(f"Write to [EMAIL:{token}] or [EMAIL:{token}], call [PHONE:")
    assert scrub("card 4111111111111111").text.split(":")[1] == scrub("card 4111-1111-1111-1111").text.split(":")[1]
    assert PiiScrubber(PiiConfig(action="hash"), b"another key, also long").scrub(TEXT).text != scrub(TEXT).text


def test_a_hash_without_a_key_is_refused_and_a_short_key_too() -> None:
    with pytest.raises(ConfigError, match="set the environment variable TISSLM_PII_KEY"):
        PiiScrubber(PiiConfig(actions={"email": "hash"}))
    PiiScrubber(PiiConfig(kinds=("phone",), actions={"email": "hash"}))
    with pytest.raises(ConfigError, match="got a key of 5 bytes, expected at least 16"):
        key_from_environment({"TISSLM_PII_KEY": "short"})
    with pytest.raises(ConfigError, match="got a key of 5 bytes, expected at least 16"):
        PiiScrubber(PiiConfig(action="hash"), b"short")
    assert key_from_environment({}) is None
    assert key_from_environment({"TISSLM_PII_KEY": KEY.decode()}) == KEY


def test_each_kind_may_have_its_own_action() -> None:
    config = PiiConfig(kinds=("email", "card"), actions={"card": "mask"})
    assert PiiScrubber(config).scrub(TEXT).text == (
        "Write to [EMAIL] or [EMAIL], call +44 20 7946 0958, card **** **** **** 1111."
    )


def test_a_text_without_findings_is_the_same_object() -> None:
    text = "Nothing to see here, in 1984 or later."
    assert PiiScrubber(PiiConfig()).scrub(text).text is text


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kinds": []}, "at least 1"),
        ({"kinds": ["email", "email"]}, "email is named twice"),
        ({"kinds": ["name"]}, "needs a recogniser"),
        ({"names": {}}, "needs a recogniser"),
        ({"kinds": ["emial"]}, "email"),
        ({"key": "abc"}, "Extra inputs"),
    ],
)
def test_a_wrong_configuration_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PiiConfig.model_validate(values)


@given(st.lists(spans, max_size=25))
def test_overlaps_are_resolved_longest_first_whatever_the_order(found: list[Span]) -> None:
    kept: list[Span] = []
    for span in sorted(set(found), key=lambda s: (s.start - s.end, PRIORITY[s.kind], s.start)):
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    wanted = sorted(kept, key=lambda s: s.start)
    assert resolve(found) == wanted
    assert resolve(reversed(found)) == wanted


@given(st.text(alphabet=st.characters() | st.sampled_from("@.:/-+ 0123456789aAkey=\n"), max_size=300))
def test_any_text_is_scrubbed_once_and_for_all(text: str) -> None:
    scrubber = PiiScrubber(PiiConfig())
    found = scrubber.find(text)
    assert all(0 <= a.start < a.end <= len(text) for a in found)
    assert all(a.end <= b.start for a, b in pairwise(found))
    outside = scrubber.scrub(text).text
    assert len(outside) == len(text) + sum(len(f"[{s.kind.upper()}]") - (s.end - s.start) for s in found)


HOSTILE = [
    "1 ", "a@", "@", ".", "1", "1.", "0 ", "00 1 ", "+1 ", "1:", ":", "=", "password=", "-----BEGIN PRIVATE KEY-----",
    "eyJ",
    "://a:b@", "a@a.a.a.a.", "(0)", "fe80::", "AA00", " at a dot ", "4111 ", "(1", "\ud800", "\0", "token: ",
    "a" * 17 + " ",
    "+1 415 555 0132 ", "(415) 555-0132 ", "0049 30 123456 ", "x@y.org ", "10.0.0.1 ", "GB82WEST12345698765432 ",
    "4111111111111111 ",
    "123-45-6789 ", "password is x1y2z3 ", "https://u:p@h.org ", "call 4155550132\n", "ghp_" + "a1" * 18 + " ",
    "[at]", "fe80::1 ",
]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
def test_time_grows_linearly_on_hostile_text(unit: str) -> None:
    scrubber = PiiScrubber(PiiConfig())

    def seconds(n: int) -> float:
        text = unit * (n // len(unit))
        start = time.process_time()
        scrubber.scrub(text)
        return time.process_time() - start

    small, large = seconds(20_000), min(seconds(160_000) for _ in range(2))
    assert large < 24 * max(small, 0.004)  # eight times the text; 64 times the time if it were quadratic


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["1 ", "a@", "@", ".", "1", "a"])
def test_ten_megabytes_of_one_pattern_take_seconds(unit: str) -> None:
    start = time.process_time()
    PiiScrubber(PiiConfig()).scrub(unit * (10_000_000 // len(unit)))
    assert time.process_time() - start < 30


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["+1 415 555 0132 ", "x@y.org "])
def test_time_grows_linearly_with_findings_in_a_long_text(unit: str) -> None:
    scrubber, seconds = PiiScrubber(PiiConfig()), []
    for n in (250_000, 2_000_000):
        text = unit * (n // len(unit))
        start = time.process_time()
        scrubber.scrub(text)
        seconds.append(time.process_time() - start)
    assert seconds[1] < 20 * seconds[0]  # eight times the text


def test_structured_kinds_reach_f2_of_98_percent_on_the_labelled_set() -> None:
    rows = evaluate(PiiScrubber(PiiConfig()).find, labelled_set(1500, seed=2))
    assert {row["kind"] for row in rows} == set(STRUCTURED_KINDS)
    assert all(row["true"] >= 100 for row in rows)
    assert {row["kind"]: row["f2"] for row in rows if row["f2"] < 0.98} == {}


def test_evaluation_counts_what_it_says() -> None:
    example = next(e for e in labelled_set(50) if len(e.spans) >= 2)
    assert all(row["f2"] == 1 for row in evaluate(lambda _: list(example.spans), [example]))
    nothing = evaluate(lambda _: [], [example])
    assert sum(row["missed"] for row in nothing) == len(example.spans)
    assert f_score(0.5, 1.0, beta=2) == pytest.approx(5 * 0.5 / (4 * 0.5 + 1))
    assert list(labelled_set(20, seed=3)) == list(labelled_set(20, seed=3)) != list(labelled_set(20, seed=4))


def test_passages_are_judged_as_a_whole() -> None:
    places = (parent / "shared" / "data" / "dirty" / "enterprise_pii.jsonl" for parent in Path(__file__).parents)
    file = next((place for place in places if place.exists()), None)
    if file is None:
        pytest.skip("the judged passages are not here")
    passages = read_passages(file)
    done = evaluate_passages(PiiScrubber(PiiConfig()).find, passages)
    assert (done["passages"], done["sensitive"]) == (3395, 1676)
    assert done["recall"] < 0.02  # names, revenues and reviews: no structured kind stands in the sensitive passages


def test_a_file_of_passages_with_another_form_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"text": 1}\n')
    with pytest.raises(CorpusError, match=r"x\.jsonl, line 1: expected JSON with query, choices and gold"):
        read_passages(tmp_path / "x.jsonl")


def test_names_are_found_by_a_spacy_pipeline_of_ones_own(tmp_path: Path) -> None:
    spacy = pytest.importorskip("spacy")
    pipeline = spacy.blank("en")
    rules = pipeline.add_pipe("entity_ruler")
    rules.add_patterns([{"label": "PERSON", "pattern": "Ada Lovelace"}, {"label": "GPE", "pattern": "London"}])
    pipeline.to_disk(tmp_path / "rules")
    config = PiiConfig(kinds=("name", "email"), names={"engine": "spacy", "model": str(tmp_path / "rules")})
    done = PiiScrubber(config).scrub("Ada Lovelace of London, ada@example.org")
    assert done.text == "[NAME] of London, [EMAIL]"


@pytest.mark.parametrize("engine", ["spacy", "presidio"])
def test_a_recogniser_that_is_not_there_is_one_clear_error(engine: str) -> None:
    config = PiiConfig(kinds=("name",), names={"engine": engine, "model": "no_such_model"})
    with pytest.raises(ConfigError, match=r"pii\.names"):
        PiiScrubber(config)


@given(st.text(alphabet="ab \n", max_size=200), st.integers(1, 30))
def test_pieces_are_the_text(text: str, longest: int) -> None:
    found = list(pieces(text, longest))
    assert "".join(piece for _, piece in found) == text
    assert all(text[start:].startswith(piece) and 0 < len(piece) <= longest for start, piece in found)


def test_importing_the_configuration_is_cheap(run_python: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    code = "import sys, model.corpus.pii.config; print([m for m in ('numpy', 'spacy', 'numba') if m in sys.modules])"
    assert run_python(code).stdout.strip() == "[]"

"""ABC tunes as signs and codes."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.codes.abc_notation import Note, notes, signs
from model.codes.config import MusicCodesConfig
from model.codes.music import MusicCodes, train_music_codes
from model.errors import IntegrityError, TokenizerError

pytestmark = pytest.mark.feature("TOK-10")

TUNE = """X:1
T:The Legacy Jig
M:6/8
L:1/8
R:jig
K:G
|: GFG BAB | gfg gab | "Em"GFG B2d | "D"AFD [DFA]3/2 z/ :|
|1 ~g3 ^f'2_e, | (3abc {g}a>b c<d- d//4 !trill!G2 |2 [K:D] ^^C, __B'' =c :|] % end
w: la la-la
"""


def test_tune_is_cut_into_the_signs_of_the_standard() -> None:
    found = [(sign.kind, sign.text) for sign in signs(TUNE) if sign.kind not in {"space", "line"}]
    assert found[:6] == [("field", line) for line in TUNE.splitlines()[:6]]
    texts = [text for _, text in found]
    assert texts[6:15] == ["|:", "G", "F", "G", "B", "A", "B", "|", "g"]
    kinds = dict(reversed([(text, kind) for kind, text in found]))
    assert kinds["[DFA]3/2"] == "chord"
    assert kinds["z/"] == "rest"
    assert kinds['"Em"'] == "symbol"
    assert kinds["~"] == kinds["!trill!"] == "decoration"
    assert kinds["(3"] == "tuplet"
    assert kinds["[K:D]"] == "field"
    assert kinds["^f'2"] == kinds["_e,"] == kinds["d//4"] == "note"
    assert kinds["|1"] == kinds[":|"] == kinds["|:"] == kinds["|2"] == "bar"
    assert kinds["% end"] == "comment"
    assert not [text for kind, text in found if kind == "text"]


@given(st.text() | st.text(alphabet="ABCabc^_=,'0123/|:[](){}<>-~\"!%zxK \n"))
def test_signs_lose_nothing(tune: str) -> None:
    assert "".join(sign.text for sign in signs(tune)) == tune


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C", [Note(60, Fraction(1))]),
        ("c'3/2", [Note(84, Fraction(3, 2))]),
        ("^A,2", [Note(58, Fraction(2))]),
        ("__b//", [Note(81, Fraction(1, 4))]),
        ("=F/4", [Note(65, Fraction(1, 4))]),
        ("[CE2G]2", [Note(60, Fraction(2)), Note(64, Fraction(4)), Note(67, Fraction(2))]),
        ("G1/0", [Note(67, Fraction(1))]),
        ("z2", []),
    ],
)
def test_notes_have_their_pitch_and_length(text: str, expected: list[Note]) -> None:
    [sign] = signs(text)
    assert notes(sign) == expected


@given(st.text() | st.text(alphabet="ABCabc^_=,'0123/|:[](){}<>-~\"!%zxK \n"))
def test_codes_give_any_tune_back(tune: str) -> None:
    codes = train_music_codes([TUNE], MusicCodesConfig(n_codes=300))
    assert codes.decode(codes.encode(tune)) == tune


def test_frequent_signs_have_codes_and_make_tunes_shorter(tmp_path: Path) -> None:
    codes = train_music_codes([TUNE], MusicCodesConfig(n_codes=512))
    assert codes.size < 512
    assert len(codes.encode(TUNE)) < 0.6 * len(TUNE)
    assert codes == train_music_codes([TUNE], MusicCodesConfig(n_codes=512))
    codes.save(tmp_path)
    assert MusicCodes.open(tmp_path) == codes
    with pytest.raises(TokenizerError, match="music code 9999"):
        codes.decode(np.array([9999]))
    (tmp_path / "music_codes.json").write_text("[]")
    with pytest.raises(IntegrityError, match="no list of signs"):
        MusicCodes.open(tmp_path)


@pytest.mark.parametrize("text", ["[" * 200_000, "^" * 200_000, '"' * 200_001, "[A" * 100_000, "C" + "/" * 200_000])
def test_cutting_takes_linear_time_on_hostile_text(text: str) -> None:
    began = time.process_time()
    assert "".join(sign.text for sign in signs(text)) == text
    assert time.process_time() - began < 5

"""Boilerplate lines go, texts stay; counting does not depend on shards."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from model.corpus.boilerplate import BoilerplateConfig, BoilerplateRemover, RepeatedLines

pytestmark = pytest.mark.feature("CORP-03")
LINES = st.sampled_from(
    [
        "Home",
        "Read more »",
        "  Next  ",
        "A line of the text.",
        "",
        " ",
        "© 2024 Example Inc.",
        "Home is where we live.",
        "Banner 12",
    ]
)
TEXTS = st.one_of(st.lists(LINES, max_size=12).map("\n".join), st.text(st.characters()))


@pytest.mark.parametrize(
    "line",
    [
        "Home | About us | Contact",
        "Skip to main content",
        "READ MORE...",
        "Share this on Facebook, Twitter or LinkedIn",
        "This website uses cookies to make it better.",
        "Privacy Policy | Terms of Use",
        "Copyright © 2024 Example Inc. All rights reserved.",
        "Please enable JavaScript to view this page.",
        "Subscribe to our weekly newsletter!",
        "Page 3 of 12",
    ],
)
def test_page_furniture_goes(line):
    text = f"The first sentence of the story.\n{line}\nThe second sentence of it."
    assert BoilerplateRemover(BoilerplateConfig()).remove(text) == text.replace(f"{line}\n", "")


@pytest.mark.parametrize(
    "line",
    [
        "Home is where the heart is.",
        "We baked cookies for the children and read more stories.",
        "The next day she went back to the top of the hill.",
        "Contact with the enemy was made at dawn.",
        "He printed the page and shared it with us on Tuesday.",
    ],
)
def test_sentences_stay(line):
    assert BoilerplateRemover(BoilerplateConfig()).remove(line) == line


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_removing_twice_changes_nothing_more(text):
    repeated = RepeatedLines()
    repeated.add(["Banner 7"] * 20)
    remover = BoilerplateRemover(BoilerplateConfig(repeated_share=0.5), repeated)
    once = remover.remove(text)
    assert remover.remove(once) == once
    assert set(once.split("\n")) <= {*text.split("\n"), ""}


def test_what_repeats_on_a_source_goes_there_alone():
    texts = [
        f"Story {chr(97 + i)} begins here.\n  Site banner, page {i * 7}\nIt ends with {chr(97 + i)}." for i in range(20)
    ]
    repeated = RepeatedLines()
    repeated.add(texts, "news")
    remover = BoilerplateRemover(BoilerplateConfig(repeated_share=0.5), repeated)
    assert remover.remove(texts[3], "news") == "Story d begins here.\nIt ends with d."
    assert remover.remove(texts[3], "books") == texts[3]
    assert BoilerplateRemover(BoilerplateConfig(), repeated).remove(texts[3], "news") == texts[3]


@settings(max_examples=40, deadline=None)
@given(st.lists(TEXTS, max_size=6), st.integers(0, 6))
def test_counts_do_not_depend_on_shards(texts, cut):
    whole, left, right = RepeatedLines(), RepeatedLines(), RepeatedLines()
    whole.add(texts, "s")
    right.add(texts[cut:], "s")
    left.add(texts[:cut], "s")
    right.merge(left)
    assert np.array_equal(whole.counts, right.counts)
    assert whole.documents == right.documents


def test_counts_are_saved_and_read_back(tmp_path: Path):
    repeated = RepeatedLines()
    repeated.add(["a\nb", "a"], "one")
    repeated.save(tmp_path / "lines.npz")
    again = RepeatedLines.load(tmp_path / "lines.npz")
    assert np.array_equal(again.counts, repeated.counts)
    assert again.documents == {"one": 2}


def test_ones_own_patterns_are_checked_at_once():
    remover = BoilerplateRemover(BoilerplateConfig(patterns="none", own_patterns=("reprinted .*",)))
    assert remover.remove("Home\nReprinted with permission\nText.") == "Home\nText."
    with pytest.raises(ValidationError, match="RE2"):
        BoilerplateConfig(own_patterns=("(",))

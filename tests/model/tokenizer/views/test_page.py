"""The page: whole, safe against hostile tokens, fetching nothing, saying what is there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opened_page import OpenedPage
from small_tokenizers import small_tokenizer
from toy_texts import toy_text

from model.tokenizer.editing.add import add_special
from model.tokenizer.statistics import measure
from model.tokenizer.views.explorer import vocabulary_rows
from model.tokenizer.views.fertility import fertility_by_group
from model.tokenizer.views.merge_tree import merge_trees
from model.tokenizer.views.page import PageFacts, render_page, script_json
from model.tokenizer.views.spans import token_spans

pytestmark = pytest.mark.feature("TOK-09")
NASTY = "</script><script>alert(1)</script><!--<img/src=x/onerror=alert(1)>{{7*7}}\u2028"
BARE = NASTY.replace("\u2028", "")


def page(text: str = NASTY) -> str:
    tokenizer = add_special(small_tokenizer(), [BARE]).new
    uses = measure(tokenizer, [toy_text(1)]).uses
    return render_page(
        PageFacts(
            title=NASTY,
            digest=tokenizer.digest,
            vocabulary=vocabulary_rows(tokenizer, uses),
            spans=token_spans(tokenizer, text),
            n_text_bytes=len(text.encode()),
            trees=[(word, merge_trees(tokenizer, word)) for word in (" neighbour", NASTY[:20], "日本")],
            fertility=fertility_by_group(tokenizer, [(NASTY, text or "x")]),
        )
    )


def vocabulary_of(html: str) -> list[list[object]]:
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', html, re.DOTALL)
    assert found
    rows: list[list[object]] = json.loads(found[1])
    return rows


def test_hostile_tokens_titles_and_groups_add_no_element() -> None:
    opened = OpenedPage(page())
    assert opened.tags.count("script") == 2
    assert "img" not in opened.tags
    assert opened.fetched() == []
    assert len(opened.ids) == len(set(opened.ids))
    assert "49" not in opened.text.split()


def test_links_inside_the_page_lead_somewhere() -> None:
    opened = OpenedPage(page())
    inside = {r[1:] for r in opened.references if r.startswith("#")}
    assert inside == {"spans", "merges", "fertility", "vocabulary"}
    assert inside <= set(opened.ids)


def test_vocabulary_is_on_the_page_with_bytes_rank_and_uses() -> None:
    rows = vocabulary_of(page())
    assert len(rows) == 601
    assert rows[600][:4] == [600, BARE, "", "c"]
    tokenizer = small_tokenizer()
    for token_id, _, data, kind, rank, uses in rows[4:600]:
        assert bytes.fromhex(str(data)) == tokenizer.token_bytes(int(str(token_id)))
        assert (rank is None) == (kind == "b")
        assert isinstance(uses, int)


def test_page_without_texts_has_the_vocabulary_alone() -> None:
    tokenizer = small_tokenizer()
    opened = OpenedPage(render_page(PageFacts("t", tokenizer.digest, vocabulary_rows(tokenizer))))
    assert "vocabulary" in opened.ids
    assert not {"spans", "merges", "fertility"} & set(opened.ids)


@pytest.mark.slow
def test_table_works_in_a_real_browser(tmp_path: Path) -> None:
    """The script runs: it finds by the words in the box, sorts by uses, and nothing hostile is executed."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here")
    asked = (
        "<script>input.value='the';refresh();document.querySelectorAll('th button')[5].click();"
        "document.dispatchEvent(new KeyboardEvent('keydown',{key:'/'}));</script></body>"
    )
    (tmp_path / "page.html").write_text(page().replace("</body>", asked), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    flags += [
        "--disable-background-networking",
        "--disable-component-update",
        f"--user-data-dir={tmp_path / 'chromium'}",
    ]
    done = subprocess.run(
        [browser, *flags, "--virtual-time-budget=5000", "--dump-dom", (tmp_path / "page.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    rows = re.findall(r"<tr tabindex=.*?</tr>", done.stdout)
    uses = [int(re.findall(r"<td class=\"n\">([\d,]*)</td>", row)[-1].replace(",", "")) for row in rows]
    assert rows
    assert all("the" in row.lower() for row in rows)
    assert uses == sorted(uses, reverse=True)
    assert f">{len(rows)} tokens<" in done.stdout


@given(st.text() | st.text(alphabet="</script>&'\"!-[]"))
def test_any_text_leaves_the_page_whole(text: str) -> None:
    opened = OpenedPage(page(text))
    assert opened.tags.count("script") == 2


@given(st.recursive(st.text() | st.integers() | st.none(), st.lists))
def test_json_in_a_script_reads_back_and_cannot_end_it(value: object) -> None:
    text = script_json(value)
    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)

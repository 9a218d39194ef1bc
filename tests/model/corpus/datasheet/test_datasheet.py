"""The datasheet: all of Gebru's questions, facts as measured, people's answers, nothing that escapes its page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from pydantic import ValidationError

from model.corpus.datasheet.config import DatasheetConfig
from model.corpus.datasheet.facts import DatasetFacts, facts_of_documents
from model.corpus.datasheet.measured import ANSWERS
from model.corpus.datasheet.questions import NAMES, SECTIONS
from model.corpus.datasheet.render import datasheet_of_folder, make_datasheet
from model.corpus.documents import Document

pytestmark = pytest.mark.feature("CORP-17")
# Questions below 3.1 to 3.7 of arXiv:1803.09010 v8, "Any other comments?" of each section included.
PUBLISHED = {
    "motivation": 4, "composition": 16, "collection": 12, "preprocessing": 4, "uses": 6, "distribution": 7,
    "maintenance": 8,
}  # fmt: skip
NASTY = "</table><script>alert('x')</script> | *bold* [link](http://a.b) `code`"
DOCUMENTS = [
    Document(f"a/{i}", "hello world " * i, "plays" if i % 3 else NASTY, "en" if i % 2 else "fr", f"{1990 + i}")
    for i in range(1, 10)
]


class Page(HTMLParser):
    """Tags, text and what a page would fetch."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.fetched, self.open, self.rows = [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in {"meta", "link"}:
            self.open.append(tag)
        self.fetched += [v for k, v in attrs if k in {"src", "href"} and tag in {"script", "img", "link", "iframe"}]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "td":
            self.rows.append(data)


def test_all_seven_sections_have_all_their_questions():
    assert {section: len(names) for section, names in NAMES.items()} == PUBLISHED
    assert all(len(set(names)) == len(names) for names in NAMES.values())
    assert {key.split(".")[0] for key in ANSWERS} <= set(NAMES)
    assert all(key.split(".")[1] in NAMES[key.split(".")[0]] for key in ANSWERS)


def test_every_question_is_on_both_pages_once_answered_or_marked_as_open():
    markdown, html = datasheet_of_folder({})
    for number, section in enumerate(SECTIONS, start=1):
        for index, question in enumerate(section.questions, start=1):
            if question.optional:
                continue
            assert markdown.count(f"### {number}.{index} {question.text}\n") == 1
            assert html.count(f'<span class="number">{number}.{index}</span>{question.text}</h3>') == 1
    open_ = make_datasheet(DatasetFacts(), {}).open
    assert "motivation.purpose" in open_
    assert "composition.splits" in open_, "nothing was measured, so nothing is claimed"
    for key in open_:
        assert f"`datasheet.answers.{key}`" in markdown
        assert f"<code>datasheet.answers.{key}</code>" in html


def test_measured_facts_stand_as_measured():
    facts = facts_of_documents(DOCUMENTS)
    assert facts["documents"] == 9
    assert facts["characters"] == sum(len(d.text) for d in DOCUMENTS) == sum(r["characters"] for r in facts["sources"])
    assert (facts["created_oldest"], facts["created_newest"]) == ("1991-01-01", "1999-01-01")
    markdown, html = datasheet_of_folder(facts)
    assert "9 documents, 540 characters and 540 bytes of UTF-8." in markdown
    assert "| en | 5 | 300 | 300 |" in markdown
    assert "The documents date from 1991-01-01 to 1999-01-01" in html
    assert "composition.count" not in make_datasheet(DatasetFacts.from_mapping(facts), {}).open


def test_people_answer_beside_and_instead_of_measurements():
    answers = {"motivation": {"purpose": "To learn\nto write"}, "composition": {"count": "Few."}}
    sheet = make_datasheet(DatasetFacts.from_mapping(facts_of_documents(DOCUMENTS)), answers)
    states = {answer.key: answer.state for _, rows in sheet.sections for answer in rows}
    assert states["motivation.purpose"] == "given"
    assert states["composition.count"] == "both"
    assert states["motivation.funding"] == "open"
    assert "motivation.purpose" not in sheet.open
    markdown, html = datasheet_of_folder({}, answers)
    assert "> To learn\n> to write" in markdown
    assert "<blockquote>To learn\nto write</blockquote>" in html


def test_names_from_the_data_are_text_on_both_pages():
    markdown, html = datasheet_of_folder(
        {**facts_of_documents(DOCUMENTS), "title": NASTY, "dropped": [{"reason": NASTY, "documents": 1}]}
    )
    page = Page(html)
    assert page.open == []
    assert "script" not in page.tags
    assert any(NASTY in cell for cell in page.rows)
    rows = [line for line in markdown.splitlines() if line.startswith("| ") and "alert" in line]
    assert rows
    assert all("\\<script>" in row and "\\|" in row for row in rows)
    assert all(len(re.findall(r"(?<!\\)\|", row)) in {3, 7} for row in rows), "no cell breaks its row"


def test_the_page_fetches_nothing_and_reads_in_light_and_dark():
    _, html = datasheet_of_folder(facts_of_documents(DOCUMENTS))
    assert Page(html).fetched == ["data:,"]
    assert "prefers-color-scheme: dark" in html
    assert "@import" not in html
    assert "url(" not in html


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"motivations": {"purpose": "x"}}, "no section 'motivations'; did you mean motivation"),
        ({"motivation": {"purpos": "x"}}, "section motivation: no question 'purpos'; did you mean purpose"),
        ({"uses": {"zzz": "x"}}, "expected one of already, repository"),
    ],
)
def test_an_answer_to_no_question_is_refused_with_the_nearest(answers, message):
    with pytest.raises(ValidationError, match=message):
        DatasheetConfig(answers=answers)


def test_a_fact_of_an_unknown_name_is_a_mistake_of_the_caller():
    with pytest.raises(TypeError, match="unknown facts documnts"):
        datasheet_of_folder({"documnts": 1})

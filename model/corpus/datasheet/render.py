"""The datasheet as Markdown and as one HTML page that fetches nothing, light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.corpus.datasheet.config import Answers
from model.corpus.datasheet.facts import DatasetFacts, Row
from model.corpus.datasheet.measured import Block, Table, measured_answers
from model.corpus.datasheet.questions import SECTIONS, Question

MOST_ROWS = 200
MAX_CELL = 300
STATES = {
    "measured": "measured by the pipeline",
    "given": "answered by a person",
    "both": "measured, and answered by a person",
    "open": "for a person to answer",
}


@dataclass(frozen=True)
class Answer:
    """A question with what there is to say.

    Attributes:
        number: As `2.8`.
        key: As `composition.splits`.
        question: The question.
        state: A key of `STATES`.
        given: What a person said.
        blocks: What was measured.
    """

    number: str
    key: str
    question: Question
    state: str
    given: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Datasheet:
    """A datasheet, ready to print.

    Attributes:
        title: Of the page.
        sections: Titles with their answers.
        open: Keys of the questions that wait for a person.
    """

    title: str
    sections: Sequence[tuple[str, Sequence[Answer]]]
    open: Sequence[str]

    @property
    def counts(self) -> dict[str, int]:
        """Questions by their state."""
        states = [answer.state for _, answers in self.sections for answer in answers]
        return {state: states.count(state) for state in STATES}


def datasheet_of_folder(facts: Mapping[str, Any], answers: Answers | None = None) -> tuple[str, str]:
    """The datasheet of any folder of texts as Markdown and HTML.

    Args:
        facts: By the names of `DatasetFacts`, e.g. from `facts_of_documents`; none is required.
        answers: What people say, by section and question; see `DatasheetConfig`.

    Raises:
        TypeError: A fact has a name that does not exist.
    """
    sheet = make_datasheet(DatasetFacts.from_mapping(facts), answers or {})
    return to_markdown(sheet), to_html(sheet)


def make_datasheet(facts: DatasetFacts, answers: Answers) -> Datasheet:
    """Put facts and people's answers to their questions."""
    measured = measured_answers(facts)
    sections, waiting = [], []
    for number, section in enumerate(SECTIONS, start=1):
        rows = []
        for index, question in enumerate(section.questions, start=1):
            key = f"{section.name}.{question.name}"
            given, blocks = answers.get(section.name, {}).get(question.name, "").strip(), measured.get(key, [])
            state = ("both" if blocks else "given") if given else ("measured" if blocks else "open")
            if state == "open":
                if question.optional:
                    continue
                waiting.append(key)
            rows.append(Answer(f"{number}.{index}", key, question, state, given, blocks))
        sections.append((section.title, rows))
    return Datasheet(facts.title or "this corpus", sections, waiting)


def to_markdown(sheet: Datasheet) -> str:
    """The datasheet as Markdown (GitHub's tables)."""
    return str(_environment(autoescape=False).get_template("datasheet.md.jinja").render(sheet=sheet, states=STATES))


def to_html(sheet: Datasheet) -> str:
    """The datasheet as one HTML page; every text in it is escaped."""
    return str(_environment(autoescape=True).get_template("datasheet.html.jinja").render(sheet=sheet, states=STATES))


def _environment(*, autoescape: bool) -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("model.corpus.datasheet", "."),
        autoescape=autoescape,  # noqa: S701  (Markdown is no HTML; `md` below escapes what it must)
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"columns": columns, "cells": cells, "heading": heading, "md": markdown_text, "prose": prose}
    environment.tests |= {"table": lambda block: isinstance(block, Table)}
    environment.globals["MOST_ROWS"] = MOST_ROWS
    return environment


def columns(rows: Sequence[Row]) -> list[str]:
    """The names of the columns, in order of appearance."""
    return list(dict.fromkeys(name for row in rows for name in row))


def heading(name: str) -> str:
    """A column's name in words."""
    return name.replace("_", " ")


def cells(row: Row, names: Sequence[str]) -> list[tuple[str, bool]]:
    """The cells of a row as text, and whether each is a number."""
    return [(_cell(row.get(name)), _is_number(row.get(name))) for name in names]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    text = " ".join(str(value).split())
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def prose(text: str) -> Any:
    """A paragraph of ours as HTML: escaped, with `names` set as code."""
    import markupsafe

    parts = text.split("`")
    tags = ("<code>{}</code>", "{}")
    return markupsafe.Markup("").join(
        markupsafe.Markup(tags[index % 2 == 0 or index == len(parts) - 1]).format(part)  # noqa: S704  (it escapes)
        for index, part in enumerate(parts)
    )


def markdown_text(text: str) -> str:
    """A text that may stand in a Markdown paragraph or table cell: no markup of the data's own comes through."""
    for character in ("\\", "|", "<", "*", "_", "[", "#"):
        text = text.replace(character, f"\\{character}")
    return text

"""The `datasheet` section of `params.yaml`: what only a person can say about the texts."""

from __future__ import annotations

import difflib

from pydantic import Field, field_validator

from model.configuration import StrictConfig
from model.corpus.datasheet.questions import NAMES

Answers = dict[str, dict[str, str]]


class DatasheetConfig(StrictConfig):
    """A title, and answers by section and question; whatever is measured is filled in without them."""

    title: str | None = Field(None, max_length=200, description="name of the dataset; empty means its sources' names")
    answers: Answers = Field(
        default_factory=dict,
        description="by section and question: {motivation: {purpose: ..., creators: ...}, ...}; "
        "the datasheet names the questions that wait for an answer",
    )

    @field_validator("answers")
    @classmethod
    def _known_questions(cls, answers: Answers) -> Answers:
        for section, texts in answers.items():
            if section not in NAMES:
                raise ValueError(f"no section {section!r}{_nearest(section, tuple(NAMES))}")
            for question in texts:
                if question not in NAMES[section]:
                    raise ValueError(f"section {section}: no question {question!r}{_nearest(question, NAMES[section])}")
        return answers


def _nearest(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f", expected one of {', '.join(known)}"

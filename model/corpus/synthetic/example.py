"""One question with its answer, and how a task makes them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Example:
    """A question that a program can judge.

    Attributes:
        task: Name of the task.
        prompt: The question.
        answer: One right answer.
        verifier: What judges an answer: `kind`, and what that kind needs (see `verify.py`); plain JSON.
        difficulty: From 1 to 10.
    """

    task: str
    prompt: str
    answer: str
    verifier: dict[str, Any] = field(compare=False)
    difficulty: int = 1

    @property
    def text(self) -> str:
        """Prompt and answer as one training text."""
        return f"{self.prompt}\n{self.answer}\n"

    def row(self) -> dict[str, Any]:
        """The example as a JSON object."""
        return {
            "prompt": self.prompt,
            "answer": self.answer,
            "text": self.text,
            "task": self.task,
            "difficulty": self.difficulty,
            "verifier": self.verifier,
        }


class Task(Protocol):
    """Makes one example of a difficulty from a generator's draws."""

    def __call__(self, r: random.Random, difficulty: int) -> Example:
        """One example; equal draws give equal examples."""
        ...

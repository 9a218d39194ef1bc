"""How a stage ended, and who wants to hear of it while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from model.errors import TissLMError

How = Literal["worked", "unchanged", "restored"]


@dataclass(frozen=True)
class Outcome:
    """A stage that is done.

    Attributes:
        stage: Its name.
        how: It `worked`; or nothing it depends on changed; or DVC `restored` its output from an equal earlier run.
        headline: What its report says in a few words.
        seconds: How long it took, waiting for locks included.
    """

    stage: str
    how: How
    headline: str
    seconds: float


class Observer(Protocol):
    """Sees a run as it goes. Methods are called from several threads."""

    def note(self, message: str) -> None:
        """Something about the run as a whole."""

    def started(self, stage: str) -> None:
        """A stage begins to work."""

    def line(self, stage: str, text: str) -> None:
        """A line that the stage printed."""

    def progress(self, stage: str, event: Mapping[str, Any]) -> None:
        """How far the stage is: `done`, `total`, `unit` and figures such as `loss`."""

    def ended(self, outcome: Outcome) -> None:
        """The stage is done."""

    def failed(self, stage: str, error: TissLMError) -> None:
        """The stage failed for good."""


class Silent:
    """An observer that shows nothing."""

    def note(self, message: str) -> None:
        """Nothing."""

    def started(self, stage: str) -> None:
        """Nothing."""

    def line(self, stage: str, text: str) -> None:
        """Nothing."""

    def progress(self, stage: str, event: Mapping[str, Any]) -> None:
        """Nothing."""

    def ended(self, outcome: Outcome) -> None:
        """Nothing."""

    def failed(self, stage: str, error: TissLMError) -> None:
        """Nothing."""

"""What earlier attempts at a stage left in their journals, so that a resumed stage continues the right one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.journal_file import JournalFile, read_events


class History:
    """One earlier attempt, read back.

    Attributes:
        run_id: The attempt that began the run; a chain of resumed attempts shares it.
        metrics: Every (name, step) in the journal.
        inputs: The `input.*` tags: digests of what the attempt read.
        finished: Whether the attempt came to its end.
    """

    def __init__(self, file: JournalFile) -> None:
        self.run_id = file.attempt
        self.metrics: set[tuple[str, int]] = set()
        self.inputs: dict[str, str] = {}
        self.finished = False
        self.resumed = False
        for _, event in read_events(file.path):
            kind = event["event"]
            if kind == "metrics":
                self.metrics.update((name, event["step"]) for name in event["values"])
            elif kind == "tags":
                self.inputs.update(input_tags(event["values"]))
            elif kind == "resumed":
                self.run_id, self.resumed = event["run"], True
            elif kind == "close":
                self.finished = event["status"] == "FINISHED"

    @property
    def trained(self) -> bool:
        """Whether it got as far as real work: a figure of its own, not of the machine's load."""
        return self.resumed or any(not name.startswith("system/") for name, _ in self.metrics)


def input_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that say which inputs an attempt read."""
    return {name: value for name, value in tags.items() if name.startswith("input.")}


def run_to_continue(earlier: Sequence[JournalFile], tags: Mapping[str, str]) -> tuple[str, set[tuple[str, int]]] | None:
    """The run that a stage with these input tags continues, with every (name, step) that it has already journalled.

    Args:
        earlier: Attempts with the same params, newest first.
        tags: The tags of the attempt that resumes.

    Returns:
        None where the newest attempt that did any work on these inputs came to its end, or there is none.
    """
    histories = [History(file) for file in earlier]
    last = next((h for h in histories if h.trained and h.inputs == input_tags(tags)), None)
    if last is None or last.finished:
        return None
    return last.run_id, set().union(*(h.metrics for h in histories if h.run_id == last.run_id))

"""The journal of a stage: every metric, tag, dataset and report file, written locally first.

A stage never talks to a tracking server. It appends lines to its journal (one `write` each, see
`tasks/journal_file.py`), and one courier process per workspace (`tasks/courier.py`) feeds them to MLflow in batches,
exactly once, while the server answers and later when it did not.

A stage that goes on from a checkpoint calls `journal.resumed(step)`: from then on its journal continues that of the
attempt that was cut off. Both appear as one MLflow run, and a metric that was journalled before the cut is not
journalled again.
"""

from __future__ import annotations

import logging
import math
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from model.files import sha256_text, storage_errors, write_json
from tasks.journal_file import (
    PIPELINE_CLOSED,
    Event,
    EventWriter,
    JournalFile,
    journal_files,
    journal_folder,
)
from tasks.journal_history import run_to_continue
from tasks.process_identity import process_identity
from tasks.progress import ProgressDisplay
from tasks.provenance import provenance_tags
from tasks.system_metrics import SystemSampler

if TYPE_CHECKING:
    from tasks.params import Params
    from tasks.settings import Settings

LARGEST_ARTIFACT_BYTES = 20_000_000
log = logging.getLogger("tisslm")


class Journal:
    """What a stage function writes to while it works. Nothing here waits for a server.

    Attributes:
        run_id: Names the run in MLflow (tag `tisslm.journal`), the same before and after a cut.
        file: Where it is written, None for one that keeps nothing.
    """

    def __init__(
        self, stage: str, file: JournalFile | None, display: ProgressDisplay, earlier: list[JournalFile]
    ) -> None:
        """Use `open_journal`, or `NullJournal` in tests; `earlier` are attempts that may be continued, newest first."""
        self.stage = stage
        self.run_id = file.attempt if file else "none"
        self.file = file
        self._display = display
        self._earlier = earlier
        self._known: set[tuple[str, int]] = set()
        self._writer = EventWriter(file.path) if file else None
        self._sampler: SystemSampler | None = None
        self._tags: dict[str, str] = {}
        self._measured = False

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Append figures: of a training step, or without a step the stage's final figures.

        A value that is not finite is kept as a tag, since a database cannot hold it as a number.
        """
        at = 0 if step is None else int(step)
        self._measured |= not all(name.startswith("system/") for name in values)
        new = {k: float(v) for k, v in values.items() if (k, at) not in self._known}
        finite = {k: v for k, v in new.items() if math.isfinite(v)}
        if finite:
            self._write("metrics", step=at, values=finite, final=step is None)
        odd = {f"not_finite.{k}": f"{v} at step {at}" for k, v in new.items() if not math.isfinite(v)}
        if odd:
            self._write("tags", values=odd)

    def tags(self, values: Mapping[str, str]) -> None:
        """Append facts about the run that are not figures."""
        self._tags.update({k: str(v) for k, v in values.items()})
        self._write("tags", values={k: str(v) for k, v in values.items()})

    def dataset(self, name: str, path: Path, digest: str, context: str, profile: Mapping[str, float]) -> None:
        """Append that a dataset was used: `context` says for what (training, validation, test)."""
        self._write("dataset", name=name, path=path.as_posix(), digest=digest, context=context, profile={**profile})

    def artifact(self, path: Path, folder: str = "") -> None:
        """Copy a small file beside the journal and append that the run has it.

        A file that is missing or larger than 20 MB is left out, and the run says so in a tag.
        """
        if self.file is None:
            return
        name = f"{folder}/{path.name}" if folder else path.name
        if not path.is_file() or path.stat().st_size > LARGEST_ARTIFACT_BYTES:
            size = (
                f"{path.stat().st_size:,} bytes, limit {LARGEST_ARTIFACT_BYTES:,}" if path.is_file() else "no such file"
            )
            self._write("tags", values={f"left_out.{name}": size})
            return
        target = self.file.files / name
        with storage_errors(target, path.stat().st_size):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        self._write("artifact", name=name, folder=folder)

    def resumed(self, step: int) -> None:
        """Say that the stage goes on from a checkpoint at `step`; call it before the first metric.

        Where the last attempt with the same params and inputs was cut off, this journal continues its run.
        """
        assert not self._measured, "resumed() comes before the first metric"  # noqa: S101  (an invariant of the caller)
        found = run_to_continue(self._earlier, self._tags)
        if found is not None:
            self.run_id, self._known = found
            if self._sampler is not None:
                samples = [at for name, at in self._known if name.startswith("system/")]
                self._sampler.next_step = max(samples, default=-1) + 1
        self._write("resumed", step=int(step), run=self.run_id)

    def progress(self, done: float, total: float, unit: str = "", **figures: float) -> None:
        """Show how far the work is; display only, nothing is kept."""
        self._display.update(done, total, unit, figures)

    def say(self, message: str) -> None:
        """One line for people."""
        if not self._display.say(message):
            log.info("%s: %s", self.stage, message)

    def _write(self, event: str, **content: Any) -> None:
        if self._writer is not None:
            self._writer.write({"event": event, "time_ms": int(time.time() * 1000), **content})

    def _start(self, content: Event) -> None:
        self._write("open", **content)
        self._sampler = SystemSampler(self.metrics)

    def _finish(self, status: str, error: str = "") -> None:
        self._display.close()
        if self._sampler is not None:
            self._sampler.close()
        self._write("close", status=status, error=error)
        if self._writer is not None:
            self._writer.close()


class NullJournal(Journal):
    """A journal that keeps nothing on disk; `events` holds what was written, for a look in a REPL or a test."""

    def __init__(self) -> None:
        super().__init__("", None, ProgressDisplay("", "none"), [])
        self.events: list[Event] = []

    def _write(self, event: str, **content: Any) -> None:
        self.events.append({"event": event, **content})


@contextmanager
def open_journal(root: Path, stage: str, params: Params, settings: Settings) -> Iterator[Journal]:
    """Open the journal of one attempt at a stage, start the courier if none runs, and close it with how it ended.

    Raises:
        StorageError: The journal cannot be written.
    """
    from tasks.courier import ensure_courier

    pipeline = pipeline_identity(settings)
    file = JournalFile(journal_folder(root) / pipeline["id"] / f"{stage}-{uuid.uuid4().hex[:12]}.jsonl")
    section = {k: v for k, v in params.flat().items() if k.startswith(f"{stage}.")}
    identity = sha256_text(repr(sorted(section.items())))
    attempts = [(f.first(), f) for f in journal_files(root) if f.stage == stage]
    order = 1 + max((int(first.get("order", 0)) for first, _ in attempts), default=0)
    same = [(int(first["order"]), f) for first, f in attempts if first.get("identity") == identity]
    earlier = [f for _, f in sorted(same, key=lambda pair: pair[0], reverse=True)]
    journal = Journal(stage, file, ProgressDisplay(stage, settings.progress), earlier)
    journal._start(
        {
            **process_identity(),
            "stage": stage,
            "order": order,
            "identity": identity,
            "may_resume": bool(earlier),
            "pipeline": pipeline,
            "params": section,
            "all_params": params.flat(),
            "tags": provenance_tags(root, params, settings),
        }
    )
    ensure_courier(root, settings)
    try:
        yield journal
    except (KeyboardInterrupt, SystemExit):
        journal._finish("KILLED", "interrupted")
        raise
    except BaseException as error:
        journal._finish("FAILED", f"{type(error).__name__}: {error}")
        raise
    journal._finish("FINISHED")


def pipeline_identity(settings: Settings) -> Event:
    """The pipeline run that this process works for: its id, its name for people, and the process that owns it.

    A flow sets the id; the stages of one plain `dvc repro` share the id of that dvc process; else each stage is alone.
    """
    process = psutil.Process()
    parents = process.parents()
    dvc = next((i for i, parent in enumerate(parents) if _is_dvc(parent)), None)
    if settings.pipeline_run:
        above = parents[dvc + 1 :] if dvc is not None else parents
        owner = process_identity(above[0].pid if above else None)
        return {"id": settings.pipeline_run, "name": settings.pipeline_run, "owner": owner}
    of = parents[dvc] if dvc is not None else process
    owner = process_identity(of.pid)
    started = datetime.fromtimestamp(of.create_time())
    kind = "dvc" if dvc is not None else "stage"
    return {  # the id must not move with the clock: the stages of one process share it
        "id": f"{kind}-{owner['pid']}-{sha256_text(repr(sorted(owner.items())))[:8]}",
        "name": f"{kind} {started:%F %T}",
        "owner": owner if dvc is not None else None,
    }


def close_pipeline(root: Path, pipeline_id: str, status: str) -> None:
    """Say how a flow's pipeline run ended: FINISHED, FAILED or KILLED.

    A plain `dvc repro` need not say so: its run ends with its process, and with the status of its stages.
    """
    folder = journal_folder(root) / pipeline_id
    if folder.is_dir():  # else no stage worked, and there is no run to close
        write_json(folder / PIPELINE_CLOSED, {"status": status, "time_ms": int(time.time() * 1000)})


def _is_dvc(process: psutil.Process) -> bool:
    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    names = [Path(word).name for word in words[:3]]
    return "dvc" in names

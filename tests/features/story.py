"""What happens in a scenario: a workspace, its state before, and the commands that ran in it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from workspaces import Workspace


@dataclass
class Story:
    """What has happened in a scenario so far: the workspace, its state before, and every command's ending."""

    workspace: Workspace
    before: dict[str, bytes] = field(default_factory=dict)
    data_before: dict[str, int] = field(default_factory=dict)
    runs: list[subprocess.CompletedProcess[str]] = field(default_factory=list)

    def remember(self) -> None:
        """Note what the files are before a command runs."""
        names = [name for name in ("dvc.lock", "params.yaml") if (self.workspace.root / name).exists()]
        self.before = {name: (self.workspace.root / name).read_bytes() for name in names}
        self.data_before = written_at(self.workspace.root / "data")

    @property
    def last(self) -> subprocess.CompletedProcess[str]:
        """The command that ran last."""
        return self.runs[-1]

    @property
    def output(self) -> str:
        """All that it said."""
        return self.last.stdout + self.last.stderr


def written_at(folder: Path) -> dict[str, int]:
    """When each file below a folder was written, in nanoseconds."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}

"""What DVC thinks is up to date, asked in this process."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

ASK = "from pathlib import Path; from flows.freshness import changed_stages; print(sorted(changed_stages(Path('.'))))"


def test_asking_what_changed_on_a_terminal_prints_nothing_but_the_answer(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "texts").mkdir()
    for i in range(5):
        (tmp_path / "texts" / f"{i}.txt").write_text(str(i))
    (tmp_path / "dvc.yaml").write_text("stages:\n  read:\n    cmd: cat texts/*\n    deps: [texts]\n")
    screen, terminal = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.Popen(
        [sys.executable, "-c", ASK], cwd=tmp_path, env=environment, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    shown = b""
    try:
        while piece := os.read(screen, 65536):
            shown += piece
    except OSError:  # Linux says so where the other end of a terminal is closed
        pass
    os.close(screen)
    assert process.wait() == 0
    words = shown.decode().replace("\x1b[0m", "").split()  # colours are reset at the end
    assert words == ["['read']"]

"""Starts the Prefect server of a run again, on the same port and database, when it ends in mid flow.

Prefect's client tries a call again for about a minute, so a run outlives its server.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from flows.servers import Server, end_server, start_prefect
from model.errors import TissLMError

MOST_STARTS = 3
LOOK_EVERY_S = 0.5


class ServerKeeper:
    """Watches one server from a thread of its own, from `start` to `end`."""

    def __init__(self, root: Path, server: Server, say: Callable[[str], None]) -> None:
        self._root, self._server, self._say = root, server, say
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def end(self) -> None:
        """End the server, and do not start it again."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        end_server(self._root, self._server)

    def _watch(self) -> None:
        port = int(self._server.address.rpartition(":")[2])
        for _ in range(MOST_STARTS):
            while self._server.process.poll() is None:
                if self._ended.wait(LOOK_EVERY_S):
                    return
            if self._ended.is_set():
                return
            self._say(f"the Prefect server ended (exit code {self._server.process.returncode}); it is started again")
            end_server(self._root, self._server)
            try:
                self._server = start_prefect(self._root, port, ui=False)
            except (TissLMError, OSError) as error:
                self._say(f"it could not be started again: {error}")
                return

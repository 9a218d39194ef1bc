"""One remote file on the local disk, whole and of one version, however often the way to it breaks.

    .tisslm/downloads/<sha256 of address and version>/file.part    what has come so far
                                                       file         all of it

A transfer that breaks off goes on at the byte where it stopped: at once, a few times with growing pauses, and in the
next run. A file that has changed on the other side in the meantime is begun again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from model.corpus.filesystems import entry_facts, open_filesystem, remote_error
from model.corpus.http_transfer import Changed, Interrupted, http_blocks
from model.errors import CorpusError
from model.files import sha256_text, storage_errors, sync_folder

ATTEMPTS = 5
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0
PROGRESS_BYTES = 1 << 20
BLOCK_BYTES = 8 << 20


@dataclass(frozen=True)
class Download:
    """A remote file of one version.

    Attributes:
        url: Its address.
        size: Bytes; 0 where the other side does not say.
        version: Its ETag, or whatever else changes with the content.
    """

    url: str
    size: int
    version: str

    @property
    def key(self) -> str:
        """Names the file's content on the disk."""
        return sha256_text(f"{self.url}\n{self.version}\n{self.size}")[:32]


def local_copy(item: Download, folder: Path) -> Path:
    """Where the whole file lies, once it has been fetched."""
    return folder / item.key / "file"


def fetched(item: Download, folder: Path) -> Path:
    """The local copy of a remote file; downloads what is not there yet.

    Raises:
        CorpusError: The other side stopped answering (the next run goes on there), or refuses.
        StorageError: The disk is full.
    """
    final = local_copy(item, folder)
    if final.exists():
        return final
    part = final.with_name("file.part")
    with storage_errors(part, item.size or None):
        part.parent.mkdir(parents=True, exist_ok=True)
        attempt, pause, reached = 0, FIRST_PAUSE_S, _size(part)
        while True:
            try:
                _transfer(item, part)
                break
            except Changed as error:
                part.unlink(missing_ok=True)
                raise CorpusError(
                    f"{item.url}: changed while it was read ({error}); run the same command again"
                ) from error
            except Interrupted as error:
                attempt = 0 if _size(part) - reached >= PROGRESS_BYTES else attempt + 1
                pause = FIRST_PAUSE_S if attempt == 0 else min(2 * pause, LONGEST_PAUSE_S)
                reached = _size(part)
                if attempt >= ATTEMPTS:
                    of = f" of {item.size:,}" if item.size else ""
                    raise CorpusError(
                        f"{item.url}: stopped answering after {reached:,}{of} bytes ({error}; {ATTEMPTS} attempts); "
                        "run the same command again, it goes on from there"
                    ) from error
                time.sleep(pause)
        os.replace(part, final)
        sync_folder(final.parent)
    return final


def _transfer(item: Download, part: Path) -> None:
    """Add to a part what is missing of it, synced to the disk.

    Raises:
        Interrupted: It broke off; what came is kept.
        Changed: The file is of another version.
    """
    start = _size(part) if item.version else 0  # of which version a part without one is, nobody knows
    if item.size and start > item.size:
        raise Changed(f"{start:,} bytes here, {item.size:,} there")
    if item.size and start == item.size:
        return
    is_http = urlsplit(item.url).scheme.lower() in ("http", "https")
    blocks = http_blocks(item.url, start, item.version) if is_http else _fsspec_blocks(item, start)
    with open(part, "r+b" if start else "wb") as file:
        try:
            for at, block in blocks:
                if at != file.tell():
                    file.seek(at)  # the other side knows no ranges and began again
                    file.truncate()
                file.write(block)
        finally:
            file.flush()
            os.fsync(file.fileno())
    if item.size and _size(part) != item.size:
        raise Interrupted(f"the connection ended after {_size(part):,} bytes")


def _fsspec_blocks(item: Download, start: int) -> Iterator[tuple[int, bytes]]:
    filesystem, path = open_filesystem(item.url)
    try:
        filesystem.invalidate_cache()
        size, version = entry_facts(filesystem.info(path))
        if (size, version) != (item.size, item.version):
            raise Changed(f"version {version} there, {item.version} expected")
        for at in range(start, size, BLOCK_BYTES):
            yield at, filesystem.cat_file(path, start=at, end=min(at + BLOCK_BYTES, size))
    except (Changed, GeneratorExit):
        raise
    except (PermissionError, FileNotFoundError) as error:
        raise remote_error(item.url, error) from error
    except Exception as error:
        if _is_refusal(error):
            raise remote_error(item.url, error) from error
        raise Interrupted(f"{type(error).__name__}: {' '.join(str(error).split())[:120]}") from error


def _is_refusal(error: Any) -> bool:
    return "Credential" in type(error).__name__


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0

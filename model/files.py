"""Files that are either whole and as promised, or refused.

A file is written to a temporary name, flushed, synced, renamed, and its folder synced. A folder is finished by its
`MANIFEST.json`, written last: the sha256 and size of every file. Reading starts with `verify_manifest`.
No checkpoint format detects a flipped bit by itself, and DVC restores a corrupted cache object without a word;
the manifest finds both before the bytes are used.

What is half-written belongs to its writer, who holds it by a lock of the kernel (flock): the lock ends however the
process ends, in whatever container it runs and whoever gets its number next. What nobody holds is litter.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

from model.errors import IntegrityError, StorageError

MANIFEST = "MANIFEST.json"
TEMPORARY_MARK = ".tisslm-tmp-"
REPLACED_MARK = f"{TEMPORARY_MARK}old-"
FULL_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def sha256_file(path: Path) -> str:
    """The hex sha256 of a file's bytes, read in bounded memory."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_text(text: str) -> str:
    """The hex sha256 of a text's UTF-8 bytes."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def canonical_json(value: Any) -> str:
    """One fixed spelling of a JSON value (sorted keys, no spaces), so that equal values have equal digests."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def storage_errors(path: Path, size_bytes: int | None = None) -> Iterator[None]:
    """Turn a full disk or an unwritable place into a `StorageError` that names the path and the bytes."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL_DISK_ERRORS:
            try:
                place = next(parent for parent in path.absolute().parents if parent.exists())
                free = f"{shutil.disk_usage(place).free:,} bytes free"
            except OSError:
                free = "free space unknown"
            wanted = f" of {size_bytes:,} bytes" if size_bytes is not None else ""
            full = "the disk is full: " if error.errno != errno.EFBIG else ""
            raise StorageError(
                f"{full}{path}: write{wanted} failed, {os.strerror(error.errno)} ({free}): "
                "free some space or lift the file-size limit, then run the same command again"
            ) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise StorageError(
                f"{path}: cannot be written, {os.strerror(error.errno)}: check its owner and permissions"
            ) from error
        raise


def as_storage_error(error: OSError) -> StorageError | None:
    """The `StorageError` for an error of the system that nobody named where it arose; None if it is another kind."""
    try:
        with storage_errors(Path(os.fsdecode(error.filename or "."))):
            raise error
    except StorageError as named:
        return named
    except OSError:
        return None


@contextlib.contextmanager
def atomic_writer(path: Path, size_bytes: int | None = None) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path`; on success sync it and rename it over `path`, on failure remove it.

    Args:
        path: The file to make or replace.
        size_bytes: How much will be written, where it is known, for the message.

    Raises:
        StorageError: The disk is full or the place is not writable; the old file is untouched.
    """
    with contextlib.ExitStack() as stack, storage_errors(path, size_bytes):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = stack.enter_context(_held(path, _new_file))
        stack.callback(temporary.unlink, missing_ok=True)
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file atomically."""
    with atomic_writer(path, len(data)) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Write a whole UTF-8 text file atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically: sorted keys, two spaces, a newline at the end."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        IntegrityError: The file is missing, cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise IntegrityError(f"{path}: no such file; run the stage that makes it (tisslm run)") from error
    except OSError as error:
        raise IntegrityError(f"{path}: cannot be read ({error.strerror}), expected a JSON file") from error
    except (ValueError, RecursionError) as error:  # of UTF-8, of JSON, of a number or a nesting too long for Python
        raise IntegrityError(f"{path}: not valid JSON ({error}); restore or rebuild it") from error


def read_json_mapping(path: Path) -> dict[str, Any]:
    """Read a JSON file that must hold keys and values.

    Raises:
        IntegrityError: The file is missing, cannot be read, is not JSON, or holds something else.
    """
    values = read_json(path)
    if not isinstance(values, dict):
        raise IntegrityError(f"{path}: holds a {type(values).__name__}, expected a JSON object; restore or rebuild it")
    return values


def files_below(folder: Path) -> list[str]:
    """Names (posix, relative, sorted) of the regular files below `folder`, the manifest left out."""
    return sorted(
        p.relative_to(folder).as_posix()
        for p in folder.rglob("*")
        if p.is_file() and p.name != MANIFEST and TEMPORARY_MARK not in p.name
    )


def write_manifest(folder: Path, beside: Iterable[str] = ()) -> str:
    """Finish a folder: sync its files, write `MANIFEST.json` last, and return the folder's digest.

    The digest is the sha256 over the sorted (name, sha256) pairs: two folders with equal content have equal
    digests wherever they lie.

    Args:
        folder: The folder.
        beside: Names of files next to the folder that belong to it too; the manifest calls them `../NAME`.
    """
    entries: dict[str, dict[str, Any]] = {}
    for name in [*files_below(folder), *(f"../{name}" for name in beside)]:
        path = folder / name
        with storage_errors(path), open(path, "rb") as file:
            os.fsync(file.fileno())
        entries[name] = {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
    digest = content_digest({name: entry["sha256"] for name, entry in entries.items()})
    write_json(folder / MANIFEST, {"digest": digest, "files": entries})
    return digest


def content_digest(sha256_by_name: dict[str, str]) -> str:
    """The digest of a set of files, from their names and checksums."""
    return sha256_text(canonical_json(sorted(sha256_by_name.items())))


def verify_manifest(folder: Path, *, remedy: str = "run `tisslm verify --repair`, then `tisslm run`") -> str:
    """Check every byte of a finished folder against its manifest and return the folder's digest.

    Raises:
        IntegrityError: The manifest is missing or damaged, a file is missing, extra, of another size, or its
            checksum differs. The message names the file and both values.
    """
    manifest = folder / MANIFEST
    if not folder.is_dir():
        raise IntegrityError(f"{folder}: no such folder; run the stage that makes it (tisslm run)")
    if not manifest.is_file():
        raise IntegrityError(f"{folder}: has no {MANIFEST}, so it was never finished; {remedy}")
    content = read_json(manifest)
    entries = content.get("files") if isinstance(content, dict) else None
    if not isinstance(entries, dict):
        raise IntegrityError(f"{manifest}: has no table of files; {remedy}")
    for name, entry in entries.items():
        if not isinstance(entry, dict) or set(entry) != {"bytes", "sha256"}:
            raise IntegrityError(f"{manifest}: its entry for {name} lacks bytes and sha256; {remedy}")
    present = files_below(folder) + [name for name in entries if name.startswith("../") and (folder / name).is_file()]
    missing = sorted(set(entries) - set(present))
    extra = sorted(set(present) - set(entries))
    if missing or extra:
        names = "missing " + ", ".join(missing[:5]) if missing else "unexpected " + ", ".join(extra[:5])
        raise IntegrityError(f"{folder}: {names} (its {MANIFEST} lists {len(entries)} files); {remedy}")
    for name, entry in entries.items():
        path = folder / name
        size = path.stat().st_size
        if size != entry["bytes"]:
            raise IntegrityError(f"{path}: {size:,} bytes, expected {entry['bytes']:,} by {MANIFEST}; {remedy}")
        found = sha256_file(path)
        if found != entry["sha256"]:
            raise IntegrityError(
                f"{path}: sha256 {found[:12]}..., expected {entry['sha256'][:12]}... by {MANIFEST}: "
                f"its bytes changed; {remedy}"
            )
    digest = content_digest({name: entry["sha256"] for name, entry in entries.items()})
    if digest != content.get("digest"):
        raise IntegrityError(f"{manifest}: its digest does not match its own table of files; {remedy}")
    return digest


def folder_digest(folder: Path) -> str:
    """The digest that a finished folder's manifest states, without hashing its files again."""
    return str(read_json(folder / MANIFEST)["digest"])


@contextlib.contextmanager
def finished_folder(final: Path) -> Iterator[Path]:
    """Yield a temporary sibling folder; on success write its manifest and move it to `final`, on failure remove it.

    A reader sees the old folder or the new one, never half of one. Several may write the same folder at once: each has
    a temporary one of its own, and the last to finish stays.
    """
    with storage_errors(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        remove_litter(final.parent, final.name)
    with _held(final, Path.mkdir) as temporary:
        try:
            with storage_errors(final):
                yield temporary
                write_manifest(temporary)
                replace_folder(temporary, final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def replace_folder(source: Path, final: Path) -> None:
    """Move a finished folder to `final`, the old one out of the way first and removed afterwards."""
    while True:
        with _lock(final):  # the old folder is not litter either while it is out of the way
            old: Path | None = final.with_name(f"{REPLACED_MARK}{final.name}-{uuid.uuid4().hex[:8]}")
            try:
                os.rename(final, str(old))
            except FileNotFoundError:
                old = None
            try:
                os.rename(source, final)
            except OSError as error:
                came_between = error.errno in {errno.ENOTEMPTY, errno.EEXIST}  # another writer of the same folder
                if old is not None and not came_between:
                    os.rename(old, final)
                if not came_between:
                    raise
            else:
                came_between = False
                sync_folder(final.parent)
            if old is not None:
                shutil.rmtree(old, ignore_errors=True)
            if not came_between:
                return


def remove_litter(folder: Path, name: str = "") -> list[Path]:
    """Remove what killed writers left half-written directly inside `folder`; return what was removed.

    A folder that `replace_folder` had set aside, but not yet replaced, goes back to its place. What a writer that
    lives still holds is left alone.

    Args:
        folder: Need not exist.
        name: Only what was to become the file or folder of this name; empty: all.
    """
    if not folder.is_dir():
        return []
    removed = []
    for path in sorted(folder.glob(f"{TEMPORARY_MARK}*")):
        final = folder / path.name.removeprefix(REPLACED_MARK).removeprefix(TEMPORARY_MARK).rpartition("-")[0]
        if name and final.name != name:
            continue
        with _lock(path) as lock:
            if lock != "ours":
                continue
            if path.name.startswith(REPLACED_MARK) and not final.exists():
                with contextlib.suppress(OSError):
                    os.rename(path, final)
            elif path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
                removed.append(path)
            else:
                path.unlink(missing_ok=True)
                removed.append(path)
    return removed


def _new_file(path: Path) -> None:
    path.touch(exist_ok=False)


@contextlib.contextmanager
def _held(final: Path, make: Callable[[Path], object]) -> Iterator[Path]:
    """Make a temporary file or folder beside `final` and hold it, so that nobody takes it for litter."""
    while True:
        temporary = final.with_name(f"{TEMPORARY_MARK}{final.name}-{uuid.uuid4().hex[:8]}")
        with storage_errors(final):
            make(temporary)
        with _lock(temporary) as lock:
            if lock in {"gone", "held"}:  # cleared away between the two lines above
                continue
            yield temporary
            return


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[Literal["ours", "held", "gone", "unknown"]]:
    """Hold a file or folder while the block runs, if nobody else does; "unknown" where there are no such locks."""
    lock: Literal["ours", "held", "gone", "unknown"] = "ours"
    descriptor = None
    try:
        try:
            descriptor = os.open(path, os.O_RDONLY)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(descriptor), os.stat(path)):
                lock = "gone"
        except FileNotFoundError:
            lock = "gone"
        except BlockingIOError:
            lock = "held"
        except OSError:
            lock = "unknown"
        yield lock
    finally:
        if descriptor is not None:
            os.close(descriptor)

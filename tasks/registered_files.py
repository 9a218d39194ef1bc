"""What a registered version consists of, and whether it still does: its files, and the tags that decide."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from model.errors import IntegrityError
from model.files import canonical_json, content_digest, sha256_file, sha256_text

IDENTITY_TAG, FILES_TAG = "identity", "files"
SCORE_TAG, JUDGED_ON_TAG = "test_bits_per_byte", "judged_on"
SOURCES_TAG = "sources"
RECORD_TAG = "record_sha256"
RECORDED = (IDENTITY_TAG, FILES_TAG, SCORE_TAG, JUDGED_ON_TAG)
TRAINING_TEXTS = "training_texts"
NOT_COMPUTING = ("README.md", "MANIFEST.json")
MEND = "restore it, or run `tisslm run --from publish --force` where data/ still holds this model"


def local_folder(uri: str) -> Path | None:
    """The folder that an artifact address names, where it is on this machine; such files are read in place."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(uri) if not parts.scheme else None


def sealed(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags with a checksum over those that decide: no database finds a flipped bit by itself."""
    return {**tags, RECORD_TAG: record_digest(tags)}


def record_digest(tags: Mapping[str, str]) -> str:
    """The checksum of the tags that decide."""
    return sha256_text(canonical_json({key: tags[key] for key in RECORDED if key in tags}))


def check_record(what: str, tags: Mapping[str, str]) -> None:
    """Check what the registry says of a version: its identity, files, result and test set.

    Raises:
        IntegrityError: It is not what was registered. (Versions of older releases have no checksum of it.)
    """
    if RECORD_TAG in tags and tags[RECORD_TAG] != record_digest(tags):
        raise IntegrityError(
            f"registry: the record of {what} is not the one that was registered "
            f"({', '.join(RECORDED)}): somebody edited it, or its bytes changed; {MEND}"
        )


def check_files(folder: Path, checksums: Mapping[str, str]) -> None:
    """Check every file of a version.

    Raises:
        IntegrityError: A file is missing or differs; the message names it and both checksums.
    """
    if not checksums:
        raise IntegrityError(f"{folder}: the registry lists no files for it; {MEND}")
    for name, expected in checksums.items():
        path = folder / name
        if not path.is_file():
            raise IntegrityError(f"{path}: missing, the registry lists it; {MEND}")
        found = sha256_file(path)
        if found != expected:
            raise IntegrityError(
                f"{path}: sha256 {found[:12]}..., expected {expected[:12]}... by the registry: its bytes changed; "
                f"{MEND}"
            )


def identity_of(folder: Path) -> str:
    """The digest of everything in a model folder that computes: not its card, its manifest, or reports."""
    return content_digest(computing_files(folder))


def computing_files(folder: Path) -> dict[str, str]:
    """The sha256 of each file in a model folder that takes part in computing, by name."""
    names = {p.relative_to(folder).as_posix(): p for p in files_of(folder)}
    return {
        name: sha256_file(path)
        for name, path in names.items()
        if path.name not in NOT_COMPUTING and not name.startswith(f"{TRAINING_TEXTS}/")
    }


def files_of(folder: Path) -> list[Path]:
    """All files of a version, in order."""
    return sorted(p for p in folder.rglob("*") if p.is_file())


def matches(folder: Path, checksums: Mapping[str, str]) -> bool:
    """Whether a folder holds exactly what was registered."""
    try:
        check_files(folder, checksums)
    except IntegrityError:
        return False
    return True

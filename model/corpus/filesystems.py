"""File systems behind addresses that are neither http nor local: fsspec's, with one line for whatever they raise."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from model.errors import CorpusError, install_extra

EXTRAS = {"s3": "s3", "s3a": "s3"}


def entry_facts(entry: dict[str, Any]) -> tuple[int, str]:
    """Size and version of a listed file."""
    version = next((entry[key] for key in ("ETag", "etag", "md5", "mtime", "LastModified") if entry.get(key)), "")
    return int(entry.get("size") or 0), str(version).strip('"')


def open_filesystem(url: str) -> tuple[Any, str]:
    """The fsspec file system of an address, and the path inside it.

    Raises:
        CorpusError: There is no library for it, or the extra is not installed.
    """
    from fsspec.core import url_to_fs

    scheme = urlsplit(url).scheme
    try:
        filesystem, path = url_to_fs(url)
    except ImportError as error:
        extra = EXTRAS.get(scheme)
        remedy = f"install it: {install_extra(extra)}" if extra else f"install the package that it names ({error})"
        raise CorpusError(f"{url}: no library for {scheme}:// is installed; {remedy}") from error
    except ValueError as error:
        raise CorpusError(f"{url}: {error}; expected http(s)://, s3:// or another address that fsspec knows") from error
    return filesystem, str(path)


def remote_error(url: str, error: Exception) -> CorpusError:
    """One line for whatever a remote file system raises."""
    kind = type(error).__name__
    text = " ".join(str(error).split())[:200] or kind
    if "Credential" in kind or "Token" in kind or "credentials" in text.lower():
        return CorpusError(
            f"{url}: no valid credentials ({text}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or for a public "
            """bucket FSSPEC_S3='{"anon": true}', in the environment"""
        )
    if isinstance(error, PermissionError):
        return CorpusError(f"{url}: access denied ({text}); check the credentials in the environment")
    if isinstance(error, FileNotFoundError):
        return CorpusError(f"{url}: no such file, folder or bucket ({text}); correct `url` in ingest.sources")
    return CorpusError(f"{url}: cannot be read: {kind}: {text}; check the address and the network, then run again")

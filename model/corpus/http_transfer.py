"""Reading over http(s): what a file is, its bytes from some offset on, an index page.

By the standard library, so that we decide what is asked of whom: a redirect to another host is refused with its name,
ranges are asked for with the version that was seen (RFC 9110, If-Range), and a connection that ends early is noticed.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from model.errors import CorpusError

TIMEOUT_S = 30.0
BLOCK_BYTES = 1 << 20
LARGEST_PAGE_BYTES = 16 << 20
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


class Interrupted(Exception):  # noqa: N818  (not a failure yet: the transfer goes on)
    """A transfer broke off; trying again may help."""


class Changed(Exception):  # noqa: N818
    """The file is not of the version that was listed."""


class _SameHost(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        upgraded = (old.scheme, new.scheme) == ("http", "https") and old.hostname == new.hostname and not new.port
        if (old.scheme, old.netloc) != (new.scheme, new.netloc) and not upgraded:
            raise CorpusError(
                f"{req.full_url}: redirects to {new.scheme}://{new.netloc}, an address that ingest.sources does not "
                f"name; if it is the right one, name it: {newurl[:300]}"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def http_facts(url: str) -> tuple[int, str]:
    """A file's size (0 if unknown) and version (ETag or date of change, empty if unknown).

    Raises:
        CorpusError: It cannot be reached.
    """
    try:
        try:
            opened = _open(url, {}, "HEAD")
        except CorpusError:  # some servers know only GET
            opened = _open(url, {})
        with opened as response:
            version = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
            return int(response.headers.get("Content-Length") or 0), version
    except Interrupted as error:
        raise CorpusError(f"{url}: cannot be reached ({error}); check the address and the network") from error


def http_page(url: str) -> str:
    """An index page.

    Raises:
        CorpusError: It cannot be reached, or is larger than 16 MB.
    """
    try:
        with _open(url, {}) as response:
            data = response.read(LARGEST_PAGE_BYTES + 1)
    except (Interrupted, OSError, http.client.HTTPException) as error:
        raise CorpusError(f"{url}: cannot be reached ({error}); check the address and the network") from error
    if len(data) > LARGEST_PAGE_BYTES:
        raise CorpusError(f"{url}: an index of more than {LARGEST_PAGE_BYTES:,} bytes; name a smaller folder")
    return str(data.decode("utf-8", "replace"))


def http_blocks(url: str, start: int, version: str) -> Iterator[tuple[int, bytes]]:
    """A file's bytes from `start` on, as (offset, block); from 0 on where the server knows no ranges.

    Raises:
        Interrupted: The connection broke, or the server is too busy.
        Changed: The file has another version than `version`.
        CorpusError: The server refuses.
    """
    headers = {"Range": f"bytes={start}-"} if start else {}
    if start and version:
        headers["If-Range"] = version
    with _open(url, headers) as response:
        found = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        if found != version:
            raise Changed(f"version {found or 'unknown'} there, {version or 'unknown'} expected")
        at = start if response.status == 206 else 0
        expected = response.headers.get("Content-Length")
        end = at + int(expected) if expected else None
        try:
            while block := response.read1(BLOCK_BYTES):  # whatever has come: nothing is lost if no more comes
                yield at, block
                at += len(block)
        except (OSError, http.client.HTTPException) as error:
            raise Interrupted(f"{type(error).__name__}: {error}") from error
        if end is not None and at < end:
            raise Interrupted(f"the connection ended {end - at:,} bytes early")


def _open(url: str, headers: dict[str, str], method: str = "GET") -> Any:
    headers = {"User-Agent": "tisslm", "Accept-Encoding": "identity", **headers}
    request = urllib.request.Request(url, headers=headers, method=method)  # noqa: S310  (the config names only http)
    opener = urllib.request.build_opener(_SameHost)
    try:
        return opener.open(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code in BUSY:
            raise Interrupted(f"HTTP {error.code} {error.reason}") from error
        raise CorpusError(f"{url}: HTTP {error.code} {error.reason}; correct `url` in ingest.sources") from error
    except (OSError, http.client.HTTPException) as error:
        raise Interrupted(str(getattr(error, "reason", None) or error)) from error

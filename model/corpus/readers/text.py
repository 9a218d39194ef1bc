"""Text files: one record each, decoded piece by piece after a first pass has found every byte valid."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from model.corpus.readers.source_file import Record, SourceFile
from model.corpus.set_aside import FileRefused

PIECE_BYTES = 1 << 20
BYTE_ORDER_MARK = "\ufeff"


def read_text(file: SourceFile) -> Iterator[Record]:
    """The file's text as one record.

    Raises:
        FileRefused: The file is empty, binary, or not in its encoding; nothing of it has been given out then.
    """
    check_text(file)
    yield Record("", decode_pieces(file))


def check_text(file: SourceFile) -> None:
    """Look at every byte of a file.

    Raises:
        FileRefused: It is empty, binary, or not in its encoding.
    """
    n_characters = 0
    for piece in decode_pieces(file):
        n_characters += bool(piece) and not piece.isspace()
    if n_characters == 0:
        raise FileRefused("empty", "has no text in it")


def decode_pieces(file: SourceFile) -> Iterator[str]:
    """The decoded text in pieces of about 1 MB, a leading byte order mark removed.

    Raises:
        FileRefused: A byte does not belong to the encoding, or a NUL shows that this is no text.
    """
    decoder = codecs.getincrementaldecoder(file.encoding)()
    done = 0
    first = True
    with file.open() as stream:
        while True:
            data = stream.read(PIECE_BYTES)
            pending = decoder.getstate()[0]
            try:
                piece = decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                raise _refusal(file.encoding, error, done - len(pending), pending + data) from error
            if "\0" in piece:
                offset = done + data.find(b"\0")
                raise FileRefused("binary", f"NUL byte at offset {offset:,}: binary, or text in another encoding")
            if piece:
                yield piece.removeprefix(BYTE_ORDER_MARK) if first else piece
                first = False
            done += len(data)
            if not data:
                return


def _refusal(encoding: str, error: UnicodeDecodeError, start: int, data: bytes) -> FileRefused:
    if b"\0" in data and encoding.lower().replace("_", "-") in {"utf-8", "ascii"}:
        return FileRefused("binary", f"NUL byte at offset {start + data.find(bytes(1)):,}: binary, not text")
    found = f"byte 0x{error.object[error.start]:02x}" if error.start < len(error.object) else "the end"
    reason = "not_" + "".join(c for c in encoding.lower() if c.isalnum())
    return FileRefused(
        reason,
        f"not {encoding}: {found} at offset {start + error.start:,} ({error.reason}); "
        "if the file is in another encoding, say so: `encoding: latin-1`",
    )

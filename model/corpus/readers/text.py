"""Text files: one record each, decoded piece by piece after a first pass has found every byte valid."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from model.corpus.readers.source_file import Record, SourceFile
from model.corpus.set_aside import FileCutOff, FileRefused

PIECE_BYTES = 1 << 20
BYTE_ORDER_MARK = "\ufeff"


def read_text(file: SourceFile) -> Iterator[Record]:
    """The file's text as one record.

    Raises:
        FileRefused: The file is empty, binary, or not in its encoding; nothing of it has been given out then.
    """
    cut = check_text(file)
    if cut is None:
        yield Record("", decode_pieces(file))
        return
    yield Record("", _complete_lines(file))
    raise cut


def check_text(file: SourceFile) -> FileCutOff | None:
    """Look at every byte of a file; return where it is cut off, if it is and has complete lines before that.

    Raises:
        FileRefused: It is empty, binary, or not in its encoding.
    """
    has_text, has_line, cut = False, False, None
    try:
        for piece in decode_pieces(file):
            has_line = has_line or ((has_text or not piece.isspace()) and "\n" in piece)
            has_text = has_text or not piece.isspace()
    except FileCutOff as error:
        if not has_line:
            raise
        cut = error
    if not has_text:
        raise FileRefused("empty", "has no text in it")
    return cut


def _complete_lines(file: SourceFile) -> Iterator[str]:
    """The decoded text of a file that is cut off, up to its last line end."""
    held = ""
    try:
        for piece in decode_pieces(file):
            lines, end, rest = piece.rpartition("\n")
            if end:
                yield held + lines + end
                held = rest
            else:
                held += rest
    except FileCutOff:
        return


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
            data = stream.read1(PIECE_BYTES)  # type: ignore[attr-defined]  # read() loses the rest before a cut
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

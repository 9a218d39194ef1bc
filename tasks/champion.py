"""Whether a model becomes champion: the gates, and a comparison with the present champion that cannot flatter it.

Both are scored on test documents that neither was trained on, by the record that every version carries, so that
another split or other names of the sources do not let a model be judged by its own training text. What cannot be
compared fairly is not compared: the candidate stays candidate, and the verdict says how to decide by hand.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model.architecture.interop import load_model
from model.corpus.documents import Document, read_documents
from model.corpus.seen_texts import SeenTexts
from model.dataset.shards import ShardWriter, TokenDataset
from model.errors import EvaluationError, IntegrityError, TissLMError
from model.evaluation.lost_text import LostText, lost_text, predicted_bytes
from model.evaluation.perplexity import score_dataset
from model.files import canonical_json, read_json, sha256_text
from model.tokenizer.tokenizer import Tokenizer
from tasks.publish_config import PublishConfig
from tasks.registered_files import JUDGED_ON_TAG, TRAINING_TEXTS
from tasks.registry import CHAMPION, WITHDRAWN_TAG, ModelVersion, Registry

if TYPE_CHECKING:
    from model.evaluation.config import EvaluateConfig


@dataclass(frozen=True)
class Verdict:
    """What was decided about a candidate.

    Attributes:
        promoted: It is, or shall become, champion.
        reason: Why, or why not, in one line.
        champion: The champion before, if there was one.
        bits_per_byte: The candidate's result in the comparison; None where none was made.
        champion_bits_per_byte: The champion's result on the same texts.
    """

    promoted: bool
    reason: str
    champion: int | None = None
    bits_per_byte: float | None = None
    champion_bits_per_byte: float | None = None


@dataclass(frozen=True)
class Comparison:
    """Two models on the same texts.

    Attributes:
        candidate: Bits per byte.
        champion: Bits per byte.
        where: On what, in words.
    """

    candidate: float
    champion: float
    where: str


def judged_on(evaluated: Path, config: EvaluateConfig) -> str:
    """The digest of the test texts as the model predicted them, and of how they were scored.

    Results with equal digests, and no others, may stand beside each other. The texts are those that cleaning has left,
    so other cleaning gives another digest; and so does a tokenizer that loses a part of them.
    """
    facts = read_json(evaluated / "evaluation.json")
    texts = [facts["test_digest"], facts.get("predicted_digest", "")]
    return sha256_text(canonical_json([texts, config.context_length, config.stride]))


def judge(
    registry: Registry,
    candidate: ModelVersion,
    bits_per_byte: float,
    config: PublishConfig,
    compare: Callable[[Path, Path, tuple[float, float] | None], Comparison],
) -> Verdict:
    """Decide whether a registered candidate becomes champion.

    Args:
        registry: Where the champion is.
        candidate: The registered version.
        bits_per_byte: Its result on the present test set.
        config: The gates.
        compare: Compares two model folders on what neither has seen of the present test set; given the two recorded
            results where these were found on the same texts in the same way.
    """
    champion = registry.get(CHAMPION)
    if not math.isfinite(bits_per_byte) or bits_per_byte > config.max_bits_per_byte:
        reason = f"{bits_per_byte:.4f} bits/byte misses the gate publish.max_bits_per_byte = {config.max_bits_per_byte}"
        return Verdict(False, reason, champion.version if champion else None)
    if champion is None:
        return Verdict(True, "the first version that passes the gates")
    if champion.version == candidate.version:
        return Verdict(True, "these bytes are already the champion", champion.version, bits_per_byte, bits_per_byte)
    if WITHDRAWN_TAG in candidate.tags:
        reason = f"it was withdrawn ({candidate.tags[WITHDRAWN_TAG]}); `tisslm models promote` brings it back"
        return Verdict(False, reason, champion.version)
    by_hand = f"to decide by hand: `tisslm models promote {candidate.version}`"
    try:
        theirs = registry.fetch(champion).folder
    except IntegrityError as error:
        reason = f"the champion, version {champion.version}, is damaged and cannot be compared ({error}); {by_hand}"
        return Verdict(False, reason, champion.version)
    recorded = None
    if champion.bits_per_byte is not None and champion.tags.get(JUDGED_ON_TAG) == candidate.tags.get(JUDGED_ON_TAG):
        recorded = bits_per_byte, champion.bits_per_byte
    try:
        found = compare(registry.fetch(candidate).folder, theirs, recorded)
    except TissLMError as error:
        reason = f"it cannot be compared with the champion, version {champion.version}: {error}; {by_hand}"
        return Verdict(False, reason, champion.version)
    better = found.candidate < found.champion - config.min_improvement_bpb
    margin = f" by publish.min_improvement_bpb = {config.min_improvement_bpb}" if config.min_improvement_bpb else ""
    if found.candidate == found.champion and not config.min_improvement_bpb:
        margin = ", it only equals it"
    against = f"{found.champion:.4f} bits/byte of version {champion.version}, {found.where}"
    reason = f"{found.candidate:.4f} against {against}"
    reason = reason if better else f"does not beat the champion{margin}: {reason}"
    return Verdict(better, reason, champion.version, found.candidate, found.champion)


def compare_folders(
    candidate: Path,
    champion: Path,
    recorded: tuple[float, float] | None,
    texts: Path,
    config: EvaluateConfig,
    least_bytes: int,
) -> Comparison:
    """Compare two model folders on the test documents that neither was trained on.

    Args:
        candidate: The new model.
        champion: The present champion.
        recorded: Their results on all of these documents, scored in the same way, where both are known.
        texts: The test documents.
        config: How they are scored.
        least_bytes: Least UTF-8 bytes that must be new to both.

    Raises:
        EvaluationError: It is not known what a model has seen, too little is new to both, or the two predict different
            texts.
        TissLMError: A model cannot be opened or scored.
    """
    documents = list(read_documents(texts))
    unseen = new_to_both(documents, {"the candidate": candidate, "the champion": champion})
    new, total = (sum(len(d.text.encode("utf-8")) for d in some) for some in (unseen, documents))
    amount = f"{new:,} of {total:,} bytes of the test text are new to both"
    if new < least_bytes:
        raise EvaluationError(
            f"only {amount}, expected at least {least_bytes:,} (publish.min_unseen_test_bytes); give the test split "
            "texts that neither was trained on"
        )
    if recorded is not None and new == total:
        return Comparison(*recorded, "on the same test set")
    mine, theirs = (score_folder(folder, unseen, config) for folder in (candidate, champion))
    if (mine.lost.characters or theirs.lost.characters) and mine.predicted != theirs.predicted:
        raise EvaluationError(
            f"they predict different texts: {mine.lost.share:.1%} of the candidate's and {theirs.lost.share:.1%} of "
            "the champion's text does not come back from its tokens (tokenizer.normalization), so their bits per byte "
            "do not compare"
        )
    return Comparison(mine.bits_per_byte, theirs.bits_per_byte, f"both scored again where {amount}")


def new_to_both(documents: Sequence[Document], folders: Mapping[str, Path]) -> list[Document]:
    """The documents that no model was trained on, not even on a near copy or on a longer text with them in it.

    Raises:
        EvaluationError: A model has no record of its training texts, or only a part of one.
    """
    is_seen = [False] * len(documents)
    for name, folder in folders.items():
        record = SeenTexts.open(folder / TRAINING_TEXTS)
        if record is None:
            raise EvaluationError(
                f"{name} was registered without a record of its training texts, so nobody can tell which test texts "
                "it has seen"
            )
        if record.unknown:
            raise EvaluationError(
                f"{name} was trained from {', '.join(record.unknown)}, of whose training texts there is no record, so "
                "nobody can tell which test texts it has seen"
            )
        is_seen = [a or b for a, b in zip(is_seen, record.holds([d.text for d in documents]), strict=True)]
    return [document for document, seen in zip(documents, is_seen, strict=True) if not seen]


@dataclass(frozen=True)
class FolderScore:
    """A model's result: bits per byte, what its tokenizer loses of the texts, and the texts that it predicted."""

    bits_per_byte: float
    lost: LostText
    predicted: list[bytes]


def score_folder(folder: Path, documents: Sequence[Document], config: EvaluateConfig) -> FolderScore:
    """Score a model folder on documents, with its own tokenizer and window.

    Raises:
        TissLMError: The model cannot be opened or scored.
    """
    tokenizer, network = Tokenizer.open(folder), load_model(folder).eval()
    window, stride = config.window(network.config.context_length)
    backs: list[bytes] = []
    with tempfile.TemporaryDirectory(prefix="tisslm-judge-") as temporary:
        with ShardWriter(Path(temporary) / "test", tokenizer) as writer:
            for document in documents:
                ids = tokenizer.encode(document.text)
                backs.append(tokenizer.decode_bytes(ids))
                writer.append(ids, predicted_bytes(document.text, backs[-1]))
        dataset = TokenDataset(Path(temporary) / "test")
        score = score_dataset(
            network, dataset, context_length=window, stride=stride, batch_sequences=config.batch_sequences
        )
    lost = lost_text(tokenizer, ((d.text, back) for d, back in zip(documents, backs, strict=True)))
    return FolderScore(round(score.bits_per_byte, 6), lost, backs)

"""Stage `evaluate`: held-out texts judge the model, beside compressors that anybody can run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from model.architecture.decoder import Decoder
from model.architecture.interop import load_model
from model.corpus.documents import Document, count_documents, read_documents, read_texts
from model.dataset.shards import TokenDataset
from model.errors import EvaluationError
from model.evaluation.baselines import BaselineScore, baselines, priming_text
from model.evaluation.config import EvaluateConfig
from model.evaluation.lost_text import LostText, lost_text, predicted_bytes
from model.evaluation.perplexity import Score, choose_documents, score_documents, total_score
from model.evaluation.report import render_report
from model.evaluation.speed import Speed, measure_speed
from model.files import canonical_json, folder_digest, sha256_text, write_json, write_text
from model.generation.config import GenerationConfig
from model.generation.generate import generate
from model.tokenizer.tokenizer import Tokenizer
from tasks.journal import Journal
from tasks.params import Params
from tasks.report import Row, StageReport
from tasks.report_page import collect_report

SPLITS = ("test", "validation")
EARLIER = ("ingest", "clean", "tokenizer", "tokenize", "pretrain")  # what the page shows beside this stage
SHORT_LABELS = {"xz": "xz", "ppmd6": "PPMd-6", "ppmd16": "PPMd-16"}
WORST_DOCUMENTS = 10


def evaluate(
    config: EvaluateConfig,
    clean: Path,
    pretrained: Path,
    tokens: Path,
    out: Path,
    journal: Journal,
    report_folder: Path,
    reports: Path,
    params: Params,
    device: str = "cpu",
    workers: int = 2,
) -> StageReport:
    """Score the model on test and validation; measure baselines and speed; draw samples; write the page for people.

    Args:
        config: What to measure.
        clean: Documents, whose texts the baselines code and whose ids the report names.
        pretrained: The model folder.
        tokens: The same documents as token shards.
        out: Gets `evaluation.json`: scores, baselines, samples; nothing in it depends on time.
        journal: Takes progress and the splits used.
        report_folder: Gets `report.html`.
        reports: The reports of earlier stages, for the page.
        params: The whole run's parameters, for the page.
        device: Where the model runs.
        workers: Threads for the baselines.

    Raises:
        EvaluationError: A split is empty, or holds other documents as text than as tokens.
        TokenizerError: The tokens were made by another tokenizer than the model's.
        CheckpointError: The model folder is damaged.
    """
    tokenizer = Tokenizer.open(pretrained)
    model = load_model(pretrained, device=device)
    splits = {name: TokenDataset.open(tokens, name) for name in ("train", *SPLITS)}
    context_length, stride = config.window(model.config.context_length)
    texts: dict[str, list[Document]] = {}
    scores: dict[str, list[Score]] = {}
    backs: dict[str, list[bytes]] = {}
    lost: dict[str, LostText] = {}
    for name in SPLITS:
        dataset = splits[name]
        dataset.check_tokenizer(tokenizer)
        profile = {"tokens": float(dataset.n_tokens), "documents": float(dataset.n_documents)}
        journal.dataset(f"tokens/{name}", tokens / name, folder_digest(tokens), name, profile)
        chosen = choose_documents(dataset, config.max_tokens)
        texts[name] = read_chosen(clean / name, dataset, chosen)
        backs[name] = [tokenizer.decode_bytes(dataset.document(index).tolist()) for index in chosen]
        pairs = [(document.text, back) for document, back in zip(texts[name], backs[name], strict=True)]
        lost[name] = lost_text(tokenizer, pairs)
        scored = score_documents(
            model,
            dataset,
            context_length=context_length,
            stride=stride,
            batch_sequences=config.batch_sequences,
            documents=chosen,
            on_progress=partial(show, journal, f"{name} tokens"),
        )
        scores[name] = [replace(s, n_bytes=predicted_bytes(*pair)) for s, pair in zip(scored, pairs, strict=True)]
    is_lossy = lost["test"].characters > 0
    read = read_texts(clean / "train")  # the baselines code what the model predicts: where it loses something, the rest
    train_texts = (tokenizer.decode_bytes(tokenizer.encode(text)) for text in read) if is_lossy else encoded(read)
    train = priming_text(train_texts, splits["train"].n_bytes, config.baseline_max_bytes)
    test = b"".join(backs["test"] if is_lossy else encoded(document.text for document in texts["test"]))
    compressors = baselines(
        train,
        test,
        config.baselines,
        workers=workers,
        on_progress=lambda done, total: journal.progress(done / 1e6, total / 1e6, "MB of baselines"),
    )
    samples = draw_samples(model, tokenizer, config)
    speed = measure_speed({"model": model}, decode_tokens=config.speed_tokens)["model"]
    facts = {
        "window": {"context_length": context_length, "stride": stride},
        "scores": {name: score_facts(total_score(scores[name])) for name in SPLITS},
        "baselines": {score.name: round(score.bits_per_byte, 6) for score in compressors},
        "baseline_training_bytes": len(train),
        "samples": samples,
        "tokenizer_digest": tokenizer.digest,
        "test_digest": sha256_text(canonical_json([[d.id, sha256_text(d.text)] for d in texts["test"]])),
        "lost": {name: {**asdict(lost[name]), "share": round(lost[name].share, 6)} for name in SPLITS},
        "predicted_digest": content_digest_of(backs["test"]) if is_lossy else "",
        "notes": [*loss_notes(lost), *notes(config, model, splits, scores, len(train))],
    }
    write_json(out / "evaluation.json", facts)
    report = stage_report(model, texts, scores, compressors, speed, facts)
    write_text(
        report_folder / "report.html",
        render_report(collect_report(reports, params, {"evaluate": report}, stages=EARLIER)),
    )
    return report


def read_chosen(folder: Path, dataset: TokenDataset, chosen: Sequence[int]) -> list[Document]:
    """The documents of a split that are scored, checked against their tokens.

    Raises:
        EvaluationError: The folder holds other documents than the shards.
    """
    wanted = set(chosen)
    documents = [document for index, document in enumerate(read_documents(folder)) if index in wanted]
    sizes = [len(document.text.encode()) for document in documents]
    expected = [int(dataset.document_bytes[index]) for index in chosen]
    n_documents = count_documents(folder)
    if sizes != expected or n_documents != dataset.n_documents:
        raise EvaluationError(
            f"{folder}: {n_documents} documents, {sum(sizes):,} bytes to score, but {dataset.folder} has "
            f"{dataset.n_documents}, {sum(expected):,} bytes; run tokenize again (tisslm run --from tokenize)"
        )
    return documents


def encoded(texts: Iterator[str]) -> Iterator[bytes]:
    """Texts as UTF-8, one by one."""
    return (text.encode() for text in texts)


def show(journal: Journal, unit: str, done: int, total: int) -> None:
    """Pass progress on to the journal."""
    journal.progress(done, total, unit)


def draw_samples(model: Decoder, tokenizer: Tokenizer, config: EvaluateConfig) -> list[dict[str, str]]:
    """What the model makes of each prompt."""
    settings = GenerationConfig(
        max_new_tokens=config.sample_tokens, temperature=config.sample_temperature, seed=config.sample_seed
    )
    prompts = list(config.sample_prompts)
    drawn = generate(model, tokenizer, prompts, settings) if prompts else []
    return [
        {"prompt": prompt, "text": sample.text, "finish_reason": sample.finish_reason}
        for prompt, sample in zip(prompts, drawn, strict=True)
    ]


def score_facts(score: Score) -> dict[str, float | int]:
    """A score as JSON; rounded to what two machines agree on."""
    return {
        "bits_per_byte": round(score.bits_per_byte, 6),
        "perplexity": round(score.perplexity, 4),
        "tokens": score.n_tokens,
        "bytes": score.n_bytes,
    }


def content_digest_of(texts: Sequence[bytes]) -> str:
    """The digest of texts in their order."""
    return sha256_text(canonical_json([hashlib.sha256(text).hexdigest() for text in texts]))


def loss_notes(lost: Mapping[str, LostText]) -> list[str]:
    """What a lossy tokenizer does to the figures, in words."""
    return [
        f"{name}: {part.characters:,} characters ({part.share:.1%} of the bytes) do not come back from their tokens "
        "(tokenizer.normalization); model and baselines are judged on what is left, which is easier to predict, so "
        "these figures stand beside no others"
        for name, part in lost.items()
        if part.characters
    ]


def notes(
    config: EvaluateConfig,
    model: Decoder,
    splits: dict[str, TokenDataset],
    scores: dict[str, list[Score]],
    primed: int,
) -> list[str]:
    """What a reader must know to take the figures for what they are."""
    said = []
    for name in SPLITS:
        if len(scores[name]) < splits[name].n_documents:
            said.append(
                f"{name}: {len(scores[name])} of {splits[name].n_documents} documents were scored, spread evenly "
                f"(evaluate.max_tokens = {config.max_tokens:,})"
            )
    if config.baselines and primed < splits["train"].n_bytes:
        said.append(
            f"baselines: primed on {primed:,} of {splits['train'].n_bytes:,} training bytes, spread evenly "
            "(evaluate.baseline_max_bytes)"
        )
    context_length, _ = config.window(model.config.context_length)
    if context_length > model.config.context_length:
        said.append(f"window: {context_length} tokens, but the model was trained with {model.config.context_length}")
    return said


def stage_report(
    model: Decoder,
    texts: dict[str, list[Document]],
    scores: dict[str, list[Score]],
    compressors: list[BaselineScore],
    speed: Speed,
    facts: dict[str, Any],
) -> StageReport:
    """Headline, figures, series and tables of the stage."""
    totals = {name: total_score(scores[name]) for name in SPLITS}
    lost = facts["lost"]["test"]
    loses = f", {lost['share']:.1%} of the text lost by the tokenizer" if lost["characters"] else ""
    beside = ", ".join(f"{SHORT_LABELS[s.name]} {s.bits_per_byte:.2f}" for s in compressors)
    rows: list[Row] = [
        {"split": name, "id": document.id, "tokens": s.n_tokens, "bytes": s.n_bytes, "bits_per_byte": round(bpb, 4)}
        for name in SPLITS
        for document, s in zip(texts[name], scores[name], strict=True)
        if (bpb := s.bits_per_byte if s.n_bytes else None) is not None
    ]
    worst = sorted((r for r in rows if r["split"] == "test"), key=lambda r: r["bits_per_byte"], reverse=True)
    ranked = [("TissLM", totals["test"].bits_per_byte), *((s.label, s.bits_per_byte) for s in compressors)]
    return StageReport(
        headline=f"{totals['test'].bits_per_byte:.2f} bits/byte on test" + (f" ({beside})" if beside else "") + loses,
        metrics={
            **{f"test_lost_{unit}": lost[unit] for unit in ("characters", "bytes")},
            **{f"{name}_{key}": value for name in SPLITS for key, value in score_facts(totals[name]).items()},
            **{f"{s.name}_bits_per_byte": round(s.bits_per_byte, 6) for s in compressors},
            "parameters": model.num_params(),
            "prefill_tokens_per_second": round(speed.prefill_tokens_per_second, 1),
            "decode_tokens_per_second": round(speed.decode_tokens_per_second, 1),
        },
        series={
            "bits_per_byte": [{"name": name, "bits_per_byte": round(value, 6)} for name, value in ranked],
            "document_scores": rows,
        },
        tables={
            "Bits per byte of the test text": [{"name": n, "bits_per_byte": round(v, 4)} for n, v in ranked],
            "Splits": [{"split": name, **score_facts(totals[name])} for name in SPLITS],
            "Worst test documents": [dict(row) for row in worst[:WORST_DOCUMENTS]],
        },
        facts=facts,
    )

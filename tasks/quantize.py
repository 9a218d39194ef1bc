"""Stage `quantize`: the model with int8 weights, and what that costs."""

from __future__ import annotations

import gc
from functools import partial
from pathlib import Path
from typing import Any

from model.architecture.interop import load_model, special_ids
from model.compression.config import QuantizeConfig
from model.compression.counterparts import why_float32
from model.compression.quantize import quantize_int8
from model.compression.storage import load_quantized, save_quantized
from model.dataset.shards import TokenDataset
from model.errors import GateError
from model.evaluation.perplexity import choose_documents, score_dataset
from model.evaluation.speed import measure_speed
from model.files import folder_digest, read_json, write_json
from model.tokenizer.tokenizer import Tokenizer, copy_tokenizer
from tasks.journal import Journal
from tasks.report import StageReport

WEIGHTS = "model.safetensors"


def quantize(
    config: QuantizeConfig, pretrained: Path, tokens: Path, out: Path, journal: Journal, device: str = "cpu"
) -> StageReport:
    """Convert, write, read back, and compare size, bits per byte and speed with the float32 model.

    Args:
        config: The method and the gate.
        pretrained: The float32 model folder.
        tokens: Token shards; the test split is scored.
        out: Gets the int8 model folder with its tokenizer and `quantization.json`: the figures, and what stays float32.
        journal: Takes progress and the split used.
        device: Where both models run.

    Raises:
        GateError: Bits per byte rise by more than `max_delta_bpb`.
        TokenizerError: The tokens were made by another tokenizer than the model's.
    """
    original = load_model(pretrained, device=device)
    where = pretrained / "config.json"
    special = special_ids(read_json(where), original.config.vocab_size or 0, str(where))
    save_quantized(quantize_int8(original), out, special)
    copy_tokenizer(pretrained, out)
    gc.collect()
    models = {"float32": original, "int8": load_quantized(out, device=device)}
    dataset = TokenDataset.open(tokens, "test")
    dataset.check_tokenizer(Tokenizer.open(pretrained))
    journal.dataset("tokens/test", tokens / "test", folder_digest(tokens), "test", {"tokens": float(dataset.n_tokens)})
    chosen = choose_documents(dataset, config.max_eval_tokens)
    context_length = original.config.context_length
    scores = {
        name: score_dataset(
            model,
            dataset,
            context_length=context_length,
            stride=max(1, context_length // 2),
            batch_sequences=config.batch_sequences,
            documents=chosen,
            on_progress=partial(show, journal, f"{name} tokens"),
        )
        for name, model in models.items()
    }
    bits = {name: score.bits_per_byte for name, score in scores.items()}
    delta = bits["int8"] - bits["float32"]
    if delta > config.max_delta_bpb:
        raise GateError(
            f"quantize: int8 weights cost {delta:+.4f} bits per byte, expected at most {config.max_delta_bpb} "
            "(quantize.max_delta_bpb): train longer, or raise the gate if that loss is acceptable"
        )
    n_bytes = {"float32": (pretrained / WEIGHTS).stat().st_size, "int8": (out / WEIGHTS).stat().st_size}
    facts: dict[str, Any] = {
        "method": config.method,
        "bits_per_byte": {name: round(value, 6) for name, value in bits.items()},
        "delta_bpb": round(delta, 6),
        "bytes": n_bytes,
        "documents": len(chosen),
        "tokens": scores["int8"].n_tokens,
        "float32": why_float32(original),
    }
    write_json(out / "quantization.json", facts)
    speed = measure_speed(
        models,
        decode_tokens=config.speed_tokens,
        on_progress=partial(show, journal, "timings"),
    )
    notes = []
    if len(chosen) < dataset.n_documents:
        notes.append(
            f"compared on {len(chosen)} of {dataset.n_documents} test documents, spread evenly "
            f"(quantize.max_eval_tokens = {config.max_eval_tokens:,})"
        )
    ratio = n_bytes["int8"] / n_bytes["float32"]
    return StageReport(
        headline=f"int8 at {ratio:.0%} of the size, {delta:+.4f} bits/byte, "
        f"{speed['int8'].decode_tokens_per_second:,.0f} tokens/s "
        f"(float32 {speed['float32'].decode_tokens_per_second:,.0f})",
        metrics={
            "delta_bpb": round(delta, 6),
            "float32_bits_per_byte": round(bits["float32"], 6),
            "int8_bits_per_byte": round(bits["int8"], 6),
            "int8_bytes": n_bytes["int8"],
            "size_ratio": round(ratio, 4),
            **{f"{n}_decode_tokens_per_second": round(s.decode_tokens_per_second, 1) for n, s in speed.items()},
        },
        tables={
            "Float32 and int8": [
                {
                    "weights": name,
                    "size_mb": round(n_bytes[name] / 1e6, 2),
                    "bits_per_byte": round(bits[name], 5),
                    "perplexity": round(scores[name].perplexity, 3),
                    "prefill_tokens_per_second": round(speed[name].prefill_tokens_per_second),
                    "decode_tokens_per_second": round(speed[name].decode_tokens_per_second),
                }
                for name in models
            ],
            "What stays float32": facts["float32"],
        },
        facts={**facts, "notes": notes},
    )


def show(journal: Journal, unit: str, done: int, total: int) -> None:
    """Pass progress on to the journal."""
    journal.progress(done, total, unit)

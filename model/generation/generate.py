"""Prompts in, texts out: a batch at once, or one text as a stream.

    texts = generate(load_model(folder), Tokenizer.open(folder), ["My fellow citizens", ""], GenerationConfig(seed=7))

Every prompt begins with <|endoftext|>, as every document in training does, so an empty prompt begins a document.
Beyond the model's context the oldest half is forgotten and generation goes on (`windows.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from model.architecture.decoder import Decoder
from model.architecture.depth import EarlyExit
from model.errors import GenerationError
from model.generation.config import GenerationConfig
from model.generation.request import Generation, Request
from model.generation.sampling import choose
from model.generation.windows import WindowBatch
from model.tokenizer.tokenizer import Tokenizer

MAX_PROMPTS = 1024
MAX_PROMPT_CHARACTERS = 10_000_000


def generate(
    model: Decoder, tokenizer: Tokenizer, prompts: Sequence[str], config: GenerationConfig
) -> list[Generation]:
    """Go on with every prompt, all in one batch; each gets what it would get alone at its place.

    Raises:
        GenerationError: Too many or too long prompts, model and tokenizer do not belong together, or the model's
            logits are not finite.
        TokenizerError: A prompt is no Unicode text.
    """
    requests = _requests(model, tokenizer, prompts, config)
    for _ in _steps(model, tokenizer, requests, config):
        pass
    return [request.generation() for request in requests]


def stream(model: Decoder, tokenizer: Tokenizer, prompt: str, config: GenerationConfig) -> Iterator[str]:
    """Go on with a prompt, piece by piece; the pieces joined are `generate`'s text.

    A piece has whole characters only, and no part of a stop string. Errors in the request are raised at once, not at
    the first piece.

    Raises:
        GenerationError: As `generate`.
        TokenizerError: As `generate`.
    """
    requests = _requests(model, tokenizer, [prompt], config)
    return _pieces(model, tokenizer, requests, config)


def _pieces(model: Decoder, tokenizer: Tokenizer, requests: list[Request], config: GenerationConfig) -> Iterator[str]:
    (request,) = requests
    for _ in _steps(model, tokenizer, requests, config):
        piece = request.text.take(last=request.finish_reason is not None)
        if piece:
            yield piece


def _requests(model: Decoder, tokenizer: Tokenizer, prompts: Sequence[str], config: GenerationConfig) -> list[Request]:
    if isinstance(prompts, str):
        raise GenerationError("prompts: got one string, expected a list of strings; put it into a list")
    if len(prompts) > MAX_PROMPTS:
        raise GenerationError(f"prompts: got {len(prompts)}, expected at most {MAX_PROMPTS}; send several batches")
    for index, prompt in enumerate(prompts):
        if len(prompt) > MAX_PROMPT_CHARACTERS:
            raise GenerationError(
                f"prompt {index}: {len(prompt):,} characters, expected at most {MAX_PROMPT_CHARACTERS:,}; shorten it"
            )
    if (model.config.vocab_size or 0) < tokenizer.vocab_size:
        raise GenerationError(
            f"the tokenizer has {tokenizer.vocab_size} tokens, the model only {model.config.vocab_size}: "
            "they do not belong together; open both from one model folder"
        )
    if config.exit_confidence < 1 and not isinstance(model.depth, EarlyExit):
        raise GenerationError(
            f"exit_confidence {config.exit_confidence}: the model has no early exits; leave it at 1, or train one with "
            "pretrain.model.depth.exit_every"
        )
    return [Request(prompt, index, tokenizer, config) for index, prompt in enumerate(prompts)]


def _steps(
    model: Decoder, tokenizer: Tokenizer, requests: Sequence[Request], config: GenerationConfig
) -> Iterator[None]:
    """Draw one token for every unfinished request, again and again, until all are finished."""
    was_training = model.training
    model.eval()
    try:
        active = list(requests)
        batch = WindowBatch(model, [r.start for r in active], tokenizer.pad_id, config.max_new_tokens)
        while active:
            logits_BV, layers_B = _next(model, batch, config.exit_confidence)
            logits_BV = _finite(logits_BV[:, : tokenizer.vocab_size])
            tokens_B = choose(logits_BV, config, [request.random.random() for request in active])
            tokens = tokens_B.tolist()
            figures = _logprobs(logits_BV, tokens_B, config.n_logprobs)
            for request, *drawn in zip(active, tokens, *figures, layers_B, strict=True):
                request.take(*drawn)
            yield
            going_on = [row for row, request in enumerate(active) if request.finish_reason is None]
            if len(going_on) < len(active):
                active, tokens = [active[row] for row in going_on], [tokens[row] for row in going_on]
                batch.keep(going_on)
            batch.append(tokens)
    finally:
        model.train(was_training)


def _next(model: Decoder, batch: WindowBatch, exit_confidence: float) -> tuple[Tensor, list[int | None]]:
    """The logits of each row, and the layers that computed it if the model has early exits."""
    if not isinstance(model.depth, EarlyExit):
        return batch.next_logits(), [None] * len(batch.windows)
    # for this pass only: several texts may be drawn from one model in turns
    before, model.depth.threshold = model.depth.threshold, exit_confidence
    try:
        return batch.next_logits(), model.depth.layers_used[:, -1].tolist()
    finally:
        model.depth.threshold = before


def _finite(logits_BV: Tensor) -> Tensor:
    if not torch.isfinite(logits_BV).all():
        raise GenerationError("the model's logits are not finite: its weights are damaged; train or restore it again")
    return logits_BV


def _logprobs(
    logits_BV: Tensor, tokens_B: Tensor, n_logprobs: int
) -> tuple[list[float], list[list[tuple[int, float]]]]:
    """For each row the chosen token's logprob, and the `n_logprobs` likeliest (id, logprob)."""
    logprobs_BV = logits_BV.log_softmax(dim=-1)
    chosen: list[float] = logprobs_BV.gather(-1, tokens_B[:, None])[:, 0].tolist()
    if n_logprobs == 0:
        return chosen, [[] for _ in chosen]
    best = logprobs_BV.topk(min(n_logprobs, logprobs_BV.shape[-1]), dim=-1)
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return chosen, [list(zip(ids, values, strict=True)) for ids, values in pairs]

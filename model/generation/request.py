"""One prompt on its way to a text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from model.generation.config import GenerationConfig
from model.generation.text import GrowingText
from model.randomness import python_generator
from model.tokenizer.tokenizer import Tokenizer

FinishReason = Literal["stop", "length", "end_of_text"]


@dataclass(frozen=True)
class Generation:
    """What became of a prompt.

    Attributes:
        text: The new text, cut before a stop string; the prompt is not part of it.
        tokens: The ids drawn, those of a stop string included, the final <|endoftext|> not.
        logprobs: ln of each token's probability under the model itself, before temperature and filters (nats).
        finish_reason: A stop string, `max_new_tokens` reached, or the model ended the text.
        top_logprobs: For each token the `n_logprobs` likeliest (id, logprob), best first; empty lists when 0.
        layers_used: For each token the layers that computed it; empty where the model has no early exits.
    """

    text: str
    tokens: list[int]
    logprobs: list[float]
    finish_reason: FinishReason
    top_logprobs: list[list[tuple[int, float]]] = field(default_factory=list)
    layers_used: list[int] = field(default_factory=list)


class Request:
    """The state of one prompt while its text grows.

    Args:
        prompt: Any text; it may be empty. Control tokens in it are plain text.
        index: Its place in the batch; its random numbers depend on this and the seed alone, not on its neighbours.
        tokenizer: The model's own.
        config: Limits, stop strings, seed.

    Raises:
        TokenizerError: The prompt is no Unicode text.
    """

    def __init__(self, prompt: str, index: int, tokenizer: Tokenizer, config: GenerationConfig) -> None:
        self.start = [tokenizer.end_of_text_id, *tokenizer.encode(prompt)]
        self.random = python_generator(config.seed, "generation", index)
        self.text = GrowingText(config.stop)
        self.finish_reason: FinishReason | None = None
        self._tokenizer, self._max_new_tokens = tokenizer, config.max_new_tokens
        self._tokens: list[int] = []
        self._logprobs: list[float] = []
        self._top_logprobs: list[list[tuple[int, float]]] = []
        self._layers_used: list[int] = []

    def take(
        self, token: int, logprob: float, top_logprobs: list[tuple[int, float]], layers_used: int | None = None
    ) -> None:
        """Add a drawn token; sets `finish_reason` when it is the last."""
        if token == self._tokenizer.end_of_text_id:
            self.finish_reason = "end_of_text"
            return
        self._tokens.append(token)
        self._logprobs.append(logprob)
        self._top_logprobs.append(top_logprobs)
        if layers_used is not None:
            self._layers_used.append(layers_used)
        self.text.add(self._tokenizer.decode_bytes([token]))
        if self.text.stopped:
            self.finish_reason = "stop"
        elif len(self._tokens) == self._max_new_tokens:
            self.finish_reason = "length"

    def generation(self) -> Generation:
        """The result; of an unfinished request, as if it ended here."""
        reason = self.finish_reason or "length"
        return Generation(self.text.text, self._tokens, self._logprobs, reason, self._top_logprobs, self._layers_used)

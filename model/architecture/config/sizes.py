"""How big a decoder is, from its configuration alone: nothing is built, no library is loaded.

Counts are exact (the tests compare with built models); FLOPs count a multiply-add as two and leave out what is small
beside matrix products: norms, activations, softmax.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from model.architecture.config import ModelConfig
from model.errors import ConfigError

GATED = {"swiglu", "geglu", "geglu_tanh", "glu"}


@dataclass(frozen=True)
class LayerSize:
    """One layer in numbers.

    Attributes:
        mixer: What mixes tokens, e.g. `attention`.
        feedforward: What each token goes through, e.g. `swiglu`.
        mixer_params: Of the mixer.
        feedforward_params: Of the feed-forward, all experts counted.
        active_params: Matrix weights that one token is multiplied with, on average where a layer is routed.
        norm_params: Of all norms of the block.
        keys_seen: Keys that the last token of a full context looks at; 0 without attention.
        cached_per_token: Numbers that a cache keeps of each token.
        cached_state: Numbers that it keeps of a sequence, whatever its length.
    """

    mixer: str
    feedforward: str
    mixer_params: int
    feedforward_params: int
    active_params: int
    norm_params: int
    keys_seen: int
    cached_per_token: int
    cached_state: int

    @property
    def params(self) -> int:
        """All numbers of the layer."""
        return self.mixer_params + self.feedforward_params + self.norm_params


def num_params(config: ModelConfig) -> int:
    """Numbers in a decoder, tied ones once.

    Raises:
        ConfigError: `vocab_size` is not known yet.
    """
    head = 0 if config.tie_embeddings else _vocabulary(config) * config.d_model
    final_norm = 0 if config.norm.placement == "post" else _norm_params(config)
    positions = config.context_length * config.d_model if config.position.kind == "learned" else 0
    depth = sum(config.is_routed(layer) for layer in range(config.n_layers)) * (config.d_model + 1)
    depth += config.d_model if config.depth.exit_every is not None else 0
    blocks = sum(layer.params for layer in layers(config))
    return embedding_params(config) + positions + blocks + depth + final_norm + head


def active_params(config: ModelConfig) -> int:
    """Matrix weights that one token is multiplied with, the head included, tables that are looked up not."""
    return sum(layer.active_params for layer in layers(config)) + _vocabulary(config) * config.d_model


def forward_flops_per_token(config: ModelConfig, context: int | None = None) -> int:
    """Floating-point operations of one token on its way forward, at the end of a context; training takes three times.

    Two for each active weight, and four for each feature of each head and key seen (Kaplan et al. 2020,
    arXiv:2001.08361, table 1, with the attention's span).

    Args:
        config: The shape.
        context: Tokens before and with it; None: the whole context.
    """
    length = context or config.context_length
    attention = sum(4 * min(layer.keys_seen, length) * config.n_heads * config.head_size for layer in layers(config))
    return 2 * active_params(config) + attention


def cache_bytes_per_token(config: ModelConfig, bytes_per_number: int = 2) -> int:
    """What the cache of one sequence grows by with each token; a byte for each routed layer is left out."""
    return sum(layer.cached_per_token for layer in layers(config)) * bytes_per_number


def cache_bytes(config: ModelConfig, length: int, bytes_per_number: int = 2) -> int:
    """The cache of one sequence of `length` tokens; recurrent states are kept in float32 at most."""
    states = sum(layer.cached_state for layer in layers(config)) * 4
    return cache_bytes_per_token(config, bytes_per_number) * length + states


def layers(config: ModelConfig) -> list[LayerSize]:
    """Every layer in numbers."""
    return [_layer(config, index) for index in range(config.n_layers)]


def embedding_params(config: ModelConfig) -> int:
    """Numbers that make vectors of ids."""
    vocabulary = _vocabulary(config)
    if config.embedding.kind == "plain":
        return vocabulary * config.d_model
    borders = [0, *config.embedding.cutoffs, vocabulary]
    widths = [config.d_model // config.embedding.narrowing**i for i in range(len(borders) - 1)]
    return sum((high - low + config.d_model) * w for low, high, w in zip(borders, borders[1:], widths, strict=False))


def _vocabulary(config: ModelConfig) -> int:
    if config.vocab_size is None:
        raise ConfigError("vocab_size is not known yet; it comes from the tokenizer, or give one")
    return config.vocab_size


def _layer(config: ModelConfig, layer: int) -> LayerSize:
    mixer = config.mixer(layer)
    mixer_params, mixer_matrices, state = MIXERS[mixer](config, layer)
    feedforward_params, feedforward_matrices, feedforward_state = _feedforward(config, layer)
    attends = mixer == "attention"
    share = config.depth.capacity if config.is_routed(layer) else 1.0
    routed = "routed " if config.is_routed(layer) else ""
    shared = f", keys of {config.keys_of(layer)}" if attends and kv_heads(config, layer) == 0 else ""
    norms = {"pre": 2, "post": 2, "sandwich": 4}[config.norm.placement] - (config.feedforward.kind == "none")
    return LayerSize(
        mixer=routed + (f"{config.span(layer)} attention{shared}" if attends else mixer.replace("_", "-")),
        feedforward=_feedforward_name(config, layer),
        mixer_params=mixer_params,
        feedforward_params=feedforward_params,
        active_params=round(share * (mixer_matrices + feedforward_matrices)),
        norm_params=norms * _norm_params(config),
        keys_seen=keys_seen(config, layer, config.context_length) if attends else 0,
        cached_per_token=2 * kv_heads(config, layer) * config.head_size if attends else 0,
        cached_state=state + feedforward_state,
    )


def kv_heads(config: ModelConfig, layer: int) -> int:
    """Heads of keys and values that an attention layer has of its own: none where it uses another layer's."""
    return config.n_kv_heads if config.keys_of(layer) == layer else 0


def keys_seen(config: ModelConfig, layer: int, length: int) -> int:
    """Keys that the last of `length` tokens looks at in an attention layer."""
    options = config.attention
    window = min(options.window or length, length)
    own = (length - 1) % options.block + 1
    return {
        "full": length,
        "sliding": window,
        "dilated": min(window, -(-length // options.dilation)),
        "sinks": min(length, window + options.sinks),
        "block_sparse": own + (length - own) // options.block * options.block_summary,
    }[config.span(layer)]


def _norm_params(config: ModelConfig) -> int:
    return config.d_model * (2 if config.norm.kind == "layer" else 1)


def _attention(config: ModelConfig, layer: int) -> tuple[int, int, int]:
    """(parameters, matrix weights, numbers of state)."""
    size, options, own_heads = config.head_size, config.attention, kv_heads(config, layer)
    n_in, n_out = (config.n_heads + 2 * own_heads) * size, config.n_heads * size
    gate = config.d_model * {"none": 0, "head": config.n_heads, "feature": n_out}[options.gate]
    matrices = config.d_model * (n_in + n_out) + gate
    biases = {"none": 0, "qkv": n_in, "all": n_in + config.d_model}[options.bias]
    norms = {"none": 0, "rms": size * (2 if own_heads else 1)}[config.norm.qk]
    return matrices + biases + norms, matrices, 0


def _attention_free(config: ModelConfig, layer: int) -> tuple[int, int, int]:
    del layer
    matrices = 4 * config.d_model**2
    return matrices, matrices, 3 * config.d_model


def _convolution(config: ModelConfig, layer: int) -> tuple[int, int, int]:
    del layer
    width, matrices = config.recurrent.convolution, 4 * config.d_model**2
    return matrices + config.d_model * width, matrices, config.d_model * (width - 1)


def _mamba(config: ModelConfig, layer: int) -> tuple[int, int, int]:
    del layer
    options = config.recurrent
    features, rank = options.expand * config.d_model, options.step_rank or -(-config.d_model // 16)
    matrices = features * (3 * config.d_model + 2 * rank + 2 * options.state)
    vectors = features * (2 + options.convolution + options.convolution_bias + options.state)
    biases = (2 * features + config.d_model) * options.bias
    return matrices + vectors + biases, matrices, features * (options.state + options.convolution - 1)


MIXERS: dict[str, Callable[[ModelConfig, int], tuple[int, int, int]]] = {
    "attention": _attention, "attention_free": _attention_free, "convolution": _convolution, "mamba": _mamba,
}  # fmt: skip


def _feedforward(config: ModelConfig, layer: int) -> tuple[int, int, int]:
    """(parameters, matrix weights of one token, numbers of state)."""
    options, kind = config.feedforward, config.feedforward.kind
    if kind == "none":
        return 0, 0, 0
    halves = 2 if kind in GATED else 1
    matrices = (halves + 1) * config.d_model * config.d_ff
    if config.experts is not None and config.has_experts(layer):
        experts = config.experts
        shared = (halves + 1) * config.d_model * experts.shared_d_ff
        router = config.d_model * experts.n_experts
        thresholds = experts.n_experts if experts.routing == "expert_choice" else 0
        return (
            experts.n_experts * matrices + shared + router + thresholds,
            experts.top_k * matrices + shared + router,
            0,
        )
    biases = (halves * config.d_ff + config.d_model) * options.bias
    if kind == "depthwise":
        filters = config.d_ff * (options.width + options.bias)
        return matrices + biases + filters, matrices, config.d_ff * (options.width - 1)
    return matrices + biases, matrices, 0


def _feedforward_name(config: ModelConfig, layer: int) -> str:
    if config.experts is not None and config.has_experts(layer):
        return f"{config.experts.top_k} of {config.experts.n_experts} {config.feedforward.kind} experts"
    return config.feedforward.kind

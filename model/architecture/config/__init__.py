"""The shape of a decoder, the `pretrain.model` section of `params.yaml`."""

from __future__ import annotations

from pydantic import Field, model_validator

from model.architecture.config import patterns
from model.architecture.config.options import (
    AttentionConfig,
    DepthConfig,
    EmbeddingConfig,
    ExpertsConfig,
    FeedForwardConfig,
    InitializationConfig,
    NormConfig,
    PositionConfig,
    RecurrentConfig,
)
from model.configuration import StrictConfig, unit

WINDOWED = {"sliding", "dilated", "sinks"}
MOST_LAYERS = 256


class ModelConfig(StrictConfig):
    """A decoder: everything that decides which tensors exist and what they compute.

    The defaults are Llama (Touvron et al. 2023, arXiv:2302.13971), with grouped-query attention (Ainslie et al. 2023,
    arXiv:2305.13245) and tied embeddings, so that `transformers` opens the result as `LlamaForCausalLM`. Each section
    below swaps one part; options.py says for what.
    """

    vocab_size: int | None = Field(
        None, ge=2, le=1_000_000, description="left empty: the tokenizer decides", json_schema_extra=unit("tokens")
    )
    n_layers: int = Field(4, ge=1, le=MOST_LAYERS, description="decoder blocks")
    d_model: int = Field(
        256, ge=8, le=16384, description="width of the residual stream", json_schema_extra=unit("features")
    )
    n_heads: int = Field(4, ge=1, le=256, description="query heads; divides d_model")
    n_kv_heads: int = Field(
        4, ge=1, le=256, description="key/value heads; divides n_heads, fewer is grouped-query attention"
    )
    head_dim: int | None = Field(
        None, ge=2, le=1024, description="width of a head; empty: d_model / n_heads", json_schema_extra=unit("features")
    )
    d_ff: int = Field(
        768, ge=8, le=65536, description="width inside the feed-forward", json_schema_extra=unit("features")
    )
    context_length: int = Field(
        256, ge=8, le=131072, description="longest sequence seen in training", json_schema_extra=unit("tokens")
    )
    rope_theta: float = Field(10000.0, gt=1, description="base of the rotary frequencies")
    norm_eps: float = Field(1e-5, gt=0, le=0.1, description="added to the mean square in the norms")
    tie_embeddings: bool = Field(True, description="the output head uses the embedding's weights")
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="after embedding, attention and feed-forward, in training only",
        json_schema_extra=unit("probability"),
    )
    mixers: str = Field(
        "A", description="what mixes tokens, by layer: A attention, F attention-free, C convolution, M Mamba"
    )
    norm: NormConfig = Field(NormConfig(), description="normalization")
    position: PositionConfig = Field(PositionConfig(), description="where a token stands")
    attention: AttentionConfig = Field(AttentionConfig(), description="what attention looks at, and how")
    recurrent: RecurrentConfig = Field(RecurrentConfig(), description="mixers F, C and M")
    feedforward: FeedForwardConfig = Field(FeedForwardConfig(), description="what each token goes through alone")
    experts: ExpertsConfig | None = Field(None, description="a mixture of experts as feed-forward; empty: none")
    depth: DepthConfig = Field(DepthConfig(), description="how many layers a token goes through")
    embedding: EmbeddingConfig = Field(EmbeddingConfig(), description="from ids to vectors")
    logit_softcap: float | None = Field(None, gt=0, description="logits are kept below this by tanh; empty: not")
    initialization: InitializationConfig = Field(
        InitializationConfig(), description="the weights before the first step"
    )

    @model_validator(mode="after")
    def _heads_fit(self) -> ModelConfig:
        if self.head_dim is None and self.d_model % self.n_heads:
            raise ValueError(f"d_model {self.d_model} is not a multiple of n_heads {self.n_heads}; change one of them")
        if self.position.kind == "rope" and self.head_size % 2:
            name = "d_model / n_heads" if self.head_dim is None else "head_dim"
            raise ValueError(f"{name} = {self.head_size} must be even for rotary positions")
        if self.n_heads % self.n_kv_heads:
            raise ValueError(f"n_heads {self.n_heads} is not a multiple of n_kv_heads {self.n_kv_heads}; change one")
        return self

    @model_validator(mode="after")
    def _patterns_fit(self) -> ModelConfig:
        patterns.check_pattern("mixers", self.mixers, patterns.MIXERS, self.n_layers)
        patterns.check_pattern("attention.pattern", self.attention.pattern, patterns.SPANS, self.n_layers)
        patterns.check_pattern("position.pattern", self.position.pattern, patterns.POSITIONS, self.n_layers)
        if self.feedforward.kind == "none" and self.norm.placement != "pre":
            raise ValueError(
                f"feedforward.kind none has no place for norm.placement {self.norm.placement}; set it to pre"
            )
        if self.experts is not None:
            patterns.check_pattern("experts.pattern", self.experts.pattern, patterns.FEEDFORWARDS, self.n_layers)
        return self

    @model_validator(mode="after")
    def _attention_fits(self) -> ModelConfig:
        spans, window = patterns.used(self.attention.pattern, patterns.SPANS), self.attention.window
        if window is None and spans & WINDOWED:
            raise ValueError(
                f"attention.pattern {self.attention.pattern!r} needs attention.window; set it to at most "
                f"context_length {self.context_length}"
            )
        if window is not None and not spans & WINDOWED:
            raise ValueError(
                f"attention.window {window} is used by no layer of attention.pattern {self.attention.pattern!r}; use a "
                "pattern with S, D or K, or leave the window empty"
            )
        if window is not None and window > self.context_length:
            raise ValueError(
                f"attention.window {window} is larger than context_length {self.context_length}; lower it, or use L"
            )
        if self.attention.block_summary > self.attention.block:
            raise ValueError(
                f"attention.block_summary {self.attention.block_summary} is more than attention.block "
                f"{self.attention.block}; lower it"
            )
        if self.attention.softcap is not None and self.dropout > 0:
            raise ValueError("attention.softcap and dropout do not go together; set dropout to 0")
        return self

    @model_validator(mode="after")
    def _positions_fit(self) -> ModelConfig:
        kind = self.position.kind
        if kind != "rope" and self.position.scaling.kind != "none":
            raise ValueError(f"position.scaling is of rotary positions, position.kind is {kind}; set it to kind: none")
        if kind not in {"rope", "alibi"} and "N" in self.position.pattern:
            raise ValueError(f"position.pattern {self.position.pattern!r}: {kind} is the same for all layers; use P")
        if kind == "sinusoidal" and self.d_model % 2:
            raise ValueError(f"d_model {self.d_model} must be even for sinusoidal positions")
        return self

    @model_validator(mode="after")
    def _sharing_fits(self) -> ModelConfig:
        share, n_attention = self.attention.share_layers, len(self.attention_layers)
        if share == 1:
            return self
        if share > n_attention:
            raise ValueError(
                f"attention.share_layers {share} is more than the {n_attention} attention layers of mixers "
                f"{self.mixers!r} and n_layers {self.n_layers}; lower it"
            )
        if "R" in self.depth.pattern:
            raise ValueError(
                f"attention.share_layers {share} and depth.pattern {self.depth.pattern!r} do not go together: a routed "
                "layer hides the tokens that pass it by from its own keys only; use one of the two"
            )
        for layer in self.attention_layers:
            source = self.keys_of(layer)
            if self.positions(layer) != self.positions(source):
                raise ValueError(
                    f"attention.share_layers {share}: layer {layer} has positions {self.positions(layer)}, and layer "
                    f"{source}, whose keys it uses, {self.positions(source)}; give both one letter in position.pattern"
                )
        return self

    @model_validator(mode="after")
    def _experts_fit(self) -> ModelConfig:
        if self.experts is None:
            return self
        if self.experts.top_k > self.experts.n_experts:
            raise ValueError(
                f"experts.top_k {self.experts.top_k} is more than experts.n_experts {self.experts.n_experts}; lower it"
            )
        if self.feedforward.sparsity_loss:
            raise ValueError("feedforward.sparsity_loss watches dense feed-forwards only; set it to 0 with experts")
        if self.feedforward.kind in {"none", "conv1", "depthwise"} or self.feedforward.bias:
            raise ValueError(
                "experts: an expert is a gated unit or a plain activation without bias; choose another "
                f"feedforward.kind than {self.feedforward.kind}, and feedforward.bias false"
            )
        return self

    @model_validator(mode="after")
    def _depths_fit(self) -> ModelConfig:
        patterns.check_pattern("depth.pattern", self.depth.pattern, patterns.DEPTHS, self.n_layers)
        every = self.depth.exit_every
        if every is not None and every >= self.n_layers:
            raise ValueError(
                f"depth.exit_every {every} leaves no exit before the last of n_layers {self.n_layers}; lower it"
            )
        if every is None and "R" not in self.depth.pattern:
            return self
        if set(self.mixers) != {"A"} or self.feedforward.kind == "depthwise":
            raise ValueError(
                "depth: tokens can only leave out attention and feed-forwards without a state; set mixers to A and "
                "feedforward.kind to another than depthwise"
            )
        return self

    @model_validator(mode="after")
    def _embeddings_fit(self) -> ModelConfig:
        adaptive, cutoffs = self.embedding.kind == "adaptive", self.embedding.cutoffs
        if adaptive != bool(cutoffs):
            raise ValueError("embedding.cutoffs: adaptive embeddings need at least one, plain ones take none")
        if not adaptive:
            return self
        if list(cutoffs) != sorted(set(cutoffs)):
            raise ValueError(f"embedding.cutoffs {list(cutoffs)} must rise; sort them")
        if self.vocab_size is not None and cutoffs[-1] >= self.vocab_size:
            raise ValueError(f"embedding.cutoffs: {cutoffs[-1]} is not below vocab_size {self.vocab_size}; lower it")
        if self.tie_embeddings:
            raise ValueError("embedding.kind adaptive has no rows for the head to use; set tie_embeddings to false")
        if self.d_model // self.embedding.narrowing ** len(cutoffs) < 1:
            raise ValueError(f"embedding: d_model {self.d_model} is too narrow for {len(cutoffs)} cutoffs; give fewer")
        return self

    @property
    def head_size(self) -> int:
        """Features of one head."""
        return self.head_dim if self.head_dim is not None else self.d_model // self.n_heads

    def mixer(self, layer: int) -> str:
        """What mixes tokens in a layer: a value of `patterns.MIXERS`."""
        return patterns.of_layer(self.mixers, layer, patterns.MIXERS)

    @property
    def attention_layers(self) -> list[int]:
        """The layers whose mixer is attention."""
        return [layer for layer in range(self.n_layers) if self.mixer(layer) == "attention"]

    def keys_of(self, layer: int) -> int:
        """The layer whose keys and values an attention layer looks at: itself, or the first of its group."""
        index = self.attention_layers.index(layer)
        return self.attention_layers[index - index % self.attention.share_layers]

    @property
    def cached_layers(self) -> list[int]:
        """The layers that have keys and values of their own, which a cache keeps."""
        return self.attention_layers[:: self.attention.share_layers]

    def span(self, layer: int) -> str:
        """What attention sees in a layer: a value of `patterns.SPANS`."""
        return patterns.of_layer(self.attention.pattern, layer, patterns.SPANS)

    def positions(self, layer: int) -> str:
        """How attention in a layer knows distances: `rope`, `alibi` or `none`."""
        here = patterns.of_layer(self.position.pattern, layer, patterns.POSITIONS) == "positions"
        return self.position.kind if here and self.position.kind in {"rope", "alibi"} else "none"

    def has_experts(self, layer: int) -> bool:
        """Whether a layer's feed-forward is a mixture of experts."""
        return self.experts is not None and (
            patterns.of_layer(self.experts.pattern, layer, patterns.FEEDFORWARDS) == "experts"
        )

    def is_routed(self, layer: int) -> bool:
        """Whether only some tokens go through a layer."""
        return patterns.of_layer(self.depth.pattern, layer, patterns.DEPTHS) == "routed"

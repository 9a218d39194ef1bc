"""What each part of the decoder may be; `ModelConfig` (config.py) composes them and refuses what does not fit.

The names in `kind` are the keys of the dictionaries that build the parts: `NORMS` in norm.py, `FEEDFORWARDS` in
feedforward.py, and so on. Layer patterns are explained in patterns.py.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from model.configuration import StrictConfig, unit

Width = Annotated[int, Field(ge=1, le=65536)]


class NormConfig(StrictConfig):
    """What keeps the residual stream at one size."""

    kind: Literal["rms", "layer", "layer_no_bias"] = Field(
        "rms", description="RMSNorm, or LayerNorm with or without bias: rms, layer, layer_no_bias"
    )
    placement: Literal["pre", "post", "sandwich"] = Field(
        "pre",
        description="before a part, after the sum (2017), or before and after a part (Gemma 2): pre, post, sandwich",
    )
    qk: Literal["none", "rms"] = Field("none", description="rms: queries and keys of each head are normalized (Qwen 3)")


class NoScaling(StrictConfig):
    """Rotary positions as they were trained."""

    kind: Literal["none"] = "none"


class LinearScaling(StrictConfig):
    """All positions divided by a factor (Chen et al. 2023, arXiv:2306.15595)."""

    kind: Literal["linear"] = "linear"
    factor: float = Field(ge=1, le=1000, description="how many times longer the context becomes")


class NtkScaling(StrictConfig):
    """A larger base, so that fast frequencies stay and slow ones stretch (bloc97 2023, "NTK-aware")."""

    kind: Literal["ntk"] = "ntk"
    factor: float = Field(ge=1, le=1000, description="how many times longer the context becomes")


class YarnScaling(StrictConfig):
    """Frequencies stretched by their wavelength, attention sharpened (Peng et al. 2023, arXiv:2309.00071)."""

    kind: Literal["yarn"] = "yarn"
    factor: float = Field(ge=1, le=1000, description="how many times longer the context becomes")
    original_context: int = Field(ge=8, description="context before the scaling", json_schema_extra=unit("tokens"))
    beta_fast: float = Field(32.0, gt=0, description="frequencies that turn more often in it stay")
    beta_slow: float = Field(1.0, gt=0, description="frequencies that turn less often in it stretch fully")


class Llama3Scaling(StrictConfig):
    """Slow frequencies stretched, fast ones kept, smooth between (Grattafiori et al. 2024, arXiv:2407.21783)."""

    kind: Literal["llama3"] = "llama3"
    factor: float = Field(ge=1, le=1000, description="how many times longer the context becomes")
    original_context: int = Field(ge=8, description="context before the scaling", json_schema_extra=unit("tokens"))
    low_freq_factor: float = Field(1.0, gt=0, description="waves longer than original_context / this stretch fully")
    high_freq_factor: float = Field(4.0, gt=0, description="waves shorter than original_context / this stay")


Scaling = Annotated[NoScaling | LinearScaling | NtkScaling | YarnScaling | Llama3Scaling, Field(discriminator="kind")]


class PositionConfig(StrictConfig):
    """How the network knows where a token stands."""

    kind: Literal["rope", "learned", "sinusoidal", "alibi", "none"] = Field(
        "rope",
        description="rotated queries and keys, an added table (learned or fixed), a bias by distance, or nothing: "
        "rope, learned, sinusoidal, alibi, none",
    )
    pattern: str = Field("P", description="layers with positions: P with, N without (rope and alibi)")
    scaling: Scaling = Field(
        NoScaling(),
        description="of rotary positions, for a longer context than was trained: none, linear, ntk, yarn, llama3",
    )


class AttentionConfig(StrictConfig):
    """What attention looks at, and how."""

    pattern: str = Field(
        "L", description="who sees what, by layer: L all before, S sliding, D dilated, K sinks, B block-sparse"
    )
    window: int | None = Field(
        None, ge=1, le=131072, description="keys seen by S, D and K", json_schema_extra=unit("tokens")
    )
    dilation: int = Field(2, ge=1, le=1024, description="D: distance between keys", json_schema_extra=unit("tokens"))
    sinks: int = Field(4, ge=1, le=1024, description="K: first tokens always seen", json_schema_extra=unit("tokens"))
    block: int = Field(64, ge=1, le=4096, description="B: own block seen whole", json_schema_extra=unit("tokens"))
    block_summary: int = Field(
        8, ge=1, le=4096, description="B: last tokens of each earlier block seen", json_schema_extra=unit("tokens")
    )
    share_layers: int = Field(
        1, ge=1, le=256, description="attention layers in a row that use the keys and values of the first; 1: none do",
        json_schema_extra=unit("layers"),
    )  # fmt: skip
    bias: Literal["none", "qkv", "all"] = Field("none", description="biases of the projections: none, qkv, all")
    gate: Literal["none", "head", "feature"] = Field(
        "none", description="a sigmoid gate on the result, one number for each head or feature"
    )
    softcap: float | None = Field(None, gt=0, description="scores are kept below this by tanh (Gemma 2); empty: not")
    scale: float | None = Field(None, gt=0, description="multiplies the scores; empty: 1 / sqrt(head size)")


class FeedForwardConfig(StrictConfig):
    """What each token goes through alone."""

    kind: Literal[
        "swiglu", "geglu", "geglu_tanh", "glu", "relu", "relu2", "gelu", "gelu_tanh", "gelu_table", "silu",
        "conv1", "depthwise", "none",
    ] = Field(
        "swiglu",
        description="gated unit, plain activation, convolution, or none (Mamba): swiglu, geglu, geglu_tanh, glu, relu, "
        "relu2, gelu, gelu_tanh, gelu_table, silu, conv1, depthwise, none",
    )  # fmt: skip
    bias: bool = Field(False, description="biases of its projections")
    sparsity_loss: float = Field(
        0.0, ge=0, le=100, description="weight of the mean size of activations, which makes more of them zero; 0 is off"
    )
    width: int = Field(
        3, ge=2, le=64, description="depthwise: tokens of the convolution", json_schema_extra=unit("tokens")
    )


class RecurrentConfig(StrictConfig):
    """The mixers that are not attention: F attention-free, C convolution, M Mamba."""

    convolution: int = Field(
        4, ge=2, le=64, description="tokens of the convolution in C and M", json_schema_extra=unit("tokens")
    )
    state: int = Field(16, ge=1, le=256, description="M: state of each feature", json_schema_extra=unit("numbers"))
    expand: int = Field(2, ge=1, le=8, description="M: features inside over d_model")
    step_rank: int | None = Field(
        None, ge=1, le=65536, description="M: rank of the step sizes; empty: d_model / 16, rounded up"
    )
    convolution_bias: bool = Field(True, description="M: the convolution has a bias")
    bias: bool = Field(False, description="M: the projections in and out have biases")


class ExpertsConfig(StrictConfig):
    """A mixture of experts in place of one feed-forward (Shazeer et al. 2017, arXiv:1701.06538)."""

    n_experts: int = Field(8, ge=1, le=1024, description="feed-forwards of width d_ff to choose from")
    top_k: int = Field(2, ge=1, le=1024, description="experts that a token goes through (on average: expert_choice)")
    routing: Literal["top_k", "expert_choice"] = Field(
        "top_k", description="tokens choose experts, or the reverse: top_k, expert_choice"
    )
    capacity: float | None = Field(
        None, gt=0, le=1024, description="in training an expert takes at most this times its fair share; empty: all"
    )
    shared_d_ff: int = Field(
        0, ge=0, le=65536, description="width of an expert for every token", json_schema_extra=unit("features")
    )
    pattern: str = Field("E", description="layers with experts: E experts, D one dense feed-forward")
    load_balance_loss: float = Field(0.01, ge=0, le=10, description="weight of the loss that spreads tokens evenly")
    z_loss: float = Field(0.001, ge=0, le=10, description="weight of the loss that keeps the router's logits small")


class DepthConfig(StrictConfig):
    """How many layers a token goes through."""

    pattern: str = Field("F", description="who goes through, by layer: F every token, R routed (mixture of depths)")
    capacity: float = Field(
        0.125, gt=0, lt=1, description="R: share of tokens that the layer computes", json_schema_extra=unit("share")
    )
    exit_every: int | None = Field(
        None, ge=1, le=256, description="early exits after so many layers each; empty: none",
        json_schema_extra=unit("layers"),
    )  # fmt: skip
    exit_loss: float = Field(0.5, ge=0, le=10, description="weight of the exits' cross-entropies and confidence")


class EmbeddingConfig(StrictConfig):
    """From ids to vectors."""

    kind: Literal["plain", "adaptive"] = Field("plain", description="adaptive: rare tokens get narrower vectors")
    cutoffs: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (), max_length=8, description="adaptive: ids where a narrower cluster begins", json_schema_extra=unit("ids")
    )
    narrowing: int = Field(4, ge=2, le=16, description="adaptive: each cluster is so many times narrower")
    scale: Literal["one", "sqrt_width"] = Field(
        "one", description="what the vectors are multiplied by: one, sqrt_width (Gemma)"
    )
    noise: float = Field(
        0.0, ge=0, le=100, description="NEFTune: uniform noise in training, times 1 / sqrt(tokens * d_model)"
    )


class MuPBase(StrictConfig):
    """The small model that hyperparameters were tuned on; widths scale from it."""

    d_model: Width = Field(256, description="width of the base model", json_schema_extra=unit("features"))
    head_size: Width = Field(64, description="head size of the base model", json_schema_extra=unit("features"))


class InitializationConfig(StrictConfig):
    """The weights before the first step."""

    kind: Literal["gpt2", "normal", "kaiming", "xavier", "mup"] = Field(
        "gpt2", description="normal with small residual projections (gpt2), normal, kaiming, xavier, mup"
    )
    std: float = Field(0.02, gt=0, le=10, description="standard deviation (gpt2, normal; mup: at the base width)")
    base: MuPBase = Field(MuPBase(), description="mup: where widths scale from")

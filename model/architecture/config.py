"""The shape of a decoder, the `pretrain.model` section of `params.yaml`."""

from __future__ import annotations

from pydantic import Field, model_validator

from model.configuration import StrictConfig, unit


class ModelConfig(StrictConfig):
    """A decoder of the Llama family: everything that decides which tensors exist and what they compute.

    Architecture: Touvron et al. 2023, "LLaMA" (arXiv:2302.13971), with grouped-query attention (Ainslie et al. 2023,
    arXiv:2305.13245) and tied embeddings, so that `transformers` opens the result as `LlamaForCausalLM`.
    """

    vocab_size: int | None = Field(
        None, ge=2, le=1_000_000, description="left empty: the tokenizer decides", json_schema_extra=unit("tokens")
    )
    n_layers: int = Field(4, ge=1, le=256, description="decoder blocks")
    d_model: int = Field(
        256, ge=8, le=16384, description="width of the residual stream", json_schema_extra=unit("features")
    )
    n_heads: int = Field(4, ge=1, le=256, description="query heads; divides d_model")
    n_kv_heads: int = Field(
        4, ge=1, le=256, description="key/value heads; divides n_heads, fewer is grouped-query attention"
    )
    d_ff: int = Field(
        768, ge=8, le=65536, description="width inside the feed-forward", json_schema_extra=unit("features")
    )
    context_length: int = Field(
        256, ge=8, le=131072, description="longest sequence seen in training", json_schema_extra=unit("tokens")
    )
    rope_theta: float = Field(10000.0, gt=1, description="base of the rotary frequencies")
    norm_eps: float = Field(1e-5, gt=0, le=0.1, description="added to the mean square in RMSNorm")
    tie_embeddings: bool = Field(True, description="the output head uses the embedding's weights")
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="after embedding, attention and feed-forward, in training only",
        json_schema_extra=unit("probability"),
    )

    @model_validator(mode="after")
    def _heads_fit(self) -> ModelConfig:
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model {self.d_model} is not a multiple of n_heads {self.n_heads}; change one of them")
        if self.head_size % 2:
            raise ValueError(f"d_model / n_heads = {self.head_size} must be even for rotary positions")
        if self.n_heads % self.n_kv_heads:
            raise ValueError(f"n_heads {self.n_heads} is not a multiple of n_kv_heads {self.n_kv_heads}; change one")
        return self

    @property
    def head_size(self) -> int:
        """Features of one head."""
        return self.d_model // self.n_heads

    def num_params(self) -> int:
        """Trainable numbers, known before anything is built (needs `vocab_size`)."""
        if self.vocab_size is None:
            raise ValueError("vocab_size is not known yet")
        attention = self.d_model * self.head_size * (2 * self.n_heads + 2 * self.n_kv_heads)
        block = attention + 3 * self.d_model * self.d_ff + 2 * self.d_model
        embeddings = self.vocab_size * self.d_model * (1 if self.tie_embeddings else 2)
        return self.n_layers * block + embeddings + self.d_model

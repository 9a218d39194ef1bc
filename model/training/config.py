"""The `pretrain` section of `params.yaml`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from model.architecture.config import ModelConfig
from model.configuration import StrictConfig, unit
from model.dataset.config import DataConfig


class LossConfig(StrictConfig):
    """What is added to the cross-entropy of the next token; zeros add nothing."""

    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of each target that is spread over all tokens",
        json_schema_extra=unit("probability"),
    )
    z_loss: float = Field(
        0.0, ge=0, le=1, description="weight of the squared log-sum-exp of the logits, which keeps them small"
    )


class PretrainConfig(StrictConfig):
    """Everything that decides which weights come out of pretraining."""

    from_model: str | None = Field(
        None,
        alias="from",
        min_length=1,
        description="start from the weights of a model that exists: its folder, or registry:VERSION; empty: at random",
    )
    model: ModelConfig = Field(default_factory=ModelConfig, description="the network's shape")
    data: DataConfig = Field(DataConfig(), description="what a batch is made of: mixture, packing, order")
    steps: int = Field(1200, ge=1, le=100_000_000, description="optimizer steps", json_schema_extra=unit("steps"))
    batch_sequences: int = Field(
        8,
        ge=1,
        le=65536,
        description="sequences of model.context_length in one step",
        json_schema_extra=unit("sequences"),
    )
    optimizer: Literal["muon", "adamw"] = Field(
        "muon",
        description="muon: Muon for the matrices inside the blocks, fused AdamW for the rest; adamw: AdamW for all",
    )
    learning_rate: float = Field(
        0.003,
        gt=0,
        le=1,
        description="peak of AdamW (and of Muon, whose updates are scaled to AdamW's size)",
        json_schema_extra=unit("per step"),
    )
    schedule: Literal["cosine", "linear", "constant"] = Field("cosine", description="decay after the warmup")
    warmup_steps: int = Field(
        50, ge=0, description="linear rise from 0 to learning_rate", json_schema_extra=unit("steps")
    )
    final_learning_rate_fraction: float = Field(
        0.0, ge=0, le=1, description="share of learning_rate left at the last step"
    )
    weight_decay: float = Field(0.1, ge=0, le=10, description="decoupled; on matrices only")
    beta1: float = Field(0.9, ge=0, lt=1, description="AdamW: decay of the mean gradient")
    beta2: float = Field(0.95, ge=0, lt=1, description="AdamW: decay of the mean squared gradient")
    momentum: float = Field(0.95, ge=0, lt=1, description="Muon: momentum (Nesterov)")
    loss: LossConfig = Field(LossConfig(), description="what is added to the cross-entropy")
    clip_norm: float = Field(1.0, gt=0, le=1e6, description="largest global gradient norm")
    dtype: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="of the matrix products; auto: bf16 where the device computes in it, else fp32"
    )
    seed: int = Field(0, ge=0, le=2**31, description="of weights, data order and dropout")
    validate_every_steps: int = Field(100, ge=1, description="validation interval", json_schema_extra=unit("steps"))
    validation_tokens: int = Field(
        131072,
        ge=1,
        description="first tokens of the validation split that an interval looks at",
        json_schema_extra=unit("tokens"),
    )
    log_every_steps: int = Field(
        10, ge=1, description="interval of logged training figures", json_schema_extra=unit("steps")
    )
    checkpoint_every_steps: int = Field(
        100, ge=1, description="most steps that a kill can cost", json_schema_extra=unit("steps")
    )
    keep_checkpoints: int = Field(2, ge=2, le=1000, description="generations kept; never fewer than two")

    @model_validator(mode="after")
    def _warmup_fits(self) -> PretrainConfig:
        if self.warmup_steps > self.steps:
            raise ValueError(f"warmup_steps {self.warmup_steps} is more than steps {self.steps}; lower it")
        if self.model.vocab_size is not None:
            raise ValueError("model.vocab_size comes from the tokenizer; set tokenizer.vocab_size and remove it here")
        for stage in self.data.stages:
            if self.model.context_length % stage.context_length:
                raise ValueError(
                    f"data.stages: context_length {stage.context_length} does not divide model.context_length "
                    f"{self.model.context_length}; choose one that does, so that every step has the same tokens"
                )
        return self

"""One decoder block: attention and feed-forward, each behind a norm, each added to the residual stream."""

from __future__ import annotations

from torch import Tensor, nn

from model.architecture.attention import Attention, AttentionContext
from model.architecture.config import ModelConfig
from model.architecture.feedforward import SwiGLU
from model.architecture.norm import RMSNorm


class Block(nn.Module):
    """Pre-norm block of Llama."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.d_model, config.norm_eps)
        self.attention = Attention(config, layer)
        self.feedforward_norm = RMSNorm(config.d_model, config.norm_eps)
        self.feedforward = SwiGLU(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x_BTD: Tensor, context: AttentionContext) -> Tensor:
        """(batch, time, d_model) -> (batch, time, d_model)."""
        x_BTD = x_BTD + self.dropout(self.attention(self.attention_norm(x_BTD), context))
        y_BTD: Tensor = x_BTD + self.dropout(self.feedforward(self.feedforward_norm(x_BTD)))
        return y_BTD

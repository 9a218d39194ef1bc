"""From the residual stream to logits: the last norm, the readout's scale, the head."""

from __future__ import annotations

from torch import Tensor, nn

from model.architecture.attention import Scale
from model.architecture.config import ModelConfig
from model.architecture.linear import Linear
from model.architecture.norm import build_norm
from model.architecture.soft_cap import soft_capped


class SoftCappedHead(Linear):
    """Logits kept below `cap` by tanh (Gemma 2, arXiv:2408.00118, section 2.2).

    Args:
        features: Width of the residual stream.
        vocab_size: Tokens.
        cap: Bound of the logits' size.
    """

    def __init__(self, features: int, vocab_size: int, cap: float) -> None:
        super().__init__(features, vocab_size)
        self.cap = cap

    def forward(self, x: Tensor) -> Tensor:
        """(..., d_model) -> (..., vocab), in x's dtype."""
        return soft_capped(super().forward(x), self.cap)

    by_weights_alone = forward  # and by the cap: see `loss.py`


def build_head(config: ModelConfig) -> Linear:
    """The head; a tied one gets its weights from the embedding."""
    vocab_size = config.vocab_size or 0
    if config.logit_softcap is not None:
        return SoftCappedHead(config.d_model, vocab_size, config.logit_softcap)
    return Linear(config.d_model, vocab_size)


def build_final_norm(config: ModelConfig) -> nn.Module:
    """The norm before the head; a block with norms after its sums ends with one already."""
    return nn.Identity() if config.norm.placement == "post" else build_norm(config)


def build_readout(config: ModelConfig) -> nn.Module:
    """What the stream is multiplied by before the head.

    muP makes logits smaller as the width grows (Yang et al. 2022, arXiv:2203.03466, table 8, in its form for tied
    embeddings: a multiplier of base width / width).
    """
    if config.initialization.kind == "mup":
        return Scale(config.initialization.base.d_model / config.d_model)
    return nn.Identity()

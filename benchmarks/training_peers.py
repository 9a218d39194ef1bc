"""One training step by TissLM and by what a user would take instead: same shape, batch, dtype and threads.

Every contestant makes whole optimizer steps: forward, cross-entropy, backward, clip at 1.0, AdamW (fused but for
nanoGPT as shipped). The weights are float32; in bf16 the peers compute under autocast, TissLM in its bfloat16 stream.
Feed-forwards are SwiGLU at 8/3 of the width everywhere but in nanoGPT, which has two matrices at 4 times the width,
LayerNorm and learned positions: its parameters differ by some per cent.

nanoGPT takes part when `NANOGPT` names a checkout's `model.py`, litgpt when it can be imported or `LITGPT` names a
checkout.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.network_shapes import DTYPES, Shape
from model.architecture.decoder import Decoder, initialize
from model.architecture.interop import to_hugging_face
from model.training.config import PretrainConfig
from model.training.objectives import training_loss
from model.training.optimizers import build_optimizers
from model.training.step import train_step

EXPLICIT_LONGEST = 512
"""Beyond this context, and in fp32, nanoGPT's explicit attention is not the faster one."""
Loss = Callable[[Tensor, Tensor], Tensor]
Step = Callable[[Tensor, Tensor], object]


@dataclass(frozen=True)
class Contestant:
    """A network and what one does with it.

    Attributes:
        network: Its weights, float32.
        loss: Mean cross-entropy of targets (batch, time) int64 after inputs of the same shape.
        step: One optimizer step on them.
    """

    network: nn.Module
    loss: Loss
    step: Step

    def forward(self, inputs: Tensor, targets: Tensor) -> float:
        """The loss alone, as in validation."""
        self.network.eval()
        with torch.no_grad():
            loss = self.loss(inputs, targets).item()
        self.network.train()
        return loss

    def matrix_params(self) -> int:
        """Weights that every token is multiplied with; the tied head counts once, tables that are looked up do not."""
        return sum(p.numel() for name, p in self.network.named_parameters() if p.dim() >= 2 and "wpe" not in name)


Builder = Callable[[Shape, int, str], Contestant]


def tisslm(shape: Shape, context: int, dtype: str) -> Contestant:
    """TissLM's own step, AdamW as for the others."""
    network = Decoder(shape.config(context)).train()
    initialize(network, torch.Generator().manual_seed(0))
    network.compute_dtype = DTYPES[dtype]
    optimizers = build_optimizers(network, PretrainConfig(optimizer="adamw"))

    def step(inputs: Tensor, targets: Tensor) -> object:
        return train_step(network, optimizers, inputs, targets, step=0, learning_rate=1e-3, clip_norm=1.0)

    return Contestant(network, functools.partial(training_loss, network), step)


def peer(network: nn.Module, loss: Loss, dtype: str, optimizer: torch.optim.Optimizer | None = None) -> Contestant:
    """A peer's network in the loop that nanoGPT uses, by default with fused AdamW."""
    chosen = optimizer or torch.optim.AdamW(network.parameters(), lr=1e-3, betas=(0.9, 0.95), fused=True)
    network.train()

    def cast_loss(inputs: Tensor, targets: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bf16"):
            return loss(inputs, targets)

    def step(inputs: Tensor, targets: Tensor) -> float:
        value = cast_loss(inputs, targets)
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        chosen.step()
        chosen.zero_grad(set_to_none=True)
        return value.item()

    return Contestant(network, cast_loss, step)


def loss_of_logits(logits_of: Callable[[Tensor], Tensor]) -> Loss:
    """Cross-entropy over full logits."""
    return lambda inputs, targets: functional.cross_entropy(logits_of(inputs).flatten(0, 1), targets.flatten())


def transformers(shape: Shape, context: int, dtype: str) -> Contestant:
    """The same Llama by transformers, its SDPA attention."""
    from transformers import LlamaConfig, LlamaForCausalLM

    network = LlamaForCausalLM(LlamaConfig(**to_hugging_face(shape.config(context))))
    return peer(network, loss_of_logits(lambda inputs: network(inputs, use_cache=False).logits), dtype)


def litgpt(shape: Shape, context: int, dtype: str) -> Contestant:
    """The same Llama by litgpt."""
    module = litgpt_model()
    config = module.Config(
        name="same shape", block_size=context, vocab_size=shape.vocab_size, padded_vocab_size=shape.vocab_size,
        n_layer=shape.n_layers, n_head=shape.n_heads, n_query_groups=shape.n_kv_heads, n_embd=shape.d_model,
        rotary_percentage=1.0, parallel_residual=False, bias=False, norm_class_name="RMSNorm", norm_eps=1e-5,
        mlp_class_name="LLaMAMLP", intermediate_size=shape.d_ff,
    )  # fmt: skip
    network = module.GPT(config)
    network.apply(network._init_weights)
    network.transformer.wte.weight = network.lm_head.weight
    return peer(network, loss_of_logits(network), dtype)


def nanogpt(shape: Shape, context: int, dtype: str, *, variant: str = "fused") -> Contestant:
    """NanoGPT's own file: `shipped` (with its AdamW of a CPU), with `fused` AdamW, or with `explicit` attention too."""
    module = nanogpt_model()
    config = module.GPTConfig(
        block_size=context, vocab_size=shape.vocab_size, n_layer=shape.n_layers, n_head=shape.n_heads,
        n_embd=shape.d_model, dropout=0.0, bias=False,
    )  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        network = module.GPT(config)
        own = network.configure_optimizers(0.1, 1e-3, (0.9, 0.95), "cpu") if variant == "shipped" else None
    if variant == "explicit":
        for block in network.transformer.h:
            block.attn.flash = False
            block.attn.register_buffer("bias", torch.ones(context, context).tril()[None, None])
    return peer(network, lambda inputs, targets: network(inputs, targets)[1], dtype, own)


@functools.cache
def nanogpt_model() -> ModuleType:
    """The module in the file that `NANOGPT` names."""
    path = os.environ.get("NANOGPT", "")
    spec = importlib.util.spec_from_file_location("nanogpt_model", path) if Path(path).is_file() else None
    if spec is None or spec.loader is None:
        raise ImportError(
            f"nanogpt: NANOGPT is {path!r}; set it to model.py in a checkout of github.com/karpathy/nanoGPT"
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules["nanogpt_model"] = module
    spec.loader.exec_module(module)
    return module


@functools.cache
def litgpt_model() -> Any:
    """Litgpt's module of networks, installed or from the checkout that `LITGPT` names."""
    if os.environ.get("LITGPT"):
        sys.path.append(os.environ["LITGPT"])
    try:
        return importlib.import_module("litgpt.model")
    except ImportError as error:
        raise ImportError(
            f"litgpt: {error}; pip install litgpt, or set LITGPT to a checkout of github.com/Lightning-AI/litgpt and "
            "install lightning and jsonargparse"
        ) from error


BUILDERS: dict[str, Builder] = {
    "tisslm": tisslm,
    "transformers": transformers,
    "litgpt": litgpt,
    "nanogpt shipped": functools.partial(nanogpt, variant="shipped"),
    "nanogpt fused": functools.partial(nanogpt, variant="fused"),
    "nanogpt explicit": functools.partial(nanogpt, variant="explicit"),
}


def taking_part(context: int, dtype: str) -> list[str]:
    """Names of `BUILDERS`, TissLM first, without variants that are nobody's choice here; absent peers are printed."""
    missing = {
        name for name, module in {"litgpt": litgpt_model, "nanogpt": nanogpt_model}.items() if not _is_here(module)
    }
    if dtype == "bf16":
        missing.add("nanogpt shipped")  # it computes in float32 on a CPU
    if dtype == "fp32" or context > EXPLICIT_LONGEST:
        missing.add("nanogpt explicit")
    return [name for name in BUILDERS if not {name, name.split()[0]} & missing]


@functools.cache
def _is_here(module: Callable[[], ModuleType]) -> bool:
    try:
        module()
    except ImportError as error:
        print(f"left out: {error}", flush=True)
        return False
    return True

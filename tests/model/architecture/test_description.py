"""Sizes that are known before anything is built, against built models, counted operations and real caches."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import torch
from configurations import built, configurations, tokens_of
from hypothesis import given, settings
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from model.architecture.config import ModelConfig
from model.architecture.config.sizes import (
    cache_bytes,
    cache_bytes_per_token,
    forward_flops_per_token,
    keys_seen,
    num_params,
)
from model.architecture.decoder import Decoder
from model.architecture.description import describe, diagram, layer_rows
from model.architecture.masks import AttentionContext, look_of
from model.errors import ConfigError
from model.generation.cache import StaticCache

SEVEN_B = {
    "vocab_size": 32000, "n_layers": 32, "d_model": 4096, "n_heads": 32, "n_kv_heads": 32, "d_ff": 11008,
    "context_length": 4096, "tie_embeddings": False,
}  # fmt: skip


@pytest.mark.feature("ARCH-13")
def test_llama_2_7b_is_counted_and_built_without_memory() -> None:
    config = ModelConfig.model_validate(SEVEN_B)
    assert num_params(config) == 6_738_415_616  # published
    with torch.device("meta"):
        assert Decoder(config).num_params() == 6_738_415_616
    figures, needs = describe(config, memory_bytes=16e9)
    assert figures["cache_bytes_per_token"] == 2 * 32 * 4096 * 2
    assert {need.use.split(",")[0]: need.fits for need in needs} == {
        "train": False, "answer in fp32": False, "answer in bf16": True, "answer in int8": True,
    }  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(config=configurations())
def test_a_cache_holds_what_was_announced(config: ModelConfig) -> None:
    cache, network = StaticCache(len(config.cached_layers), 9), built(config)
    with torch.no_grad():
        network(tokens_of(1, 9), cache=cache)
    states = sum(part.numel() for state in cache._states.values() for part in state if part.is_floating_point())
    expected = cache_bytes(config, 0) // 4
    assert states == expected
    attention = [i for i in range(config.n_layers) if config.mixer(i) == "attention"]
    per_token = 2 * config.n_kv_heads * config.head_size * len(attention) // config.attention.share_layers
    assert cache_bytes_per_token(config, 1) == per_token
    held = 0 if cache._keys is None or cache._values is None else cache._keys.numel() + cache._values.numel()
    assert held == 9 * per_token


@pytest.mark.parametrize(
    "values",
    [
        {}, {"n_kv_heads": 1, "head_dim": 6}, {"feedforward": {"kind": "gelu"}}, {"attention": {"gate": "feature"}},
        {"experts": {"n_experts": 4, "top_k": 2, "shared_d_ff": 8}}, {"mixers": "F"},
        {"attention": {"share_layers": 2, "gate": "head"}, "n_kv_heads": 2},
    ],
)  # fmt: skip
def test_floating_point_operations_equal_those_that_torch_counts(values: dict[str, Any]) -> None:
    shape = {"vocab_size": 40, "n_layers": 2, "d_model": 16, "n_heads": 4, "n_kv_heads": 4, "d_ff": 24}
    config = ModelConfig.model_validate({**shape, **values})
    network = built(config).double()  # our own kernels, which are not counted, leave float64 to torch
    # the fused kernel of a CPU is not counted
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(tokens_of(1, 1))
    assert counter.get_total_flops() == forward_flops_per_token(config, context=1)


@pytest.mark.parametrize("span", "LSDKB")
@pytest.mark.parametrize("length", [1, 4, 5, 22, 23])
def test_keys_seen_are_those_of_the_mask(span: str, length: int) -> None:
    attention: dict[str, Any] = {"pattern": span, "dilation": 3, "sinks": 2, "block": 5, "block_summary": 2}
    attention["window"] = 4 if span in "SDK" else None
    config = ModelConfig.model_validate({"attention": attention, "position": {"kind": "alibi"}})
    empty = torch.empty(0)
    context = AttentionContext(empty, empty, None, None, None, torch.arange(length)[None])
    bias = look_of(config, 0)(context, length, torch.float32)
    assert bias is not None
    assert keys_seen(config, 0, length) == int((bias[0, 0, -1] > float("-inf")).sum())


def test_the_figure_and_the_table_name_the_parts() -> None:
    values = {"vocab_size": 99, "n_layers": 6, "mixers": "MAA", "norm": {"placement": "sandwich"}}
    config = ModelConfig.model_validate({**values, "attention": {"pattern": "SSL", "window": 64}})
    assert [row["layers"] for row in layer_rows(config)] == ["0, 3", "1, 4", "2, 5"]
    assert [row["mixer"] for row in layer_rows(config)] == ["mamba", "sliding attention", "full attention"]
    assert [row["positions"] for row in layer_rows(config)] == ["-", "rope", "rope"]
    figure = diagram(config)
    for part in (
        "logits (99)",
        "mamba",
        "sliding attention, 4 heads of 64",
        "RMSNorm of the result",
        "positions: rope",
    ):
        assert part in figure


@pytest.mark.feature("ARCH-05")
def test_layers_that_use_the_keys_of_another_are_named_with_what_they_hold() -> None:
    config = ModelConfig.model_validate({"vocab_size": 99, "n_layers": 6, "attention": {"share_layers": 3}})
    rows = layer_rows(config)
    assert [(row["layers"], row["mixer"], row["cached per token"]) for row in rows] == [
        ("0, 3", "full attention", 512), ("1-2", "full attention, keys of 0", 0),
        ("4-5", "full attention, keys of 3", 0),
    ]  # fmt: skip
    assert "full attention, keys of 3, 4 heads of 64" in diagram(config)


def test_layers_that_differ_in_positions_alone_are_told_apart() -> None:
    config = ModelConfig.model_validate({"vocab_size": 99, "n_layers": 12, "position": {"pattern": "PPPN"}})
    found = [(row["layers"], row["positions"]) for row in layer_rows(config)]
    assert found == [("0, 1, ... 10", "rope"), ("3, 7, 11", "none")]


LARGE = {
    "7b": ({**SEVEN_B}, 6_738_415_616),
    "70b": ({**SEVEN_B, "vocab_size": 128256, "n_layers": 80, "d_model": 8192, "n_heads": 64, "n_kv_heads": 8,
             "d_ff": 28672}, 70_553_706_496),
}  # fmt: skip


@pytest.mark.feature("ARCH-13")
@pytest.mark.parametrize("name", LARGE)
def test_a_large_network_is_built_counted_and_described_in_little_memory(
    name: str, run_python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    values, n_params = LARGE[name]
    code = (
        "import resource, torch\n"
        "from model.architecture.config import ModelConfig\n"
        "from model.architecture.decoder import Decoder\n"
        "from model.architecture.description import describe, diagram, layer_rows\n"
        "def build(values):\n"
        "    config = ModelConfig.model_validate(values)\n"
        "    with torch.device('meta'): network = Decoder(config)\n"
        "    assert describe(config)[0]['parameters'] == network.num_params(), config\n"
        "    return network.num_params(), diagram(config), layer_rows(config)\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "build({'vocab_size': 50}); before = peak()\n"
        f"print(build({values!r})[0], peak() - before)"
    )
    found, grown_kib = map(int, run_python(code).stdout.split())
    assert found == n_params  # published
    assert grown_kib < 40 * 1024


def test_without_a_vocabulary_it_says_so() -> None:
    with pytest.raises(ConfigError, match="vocab_size is not known yet"):
        describe(ModelConfig())


def test_describing_loads_no_torch(run_python: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    code = (
        "import sys\nfrom model.architecture.config import ModelConfig\nfrom model.architecture.description import *\n"
        "describe(ModelConfig(vocab_size=9)); print('torch' in sys.modules)"
    )
    assert run_python(code).stdout.strip() == "False"

"""FlexAttention against the tiled reference: on the CPU, uncompiled here, compiled in the slow tests.

Nothing here ran on a GPU; what a GPU runs is the same functions, compiled by torch for it.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from configurations import built, configurations, tokens_of
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from model.architecture import attend as entry
from model.architecture.attend import is_flexible
from model.architecture.config import ModelConfig
from model.architecture.flexible_attention import flexible_attention
from model.architecture.masks import AttentionContext, Sight, document_positions, look_of, padded_positions
from model.architecture.tiled_attention import tiled_attention
from model.generation.cache import StaticCache

pytestmark = pytest.mark.feature("ARCH-07")
ROUTED = ModelConfig.model_validate(
    {
        "vocab_size": 40, "n_layers": 4, "d_model": 16, "n_kv_heads": 2, "d_ff": 24, "context_length": 32,
        "attention": {"pattern": "S", "window": 3}, "depth": {"pattern": "FR", "capacity": 0.5},
    }
)  # fmt: skip


@pytest.fixture(autouse=True)
def uncompiled(request: pytest.FixtureRequest) -> Iterator[None]:
    with torch.compiler.set_stance("default" if "slow" in request.keywords else "force_eager"):
        yield


def sight_of(
    span: str, passing: str, time: int, *, alibi: bool = False, earlier: int = 0, window: int = 5, heads: int = 4
) -> Sight:
    """What a layer sees in a pass of two sequences that are plain, of several documents, or padded."""
    attention: dict[str, Any] = {"pattern": span, "dilation": 3, "sinks": 2, "block": 6, "block_summary": 2}
    attention["window"] = window if span in "SDK" else None
    config = ModelConfig.model_validate(
        {"n_heads": heads, "attention": attention, "position": {"kind": "alibi" if alibi else "none"}}
    )
    total = earlier + time
    positions, mask, documents = torch.arange(total)[None], None, None
    if passing == "documents":
        documents = torch.stack([torch.arange(time) // 17, torch.arange(time) // (time // 2 + 1)])
        positions = document_positions(documents)
    if passing == "padded" or earlier:
        padding = torch.ones(2, total, dtype=torch.bool)
        if passing == "padded":
            padding[0, :7] = False
        query, key = torch.arange(earlier, total)[:, None], torch.arange(total)[None]
        mask = ((key <= query) & padding[:, None, None, :]) | (key == query)
        positions = padded_positions(padding)
    empty = torch.empty(0)
    return Sight(look_of(config, 0), AttentionContext(empty, empty, mask, None, documents, positions), time)


def heads_of(sight: Sight, n: tuple[int, int], dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(sight.time)
    total = sight.context.positions.shape[1]
    sizes = [(n[0], sight.time), (n[1], total), (n[1], total)]
    return [torch.randn(2, *size, 16, generator=generator, dtype=torch.float64).to(dtype) for size in sizes]


@pytest.mark.parametrize("span", "LSDKB")
@pytest.mark.parametrize("alibi", [False, True])
@pytest.mark.parametrize("softcap", [None, 1.5])
@pytest.mark.parametrize("passing", ["plain", "documents", "padded"])
def test_every_span_bias_cap_and_border_equals_the_tiled_reference(
    span: str, alibi: bool, softcap: float | None, passing: str
) -> None:
    sight = sight_of(span, passing, 150, alibi=alibi)
    q, k, v = heads_of(sight, (4, 2))
    found = flexible_attention(q, k, v, sight, softcap)
    expected = tiled_attention(q, k, v, sight.bias(torch.float64), softcap=softcap)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)  # slopes and positions are float32


@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (4, 1), (3, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_shared_heads_and_tokens_after_held_ones_equal_the_tiled_reference(
    heads: tuple[int, int], dtype: torch.dtype
) -> None:
    sight = (
        sight_of("S", "padded", 40, alibi=True, earlier=23, heads=heads[0])
        if heads[0] == 4
        else sight_of("S", "padded", 40, earlier=23)
    )
    q, k, v = heads_of(sight, heads, dtype)
    expected = tiled_attention(*(x.double() for x in (q, k, v)), sight.bias(torch.float64))
    tolerance = 1e-5 if dtype == torch.float32 else 0.03
    torch.testing.assert_close(flexible_attention(q, k, v, sight, None).double(), expected, atol=tolerance, rtol=0.03)


@pytest.mark.parametrize("span", "LSDKB")
@pytest.mark.parametrize("passing", ["plain", "documents", "padded"])
def test_gradients_equal_those_of_the_tiled_reference(span: str, passing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # torch refuses gradients on a CPU because its compiled kernels have none there; its plain ones, tested here, have
    monkeypatch.setattr("torch.nn.attention.flex_attention._validate_device", lambda *_: None)
    sight = sight_of(span, passing, 60, alibi=True)
    leaves = [x.requires_grad_() for x in heads_of(sight, (4, 2))]
    weights = torch.randn(2, 4, 60, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = tiled_attention(*leaves, sight.bias(torch.float64), softcap=2.0)
    wanted = torch.autograd.grad((expected * weights).sum(), leaves)
    found = torch.autograd.grad((flexible_attention(*leaves, sight, 2.0) * weights).sum(), leaves)
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@example(config=ROUTED, how="cached")  # a routed layer sees less than its neighbour with the same look
@given(config=configurations(), how=st.sampled_from(["plain", "documents", "padded", "cached"]))
def test_a_decoder_on_flexible_attention_equals_one_on_dense_masks(config: ModelConfig, how: str) -> None:
    network, tokens = built(config), tokens_of(2, 20)
    options: dict[str, torch.Tensor] = {}
    if how == "documents":
        options["documents_BT"] = (torch.arange(20) >= 9).long().expand(2, -1)
    elif how == "padded":
        options["padding_BT"] = torch.arange(20).expand(2, -1) >= torch.tensor([[0], [6]])

    def hidden() -> torch.Tensor:
        if how != "cached":
            return network.hidden(tokens, **options)
        cache = StaticCache(len(config.cached_layers), 20)
        return torch.cat([network.hidden(part, cache=cache) for part in tokens.split(9, dim=1)], dim=1)

    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        dense = hidden()
        patch.setattr(entry, "FLEXIBLE_DEVICES", frozenset({"cpu"}))
        patch.setattr(entry, "SMALLEST_HEAD", 1)
        flexible = hidden()
    real = options.get("padding_BT", torch.ones(2, 20, dtype=torch.bool))
    torch.testing.assert_close(flexible[real], dense[real], atol=2e-4, rtol=1e-4)


def test_layers_with_the_same_look_share_one_rule() -> None:
    sight, other = (sight_of("S", "documents", 40, window=window) for window in (5, 9))
    q, k, v = heads_of(sight, (4, 2))
    for look in (sight.look, other.look, sight.look):
        flexible_attention(q, k, v, Sight(look, sight.context, 40), None)
    assert len(sight.context.rules) == 2


CHOICES = [
    # device, span, passing, time, softcap, dropout, head size -> FlexAttention?
    ("cuda", "S", "plain", 40, None, 0.0, 64, True),
    ("cuda", "B", "padded", 40, None, 0.0, 64, True),
    ("cuda", "L", "documents", 40, None, 0.0, 64, True),
    ("cuda", "L", "plain", 40, 30.0, 0.0, 64, True),
    ("cuda", "L", "plain", 40, None, 0.0, 64, False),  # flash
    ("cuda", "L", "padded", 40, None, 0.0, 64, False),
    ("cuda", "S", "plain", 1, None, 0.0, 64, False),  # a step of decoding
    ("cuda", "S", "plain", 40, None, 0.1, 64, False),
    ("cuda", "S", "plain", 40, None, 0.0, 8, False),
    ("cpu", "S", "plain", 40, 30.0, 0.0, 64, False),
]


@pytest.mark.parametrize(("device", "span", "passing", "time", "softcap", "dropout", "head_size", "flexible"), CHOICES)
def test_the_choice_is_by_device_and_mask(
    device: str, span: str, passing: str, time: int, softcap: float | None, dropout: float, head_size: int,
    flexible: bool,
) -> None:  # fmt: skip
    sight = sight_of(span, passing, time)
    assert is_flexible(device, sight, head_size=head_size, dropout=dropout, softcap=softcap) == flexible


def test_where_nothing_can_be_compiled_it_is_said_once_and_dense_masks_are_used(
    run_python: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Any
) -> None:
    code = (
        f"import os\nos.environ |= {{'CXX': '/no/compiler', 'TORCHINDUCTOR_CACHE_DIR': {str(tmp_path)!r}}}\n"
        "import torch\nfrom model.architecture import attend, config, masks\n"
        "attend.FLEXIBLE_DEVICES = {'cpu'}\n"
        "shape = config.ModelConfig(attention={'pattern': 'S', 'window': 3})\n"
        "context = masks.AttentionContext(torch.empty(0), torch.empty(0), None, None, None, torch.arange(9)[None])\n"
        "x = torch.randn(1, 1, 9, 16)\n"
        "for _ in range(2):\n"
        "    sight = masks.Sight(masks.look_of(shape, 0), context, 9)\n"
        "    y = attend.attend(x, x, x, sight, training=False, dropout=0.0, softcap=None)\n"
        "print(tuple(y.shape))\n"
    )
    run = run_python(code)
    assert run.stdout.strip() == "(1, 1, 9, 16)"
    said = [line for line in run.stderr.splitlines() if "cannot compile FlexAttention" in line]
    assert len(said) == 1
    assert "go through dense masks" in said[0]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
def test_the_compiled_kernel_equals_the_tiled_reference_for_other_lengths_and_windows_too() -> None:
    for window, time, passing in [(5, 150, "plain"), (9, 150, "documents"), (17, 260, "documents")]:
        for span in "SL":
            sight = sight_of(span, passing, time, alibi=True, window=window)
            q, k, v = heads_of(sight, (4, 2), torch.float32)
            found = flexible_attention(q, k, v, sight, 1.5 + window)
            expected = tiled_attention(q, k, v, sight.bias(torch.float32), softcap=1.5 + window)
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)

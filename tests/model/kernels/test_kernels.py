"""Every kernel against torch in float64, in both types, on one thread and on two, over sizes that fill no register."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from model.architecture.attend import decodes
from model.architecture.gate import gated_silu
from model.architecture.linear import Linear
from model.architecture.norm import rms_norm
from model.architecture.position import rotary_table, rotate
from model.architecture.short_attention import short_causal_attention
from model.kernels import launch, softmax_kernels
from model.kernels.banded_attention import BANDS
from model.kernels.decoding import attend_to_cached
from model.kernels.heads import split_heads
from model.kernels.library import NUMBERS
from model.kernels.product import FEW_ROWS, few_rows, product
from model.training.config import LossConfig
from model.training.objectives import next_token_loss

pytestmark = pytest.mark.feature("ARCH-17")
TYPES = [torch.float32, torch.bfloat16]
TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 2e-2}
some = settings(max_examples=25, deadline=None)


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Torch's threads; with two, even a little work is shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    monkeypatch.setattr(launch, "SMALL", 1)
    yield request.param
    torch.set_num_threads(before)


def random(*shape: int, dtype: torch.dtype, seed: int = 0, size: float = 1.0) -> Tensor:
    numbers = torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * size
    return numbers.to(dtype).requires_grad_()


def agree(ours: Callable[..., Any], reference: Callable[..., Any], inputs: list[Tensor]) -> None:
    """Results and gradients are those of the reference in float64, to the rounding of the inputs' type."""
    tolerance = TOLERANCE[inputs[0].dtype]
    exact = [tensor.detach().double().requires_grad_() for tensor in inputs]
    found, expected = ours(*inputs), reference(*exact)
    found, expected = (x if isinstance(x, tuple) else (x,) for x in (found, expected))
    weights = [torch.randn(x.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64) for x in expected]
    for x, y in zip(found, expected, strict=True):
        torch.testing.assert_close(
            x.detach().double(), y.detach(), atol=tolerance * (0.1 + float(y.detach().abs().max())), rtol=0
        )
    found_gradients = torch.autograd.grad(
        list(found), inputs, [w.to(x.dtype) for w, x in zip(weights, found, strict=True)]
    )
    wanted = torch.autograd.grad(list(expected), exact, weights)
    for x, y in zip(found_gradients, wanted, strict=True):
        torch.testing.assert_close(x.double(), y, atol=tolerance * (0.1 + float(y.detach().abs().max())), rtol=0)
    with torch.no_grad():  # the way without gradients is another one
        again = ours(*inputs)
    again = again if isinstance(again, tuple) else (again,)
    for x, y in zip(again, found, strict=True):
        torch.testing.assert_close(x, y.detach(), atol=tolerance * (0.1 + float(y.detach().abs().max())), rtol=0)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 5, 7), (3, 4, 64), (1, 2, 130)])
def test_norm(dtype: torch.dtype, shape: tuple[int, ...], threads: int) -> None:
    weight = random(shape[-1], dtype=torch.float32, seed=1)
    agree(
        lambda x, w: rms_norm(x, w, 1e-5),
        lambda x, w: functional.rms_norm(x, (shape[-1],), w, 1e-5),
        [random(*shape, dtype=dtype, size=3.0), weight],
    )


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(1, 1, 2), (2, 5, 14), (3, 4, 128)])
def test_gated_silu(dtype: torch.dtype, shape: tuple[int, ...], threads: int) -> None:
    def reference(x: Tensor) -> Tensor:
        gate, up = x.chunk(2, dim=-1)
        return functional.silu(gate) * up

    agree(gated_silu, reference, [random(*shape, dtype=dtype, size=4.0)])


@pytest.mark.parametrize("dtype", TYPES)
def test_gated_silu_of_huge_numbers_is_finite(dtype: torch.dtype) -> None:
    x = torch.tensor([[-1e4, 1e4, -90.0, 88.5, 1.0, 1.0, 1.0, 1.0]], dtype=dtype)
    torch.testing.assert_close(gated_silu(x), torch.tensor([[0.0, 1e4, 0.0, 88.5]], dtype=dtype))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("heads", "size"), [((4, 2), 8), ((3, 3), 2), ((6, 1), 34)])
@pytest.mark.parametrize("positions", ["shared", "own", "none"])
def test_heads(dtype: torch.dtype, heads: tuple[int, int], size: int, positions: str, threads: int) -> None:
    batch, time, (n, kv) = 2, 5, heads
    places = torch.arange(time)[None] if positions == "shared" else torch.tensor([[0, 0, 1, 2, 3], [4, 5, 6, 7, 8]])
    cos, sin = (table[:, None].to(dtype) for table in rotary_table(places, size, 100.0))

    def reference(qkv: Tensor) -> tuple[Tensor, ...]:
        q, k, v = qkv.view(batch, time, -1, size).transpose(1, 2).split([n, kv, kv], dim=1)
        if positions == "none":
            return q, k, v
        return rotate(q, cos.double(), sin.double()), rotate(k, cos.double(), sin.double()), v

    tables = () if positions == "none" else (cos, sin)
    agree(lambda x: split_heads(x, n, kv, *tables), reference, [random(batch, time, (n + 2 * kv) * size, dtype=dtype)])


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("time", [1, 2, 63, 64, 65, 128, 129, 2 * max(BANDS.values()) + 3])
def test_banded_attention(dtype: torch.dtype, time: int, threads: int) -> None:
    agree(
        short_causal_attention,
        lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True),
        [random(2, heads, time, 8, dtype=dtype, seed=heads, size=2.0) for heads in (4, 2, 2)],
    )


def test_attention_scores_that_overflow_an_exponential_are_no_problem() -> None:
    q, k, v = (random(1, 2, 9, 8, dtype=torch.float32, seed=i, size=100.0) for i in range(3))
    expected = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(short_causal_attention(q, k, v), expected, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("heads", [(4, 4), (6, 2), (3, 1)])
@pytest.mark.parametrize("held", [1, 7, 40])
def test_decoding_attention(dtype: torch.dtype, heads: tuple[int, int], held: int, threads: int) -> None:
    cache = [random(2, heads[1], 50, 24, dtype=dtype, seed=i).detach() for i in range(2)]
    k, v = (part[:, :, :held] for part in cache)
    q = random(2, heads[0], 1, 24, dtype=dtype, seed=5).detach()
    with torch.no_grad():
        assert decodes(q, k, v)
        found = attend_to_cached(q, k, v)
        expected = functional.scaled_dot_product_attention(q.double(), k.double(), v.double(), enable_gqa=True)
        torch.testing.assert_close(found.double(), expected, atol=TOLERANCE[dtype], rtol=0)
        assert not decodes(q, k.transpose(2, 3).contiguous().transpose(2, 3), v)


@some
@given(
    rows=st.integers(1, 8), n=st.integers(1, 70), outputs=st.integers(1, 40), seed=st.integers(0, 99),
    kinds=st.sampled_from([(a, b) for a in TYPES for b in TYPES]),
)  # fmt: skip
def test_product_of_few_rows(
    rows: int, n: int, outputs: int, seed: int, kinds: tuple[torch.dtype, torch.dtype]
) -> None:
    rows = min(rows, FEW_ROWS[kinds[0]])
    x, weight = (random(a, n, dtype=t, seed=seed + a).detach() for a, t in zip((rows, outputs), kinds, strict=True))
    with torch.no_grad():
        found = few_rows(x, weight)
    assert found is not None
    expected = x.double() @ weight.double().T
    torch.testing.assert_close(
        found.double(), expected, atol=TOLERANCE[kinds[0]] * (1 + float(expected.abs().max())), rtol=0
    )


def test_int8_product_of_few_rows(threads: int) -> None:
    weight = torch.randint(-127, 128, (33, 70), dtype=torch.int8, generator=torch.Generator().manual_seed(0))
    x, scale = (
        random(2, 3, 70, dtype=torch.float32).detach(),
        torch.rand(33, generator=torch.Generator().manual_seed(1)),
    )
    with torch.no_grad():
        found = few_rows(x, weight, scale)
    assert found is not None
    torch.testing.assert_close(found, x @ (weight.float() * scale[:, None]).T, atol=1e-3, rtol=1e-5)


def test_few_rows_is_for_those_without_gradients() -> None:
    weight = torch.ones(4, 4)
    assert few_rows(torch.ones(1, 4), weight) is None
    with torch.no_grad():
        assert few_rows(torch.ones(1, 4), weight) is not None
        assert few_rows(torch.ones(9, 4), weight) is None
        assert few_rows(torch.ones(1, 4), weight.T[:, ::2]) is None
        assert few_rows(torch.ones(1, 4).double(), weight.double()) is None


@pytest.mark.parametrize("rows", [3, 64, 200])
def test_linear_and_its_gradients(rows: int) -> None:
    layer = Linear(24, 40, bias=True)

    def reference(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return functional.linear(x, weight, bias)

    def ours(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        layer.weight, layer.bias = weight, bias  # type: ignore[assignment]
        return layer(x)

    parameters = [
        torch.nn.Parameter(random(*shape, dtype=torch.float32, seed=3).detach()) for shape in ((40, 24), (40,))
    ]
    agree(ours, reference, [random(2, rows, 24, dtype=torch.float32), *parameters])
    x, weight = random(rows, 24, dtype=torch.float32).detach(), parameters[0].detach()
    torch.testing.assert_close(product(x, weight), x @ weight.T)
    torch.testing.assert_close(product(x @ weight.T, weight.T), x @ weight.T @ weight, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("options", [LossConfig(), LossConfig(label_smoothing=0.1, z_loss=0.01)])
def test_cross_entropy(dtype: torch.dtype, options: LossConfig, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.kernels.loss.CHUNK_LOGITS", 4 * 37)  # several chunks, the last one smaller
    targets = torch.randint(0, 37, (2, 7), generator=torch.Generator().manual_seed(1))
    targets[0, 3] = -1

    def reference(hidden: Tensor, weight: Tensor) -> Tensor:
        logits = (hidden @ weight.T).flatten(0, 1)
        loss = functional.cross_entropy(
            logits, targets.flatten(), ignore_index=-1, label_smoothing=options.label_smoothing
        )
        return loss + options.z_loss * logits.logsumexp(-1)[targets.flatten() >= 0].square().mean()

    agree(
        lambda hidden, weight: next_token_loss(hidden, weight, targets, options=options),
        reference,
        [random(2, 7, 16, dtype=dtype), random(37, 16, dtype=torch.float32, seed=2)],
    )


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("where", [0, 5, 6])
def test_a_number_that_is_none_is_not_lost(dtype: torch.dtype, where: int) -> None:
    x = torch.ones(1, 7, 8, dtype=dtype)
    x[0, where, 0] = float("nan")
    assert rms_norm(x, torch.ones(8), 1e-5)[0, where].isnan().all()
    assert gated_silu(x)[0, where].isnan().any()
    heads = x[:, None].expand(-1, 2, -1, -1)
    assert short_causal_attention(heads, heads, heads)[0, :, where:].isnan().any(dim=-1).all()
    loss = next_token_loss(x, torch.eye(8), torch.ones(1, 7, dtype=torch.long))
    assert loss.isnan()


@pytest.mark.parametrize("dtype", TYPES)
def test_results_do_not_depend_on_where_memory_lies(dtype: torch.dtype) -> None:
    scores = random(6, 20, 20, dtype=dtype).detach()
    found = []
    for gap in (0, 1, 3, 4096):  # the space is right in front of the scores, or far from them
        memory = torch.zeros(20 + gap + 6 * 20 * 20 + 64)
        space, rest = memory[:20], memory[20 + gap :].view(dtype)
        placed = rest[: scores.numel()].copy_(scores.flatten())
        softmax_kernels.causal_softmax.launch(
            120, 2400, NUMBERS[dtype], 20, 1, 20, 0, launch.bits(0.3), 1, 20,
            torch.zeros(20, dtype=torch.int64), placed, space,
        )  # fmt: skip
        found.append(placed.clone())
    assert all(torch.equal(found[0], other) for other in found[1:])


def test_every_row_is_computed_where_fewer_threads_come_than_were_asked_for(
    run_python: Callable[..., Any],
) -> None:
    code = (
        "import torch\n"
        "from model.architecture.norm import rms_norm\n"
        "from model.kernels import launch\n"
        "torch.set_num_threads(4); launch.SMALL = 1\n"
        "x = torch.randn(9, 8, requires_grad=True); y = rms_norm(x, torch.ones(8), 1e-5)\n"
        "wanted = torch.nn.functional.rms_norm(x, (8,), eps=1e-5); y.sum().backward()\n"
        "print(bool((y - wanted).abs().max() < 1e-5), bool(x.grad.isfinite().all()))"
    )
    done = run_python(code, OMP_THREAD_LIMIT="1")
    assert done.stdout.split() == ["True", "True"], done.stderr

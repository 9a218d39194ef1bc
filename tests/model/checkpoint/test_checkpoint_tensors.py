"""Tensors as safetensors bytes: against the safetensors library's own reader."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from model.checkpoint.tensors import pack, unpack
from model.errors import CheckpointError

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.int64, torch.int8, torch.uint8, torch.bool]
SHAPES = st.lists(st.integers(0, 5), max_size=3)


@st.composite
def tensor(draw: st.DrawFn) -> Tensor:
    shape, dtype = draw(SHAPES), draw(st.sampled_from(DTYPES))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    return (torch.randn(shape, generator=generator) * 50).to(dtype)


def equal(left: Tensor, right: Tensor) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and torch.equal(left, right)


@pytest.mark.feature("CKPT-01")
@given(tensors=st.dictionaries(st.text(min_size=1, max_size=8), tensor(), max_size=5))
def test_any_tensors_come_back_and_the_library_reads_them_too(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    if "__metadata__" in tensors:
        return
    data = pack(tensors)
    (tmp_path / "x.safetensors").write_bytes(data)
    for found in (unpack(tmp_path / "x.safetensors"), safetensors.torch.load(data)):
        assert found.keys() == tensors.keys()
        assert all(equal(found[name], tensors[name]) for name in tensors)


@pytest.mark.feature("CKPT-01")
def test_views_tied_and_empty_tensors_come_back(tmp_path: Path) -> None:
    whole = torch.arange(24.0).reshape(4, 6)
    tensors = {
        "head": whole,
        "embedding": whole,
        "rows": whole[1:3],
        "columns": whole[:, ::2],
        "transposed": whole.t(),
        "parameter": torch.nn.Parameter(whole + 1),
        "none": torch.empty(0, 3),
        "nothing": torch.empty(0, 3),
        "scalar": torch.tensor(7),
    }
    (tmp_path / "x.safetensors").write_bytes(pack(tensors))
    found = unpack(tmp_path / "x.safetensors")
    assert all(equal(found[name], tensors[name]) for name in tensors)
    assert found["head"].data_ptr() == found["embedding"].data_ptr()


def test_tied_weights_are_stored_once() -> None:
    weight = torch.zeros(100, 100)
    assert len(pack({"a": weight, "b": weight})) < 1.1 * 4 * weight.numel()


@pytest.mark.feature("CKPT-01")
def test_equal_tensors_give_equal_bytes_in_every_process_and_order() -> None:
    code = (
        "import sys, torch; from model.checkpoint.tensors import pack;"
        "w = torch.arange(6.); t = {'a': w, 'b': torch.ones(3, dtype=torch.int64), 'c': w, 'd': w};"
        "t = dict(sorted(t.items(), reverse=sys.argv[1] == '1')); sys.stdout.buffer.write(pack(t))"
    )
    runs = [subprocess.run([sys.executable, "-c", code, n], capture_output=True, check=True) for n in "01"]
    assert runs[0].stdout == runs[1].stdout != b""


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"step": 3}, "tensor step: got int, expected a tensor"),
        ({"sparse": torch.eye(3).to_sparse()}, "tensor sparse: torch.sparse_coo"),
        ({"__metadata__": torch.eye(3)}, "tensor __metadata__: "),
    ],
)
def test_what_cannot_be_stored_is_named_in_one_line(tensors: dict[str, Tensor], message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        pack(tensors)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"\x00" * 7, b"\xff" * 64, b"\x80\x04K\x01.", b"PK\x03\x04" * 10])
def test_other_bytes_are_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="not a whole safetensors file") as caught:
        unpack(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match="no such file"):
        unpack(tmp_path / "none.safetensors")

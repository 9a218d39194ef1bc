"""Files that lie: damaged headers, wrong sizes, places outside. One line each, and never more memory than the file."""

from __future__ import annotations

import itertools
import json
import os
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder, initialize
from model.architecture.interop import load_model, save_model
from model.architecture.interop.gguf import load_gguf
from model.architecture.interop.gguf_file import read_gguf
from model.architecture.interop.importing import import_model, read_config
from model.errors import CheckpointError, ConfigError, IntegrityError, TissLMError, TokenizerError

pytestmark = pytest.mark.feature("ARCH-11")
CONFIG = ModelConfig(vocab_size=32, n_layers=1, d_model=32, n_heads=2, n_kv_heads=1, d_ff=32, context_length=16)
STRING, ARRAY, U32, F32 = 8, 9, 4, 6
NAMES = {
    "token_embd.weight": (32, 32), "output_norm.weight": (32,), "blk.0.attn_norm.weight": (32,),
    "blk.0.attn_q.weight": (32, 32), "blk.0.attn_k.weight": (16, 32), "blk.0.attn_v.weight": (16, 32),
    "blk.0.attn_output.weight": (32, 32), "blk.0.ffn_norm.weight": (32,), "blk.0.ffn_gate.weight": (32, 32),
    "blk.0.ffn_up.weight": (32, 32), "blk.0.ffn_down.weight": (32, 32),
}  # fmt: skip
ROOM = 3_000_000
"""What reading a file of a few kilobytes may need beside it: parsing, messages, an empty decoder."""


@pytest.fixture(scope="module", autouse=True)
def _everything_is_imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What torch loads when it is first used is no cost of a file."""
    folder = tmp_path_factory.mktemp("warm")
    save_model(Decoder(CONFIG), folder)
    import_model(folder, folder / "out")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    network = Decoder(CONFIG)
    initialize(network, torch.Generator().manual_seed(0))
    save_model(network, tmp_path)
    return tmp_path


def text_of(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def value_of(value: Any) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", STRING) + text_of(value)
    if isinstance(value, list):
        return struct.pack("<IIQ", ARRAY, STRING, len(value)) + b"".join(map(text_of, value))
    return struct.pack("<If", F32, value) if isinstance(value, float) else struct.pack("<II", U32, value)


def gguf_bytes(
    names: dict[str, tuple[int, ...]] = NAMES,
    places: dict[str, int] | None = None,
    keys: list[tuple[str, Any]] | None = None,
    kind: int = 0,
) -> bytes:
    """A whole file of a one-layer Llama by the format's page: header, keys, places, numbers (all F32, all 1)."""
    found = [
        ("general.architecture", "llama"), ("llama.block_count", 1), ("llama.embedding_length", 32),
        ("llama.attention.head_count", 2), ("llama.attention.head_count_kv", 1), ("llama.feed_forward_length", 32),
        ("llama.context_length", 16), ("llama.attention.layer_norm_rms_epsilon", 1e-5),
        ("tokenizer.ggml.model", "gpt2"), ("tokenizer.ggml.pre", "smollm"),
        ("tokenizer.ggml.tokens", [f"t{i}" for i in range(32)]), ("tokenizer.ggml.merges", ["t 0"]), *(keys or []),
    ]  # fmt: skip
    content = b"GGUF" + struct.pack("<IQQ", 3, len(names), len(found))
    content += b"".join(text_of(key) + value_of(value) for key, value in found)
    at = 0
    for name, shape in names.items():
        offset = (places or {}).get(name, at)
        content += text_of(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape[::-1], kind, offset)
        at += 4 * int(torch.Size(shape).numel())
    content += b"\0" * (-len(content) % 32)
    return content + struct.pack("<f", 1.0) * (at // 4)


def write_gguf(folder: Path, content: bytes) -> Path:
    path = folder / "a.gguf"
    path.write_bytes(content)
    return path


def refusal(read: Callable[[], object]) -> str:
    """The line that a reader refuses with, empty where it reads; anything but our errors fails the test."""
    tracemalloc.start()
    try:
        read()
        said = ""
    except (CheckpointError, ConfigError, IntegrityError, TokenizerError) as error:
        said = str(error)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < ROOM
    assert "\n" not in said
    return said


def test_the_written_file_is_a_model(tmp_path: Path) -> None:
    path = write_gguf(tmp_path, gguf_bytes())
    network, _ = load_gguf(path)
    assert network.config == CONFIG
    assert torch.equal(network.blocks[0].feedforward.down.weight, torch.ones(32, 32))
    assert import_model(path, tmp_path / "out") == CONFIG


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_damaged_gguf_is_refused_in_one_line_or_harmless(tmp_path_factory: Any, data: Any) -> None:
    content = bytearray(gguf_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, 1400))
        values = st.binary(min_size=1, max_size=8) | st.integers(0, 2**64 - 1).map(lambda n: struct.pack("<Q", n))
        new = data.draw(values)
        content[at : at + len(new)] = new
    cut = data.draw(st.sampled_from([0, 0, 1, 100, 10_000]))
    path = write_gguf(tmp_path_factory.mktemp("fuzzed"), bytes(content[: max(0, len(content) - cut)]))
    refusal(lambda: read_config(path))
    refusal(lambda: load_gguf(path))
    refusal(lambda: import_model(path, path.with_name("out")))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gguf_bytes(places={"output_norm.weight": 0}), "tensors output_norm.weight and token_embd.weight overlap"),
        (gguf_bytes(places={"output_norm.weight": 2**63}), "ends 9223372036854"),
        (gguf_bytes(keys=[("llama.block_count", 1)]), "key 'llama.block_count' is there twice"),
        (gguf_bytes(keys=[("tokenizer.ggml.eos_token_id", "x")]), "eos_token_id = 'x', expected a token id"),
        (gguf_bytes(keys=[("tokenizer.ggml.token_type", 5)]), "token_type is no list of one type for each token"),
        (gguf_bytes({**NAMES, "blk.0.attn_q.bias": (32,)}), r"q_proj.bias \(32,\) and 0 other tensors belong to no"),
        (gguf_bytes({**NAMES, "blk.00.ffn_up.weight": (32, 32)}), "blk.00.ffn_up.weight belongs to no part"),
        (gguf_bytes({**NAMES, "blk.\u00b2.ffn_up.weight": (32, 32)}), "belongs to no part"),
        (gguf_bytes({**NAMES, "blk.7.ffn_up.weight": (32, 32)}), "belong to no part of a llama"),
        (gguf_bytes(kind=77), "ggml type 77, expected one of F32"),
    ],
)
def test_a_gguf_that_lies_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = write_gguf(tmp_path, content)
    with pytest.raises(TissLMError, match=message):
        import_model(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_many_tensors_in_one_place_cost_nothing(tmp_path: Path) -> None:
    names = {**NAMES, **{f"blk.0.{i}.weight": (32, 32) for i in range(50)}}
    path = write_gguf(tmp_path, gguf_bytes(names, dict.fromkeys(names, 0)))
    assert "overlap" in refusal(lambda: read_gguf(path))


def damaged_header(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Rewrite the header of a safetensors file, and leave its numbers."""
    path = folder / "model.safetensors"
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    text = change(header)
    written = text if isinstance(text, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(written)) + written + content[8 + size :])


NORM = "model.norm.weight"


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header[NORM].update(data_offsets=[0, 128]),
        lambda header: header[NORM].update(data_offsets=[-128, 0]),
        lambda header: header[NORM].update(data_offsets=[128, 0]),
        lambda header: header[NORM].update(data_offsets=[0, 2**62]),
        lambda header: header[NORM].update(shape=[2**40, 2**40]),
        lambda header: header[NORM].update(shape=[-32]),
        lambda header: header[NORM].update(shape=[float("nan")]),
        lambda header: header[NORM].update(dtype="F33"),
        lambda header: header[NORM].update(dtype="I32"),
        lambda header: header[NORM].update(dtype="U8", shape=[128]),
        lambda header: header[NORM].pop("shape"),
        lambda header: header.update(extra={"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}),
        lambda header: b"[" * 10_000,
        lambda header: b"",
        lambda header: b"null",
        lambda header: json.dumps(header).encode()[:-1] + f',"{NORM}":{json.dumps(header[NORM])}}}'.encode(),
    ],
)
def test_a_safetensors_header_that_lies_is_refused_at_no_cost(folder: Path, change: Any) -> None:
    damaged_header(folder, change)
    said = refusal(lambda: load_model(folder))
    twice = (folder / "model.safetensors").read_bytes().count(b'"model.norm.weight"') == 2
    assert said or twice  # the format's reader takes the last of two equal names, which here are the same


def test_a_header_longer_than_the_file_is_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    for size in (2**63, 2**40, 10**8 + 1, len(path.read_bytes())):
        path.write_bytes(struct.pack("<Q", size) + path.read_bytes()[8:])
        assert "damaged" in refusal(lambda: load_model(folder))


def shards(folder: Path) -> dict[str, str]:
    """The folder's weights in two files; the index's `weight_map`."""
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    save_file({n: tensors[n] for n in names[:4]}, folder / "a.safetensors")
    save_file({n: tensors[n] for n in names[4:]}, folder / "b.safetensors")
    (folder / "model.safetensors").unlink()
    places = dict.fromkeys(names[:4], "a.safetensors") | dict.fromkeys(names[4:], "b.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    return places


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../b.safetensors", "expected a file in the same folder"), ("/etc/passwd", "expected a file in the same"),
        ("..", "expected a file in the same folder"), ("", "expected a file in the same folder"),
        (".", "expected a file in the same folder"), ("a\0b", "expected a file in the same folder"),
        ("missing.safetensors", "no such file"), ("config.json", "damaged"), ("inner", "is no regular file"),
        ("pipe", "is no regular file"), ("zero", "is no regular file"), ("elsewhere", "damaged"),
        ("copy.safetensors", "is in another file of the index too"), (5, "has no weight_map of file names"),
        (None, "has no weight_map of file names"), (["a"], "has no weight_map of file names"),
    ],
)  # fmt: skip
def test_an_index_that_names_something_else_is_refused(folder: Path, name: Any, message: str) -> None:
    places = shards(folder)
    (folder / "inner").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "zero").symlink_to("/dev/zero")
    (folder / "elsewhere").symlink_to(Path(__file__))
    (folder / "copy.safetensors").write_bytes((folder / "a.safetensors").read_bytes())
    extra = {**places, "lm_head.weight": name}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": extra}))
    assert message in refusal(lambda: load_model(folder))


@pytest.mark.parametrize("content", ["[]", "null", "{}", '{"weight_map": []}', "{", "[" * 100_000, "\ufeff{}"])
def test_a_damaged_index_is_refused(folder: Path, content: str) -> None:
    shards(folder)
    (folder / "model.safetensors.index.json").write_text(content)
    assert refusal(lambda: load_model(folder))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_fuzzed_sharded_folder_is_refused_in_one_line_or_harmless(tmp_path_factory: Any, data: Any) -> None:
    folder = tmp_path_factory.mktemp("fuzzed")
    save_model(Decoder(CONFIG), folder)
    shards(folder)
    files = ["a.safetensors", "b.safetensors", "config.json", "model.safetensors.index.json"]
    for name in data.draw(st.lists(st.sampled_from(files), min_size=1, max_size=3)):
        content = bytearray((folder / name).read_bytes())
        for _ in range(data.draw(st.integers(0, 3))):
            at = data.draw(st.integers(0, min(600, max(0, len(content) - 1))))
            content[at : at + 2] = data.draw(st.binary(max_size=3))
        (folder / name).write_bytes(content[: len(content) - data.draw(st.sampled_from([0, 0, 1, 64]))])
    refusal(lambda: load_model(folder))
    refusal(lambda: read_config(folder))
    refusal(lambda: import_model(folder, folder / "out"))


FAMILIES = ["llama", "mistral", "qwen2", "qwen3", "gemma2", "mixtral", "gpt2", "mamba", "tisslm"]
HUGE = [10**9, 10**30, -1, 0, 2.5, float("nan"), float("inf"), True, "2", None, [2], {"a": 1}]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("key", ["num_hidden_layers", "n_layer", "vocab_size", "hidden_size", "num_attention_heads",
                                 "n_embd", "intermediate_size", "time_step_rank", "sliding_window", "layer_types",
                                 "max_window_layers", "num_local_experts", "head_dim", "tisslm"])  # fmt: skip
def test_sizes_that_nobody_means_are_refused_at_once(folder: Path, family: str, key: str) -> None:
    shape = json.loads((folder / "config.json").read_text())
    shape |= {"n_layer": 1, "n_embd": 32, "n_head": 2, "use_sliding_window": True, "sliding_window": 4,
              "query_pre_attn_scalar": 16, "tisslm": CONFIG.model_dump(mode="json")}  # fmt: skip
    for value in HUGE:
        (folder / "config.json").write_text(json.dumps({**shape, "model_type": family, key: value}))
        refusal(lambda: read_config(folder))


@pytest.mark.parametrize("content", ["[]", "null", "5", '"x"', "[" * 100_000, '{"a": ' + "9" * 5000 + "}", "{", ""])
def test_a_config_that_is_none_is_refused(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    assert "config.json: " in refusal(lambda: read_config(folder))
    assert "config.json: " in refusal(lambda: load_model(folder))
    assert "config.json: " in refusal(lambda: import_model(folder, folder / "out"))


def test_what_is_no_model_says_what_to_give(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "config.json").write_text((folder / "config.json").read_text())
    (tmp_path / "bare" / "pytorch_model.bin").write_bytes(b"")
    (tmp_path / "none").mkdir()
    for source, message in {
        "nowhere": "no such file or folder; give a Hugging Face folder",
        "n" * 5000: "no such file or folder",
        "none": "is a folder without config.json",
        "model.safetensors": "is no model that can be opened",
    }.items():
        for read in (read_config, lambda path: import_model(path, tmp_path / "out")):
            assert message in refusal(lambda read=read, source=source: read(folder / source))
    assert "has no weights; give the folder" in refusal(lambda: import_model(folder / "config.json", tmp_path / "out"))
    assert "pytorch_model.bin is not opened" in refusal(lambda: import_model(tmp_path / "bare", tmp_path / "out"))


def test_packed_weights_are_refused_by_their_name(folder: Path) -> None:
    published = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(published | {"quantization_config": {"quant_method": "gptq"}}))
    assert "quantization_config: packed weights are not read" in refusal(lambda: load_model(folder))


def test_layer_types_must_be_one_for_each_layer(folder: Path) -> None:
    published = json.loads((folder / "config.json").read_text())
    published |= {"model_type": "qwen2", "use_sliding_window": True, "sliding_window": 4}
    for kinds in (["full_attention"] * 2, [], "S", {"a": 1}, ["full_attention"] * 1000):
        (folder / "config.json").write_text(json.dumps(published | {"layer_types": kinds}))
        assert "expected a list of one type for each of 1 layers" in refusal(lambda: read_config(folder))


def test_special_ids_are_rows_of_the_embedding_or_none(folder: Path, tmp_path: Path) -> None:
    published = json.loads((folder / "config.json").read_text())
    numbers = itertools.count()
    for ids, expected in {(5, 6, -1): (5, 6, None), (0, (3, 4), 99): (0, [3, 4], None)}.items():
        written = dict(zip(("bos_token_id", "eos_token_id", "pad_token_id"), ids, strict=True))
        (folder / "config.json").write_text(json.dumps(published | written))
        out = tmp_path / f"out{next(numbers)}"
        import_model(folder, out)
        found = json.loads((out / "generation_config.json").read_text())
        assert (found["bos_token_id"], found["eos_token_id"], found["pad_token_id"]) == expected
    (folder / "config.json").write_text(json.dumps(published | {"bos_token_id": "x"}))
    assert "bos_token_id = 'x', expected a token id, or null" in refusal(lambda: import_model(folder, tmp_path / "o"))

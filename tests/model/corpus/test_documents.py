"""Documents come back as they were written, and equal documents are equal bytes."""

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.corpus.documents import Document, DocumentWriter, count_documents, read_documents, read_texts
from model.errors import IntegrityError
from model.files import files_below, sha256_file

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
DOCUMENTS = st.lists(st.builds(Document, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT))


@given(DOCUMENTS, st.integers(1, 4))
def test_documents_round_trip_in_shards_of_the_asked_size(tmp_path_factory, documents, shard):
    folder = tmp_path_factory.mktemp("documents")
    with DocumentWriter(folder, shard) as writer:
        for document in documents:
            writer.write(document)
    assert list(read_documents(folder)) == documents
    assert count_documents(folder) == len(documents)
    assert len(files_below(folder)) == max(1, -(-len(documents) // shard))


def test_files_close_at_the_character_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("model.corpus.documents.SHARD_CHARACTERS", 1000)
    monkeypatch.setattr("model.corpus.documents.ROW_GROUP_CHARACTERS", 300)
    with DocumentWriter(tmp_path) as writer:
        for i in range(25):
            writer.write(Document(str(i), "x" * 100, "s"))
    files = sorted(tmp_path.iterdir())
    assert [pq.ParquetFile(f).metadata.num_rows for f in files] == [10, 10, 5]
    assert pq.ParquetFile(files[0]).metadata.num_row_groups == 4
    assert list(read_texts(tmp_path)) == ["x" * 100] * 25


def test_same_documents_give_same_bytes(tmp_path):
    for name in "ab":
        with DocumentWriter(tmp_path / name) as writer:
            for i in range(100):
                writer.write(Document(str(i), f"text {i}", "s", "en", "2000", "{}"))
    assert sha256_file(tmp_path / "a/part-00000.parquet") == sha256_file(tmp_path / "b/part-00000.parquet")


def test_missing_or_foreign_files_are_named(tmp_path):
    with pytest.raises(IntegrityError, match="holds no part-"):
        list(read_documents(tmp_path))
    (tmp_path / "part-00000.parquet").write_bytes(b"no parquet")
    with pytest.raises(IntegrityError, match=r"part-00000.parquet: not a Parquet file of documents"):
        list(read_documents(tmp_path))

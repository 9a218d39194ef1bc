from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from small_tokenizers import small_tokenizer

from model.corpus.documents import Document, DocumentWriter
from model.dataset.config import TokenizeConfig
from model.dataset.shards import TokenDataset
from model.errors import CorpusError, ExpectationError, IntegrityError, TokenizerError
from tasks.journal import NullJournal
from tasks.tokenize import tokenize

SPLITS = {"train": slice(0, 50), "validation": slice(50, 55), "test": slice(55, 60)}


@pytest.fixture
def folders(tmp_path, toy_texts):
    """Folders of clean documents and of a tokenizer, made by hand; some texts are awkward."""
    awkward = ["x", "<|endoftext|><|pad|>", "🙂 naïve\r\n\x00 " * 5, "word " * 60_000]
    for split, part in SPLITS.items():
        with DocumentWriter(tmp_path / "clean" / split, shard_documents=20) as writer:
            for index, text in enumerate([*toy_texts[part], *awkward]):
                writer.write(Document(f"toy/{split}-{index}", text, "toy"))
    small_tokenizer().save(tmp_path / "tokenizer")
    return tmp_path


def texts_of(split, toy_texts):
    return [*toy_texts[SPLITS[split]], "x", "<|endoftext|><|pad|>", "🙂 naïve\r\n\x00 " * 5, "word " * 60_000]


def run(root, journal=None, **values):
    config = TokenizeConfig(**{"shard_tokens": 10_000, **values})
    (root / "report").mkdir(exist_ok=True)
    inputs = root / "clean", root / "tokenizer"
    return tokenize(config, *inputs, root / "tokens", journal or NullJournal(), report_folder=root / "report")


@pytest.mark.slow
@pytest.mark.feature("CORP-16", "CORP-10")
def test_every_document_decodes_to_its_text_in_order(folders, toy_texts):
    report = run(folders)
    tokenizer = small_tokenizer()
    for split in SPLITS:
        texts = texts_of(split, toy_texts)
        dataset = TokenDataset.open(folders / "tokens", split)
        dataset.check_tokenizer(tokenizer)
        assert dataset.n_documents == len(texts)
        for index, text in enumerate(texts):
            ids = dataset.document(index)
            assert ids[0] == tokenizer.end_of_text_id
            assert not np.isin(ids[1:], list(tokenizer.special_tokens.values())).any()
            assert tokenizer.decode(ids.tolist()) == text
            assert dataset.document_bytes[index] == len(text.encode())
        assert report.metrics[f"{split}_tokens"] == dataset.n_tokens
        assert report.metrics[f"{split}_bytes"] == sum(len(text.encode()) for text in texts)
    assert len(list((folders / "tokens" / "train").glob("tokens-*.bin"))) > 1
    assert "tokens, " in report.headline
    assert sum(row["train"] for row in report.series["document_lengths"]) == 54


@pytest.mark.slow
def test_shards_and_batches_do_not_change_the_tokens(folders):
    run(folders, shard_tokens=1024)
    many = {split: TokenDataset.open(folders / "tokens", split) for split in SPLITS}
    flat = {split: dataset.read(0, len(dataset)).tolist() for split, dataset in many.items()}
    (folders / "tokens").rename(folders / "many")
    run(folders, shard_tokens=10_000_000)
    for split in SPLITS:
        dataset = TokenDataset.open(folders / "tokens", split)
        assert dataset.read(0, len(dataset)).tolist() == flat[split]


@pytest.mark.slow
def test_the_run_records_each_split_that_it_read(folders):
    journal = NullJournal()
    run(folders, journal)
    datasets = [event for event in journal.events if event["event"] == "dataset"]
    assert [event["name"] for event in datasets] == ["clean/train", "clean/validation", "clean/test"]
    assert len({event["digest"] for event in datasets}) == 3


@pytest.mark.parametrize("split", SPLITS)
def test_an_empty_split_is_a_named_failure_before_anything_is_written(folders, split):
    for path in (folders / "clean" / split).iterdir():
        path.unlink()
    with DocumentWriter(folders / "clean" / split):
        pass
    with pytest.raises(CorpusError, match=f"{split}: no documents, expected at least one in every split") as error:
        run(folders)
    assert "\n" not in str(error.value)
    assert not (folders / "tokens").exists()


def test_a_damaged_tokenizer_is_a_named_failure(folders):
    path = folders / "tokenizer" / "tokenizer.json"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TokenizerError, match=r"tokenizer.json: not a tokenizer"):
        run(folders)


def add_document(folder, text):
    with DocumentWriter(folder) as writer:
        writer.write(Document("toy/added", text, "toy"))


@pytest.mark.slow
def test_a_tokenizer_that_loses_something_is_found_and_the_document_named(folders):
    path = folders / "tokenizer" / "tokenizer.json"
    content = json.loads(path.read_text())
    drop = {"type": "Split", "pattern": {"String": "e"}, "behavior": "Removed", "invert": False}
    content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [drop, content["pre_tokenizer"]]}
    path.write_text(json.dumps(content))
    with pytest.raises(IntegrityError, match=r"train: the tokens of document 'toy/train-0' decode to another") as error:
        run(folders)
    assert "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.feature("CORP-10")
def test_a_document_without_tokens_breaks_an_expectation_that_names_it(folders):
    add_document(folders / "clean" / "test", "")
    with pytest.raises(ExpectationError, match=r"tokens: .*n_tokens.*toy/added") as error:
        run(folders)
    assert "\n" not in str(error.value)
    assert "toy/added" in (folders / "report" / "data_docs" / "tokens.html").read_text()


@pytest.mark.slow
def test_more_documents_than_one_table_of_facts_holds_are_all_judged(folders):
    shutil.rmtree(folders / "clean" / "train")
    with DocumentWriter(folders / "clean" / "train") as writer:
        for index in range(20_050):
            writer.write(Document(f"toy/{index}", f"story {index}", "toy"))
    report = run(folders)
    n_documents = report.metrics["documents"]
    assert n_documents == 20_050 + 2 * 9
    assert {row["checked"] for row in report.tables["Expectations"]} == {n_documents}

"""Edited model folders: logits of old tokens stay, `transformers` opens them, nothing else is touched."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from model_folders import model_folder
from safetensors.torch import load_file
from small_tokenizers import small_tokenizer
from toy_texts import toy_text
from transformers import AutoModelForCausalLM, AutoTokenizer

from model.architecture.interop import load_model
from model.errors import ConfigError, IntegrityError, StorageError, TokenizerError
from model.files import read_json, verify_manifest, write_json
from model.tokenizer.editing.add import add_special, add_words
from model.tokenizer.editing.continuation import continue_training
from model.tokenizer.editing.edit import VocabularyEdit
from model.tokenizer.editing.folder import write_edited
from model.tokenizer.editing.prune import prune
from model.tokenizer.statistics import measure
from model.tokenizer.tokenizer import Tokenizer

TEXT = toy_text(5)[:300]
TIED = pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])


def pruned_edit() -> VocabularyEdit:
    tokenizer = small_tokenizer()
    return prune(tokenizer, measure(tokenizer, [TEXT]).uses, 500)


def edits() -> dict[str, VocabularyEdit]:
    tokenizer = small_tokenizer()
    return {
        "prune": pruned_edit(),
        "words": add_words(tokenizer, [" hydroxychloroquine", "Übermut"]),
        "special": add_special(tokenizer, ["<|image_0|>", "<|image_1|>"]),
        "continue": continue_training(tokenizer, [toy_text(i) for i in range(20, 40)], 64),
    }


@pytest.mark.feature("TOK-05")
@pytest.mark.feature("TOK-06")
@pytest.mark.feature("TOK-07")
@TIED
@pytest.mark.parametrize("kind", ["prune", "words", "special", "continue"])
def test_logits_of_kept_tokens_are_unchanged(tmp_path: Path, tied: bool, kind: str) -> None:
    edit = edits()[kind]
    source = model_folder(tmp_path / "model", edit.old, tied=tied)
    write_edited(source, edit, tmp_path / "edited")
    verify_manifest(tmp_path / "edited")
    old_ids = [i for i in edit.old.encode(TEXT) if i in edit.new_ids()][:60]
    new_ids = [edit.new_ids()[i] for i in old_ids]
    with torch.no_grad():
        before = load_model(source)(torch.tensor([old_ids]))
        after = load_model(tmp_path / "edited")(torch.tensor([new_ids]))
    assert after.shape[-1] == edit.new.vocab_size
    kept = torch.tensor(edit.kept)
    assert torch.equal(after[..., : len(edit.kept)], before[..., kept])


@pytest.mark.feature("TOK-06")
@TIED
def test_row_of_a_new_token_is_the_mean_of_its_old_pieces(tmp_path: Path, tied: bool) -> None:
    edit = edits()["words"]
    source = model_folder(tmp_path / "model", edit.old, tied=tied)
    write_edited(source, edit, tmp_path / "edited")
    old, new = load_model(source), load_model(tmp_path / "edited")
    [token] = edit.new.encode("Übermut")
    pieces = edit.old.encode("Übermut")
    assert len(pieces) > 1
    for name in ("embedding", "head"):
        rows = getattr(old, name).weight.detach()
        expected = sum(rows[piece].double() for piece in pieces) / len(pieces)
        assert torch.equal(getattr(new, name).weight.detach()[token], expected.float())
    assert (new.head.weight is new.embedding.weight) == tied


@pytest.mark.feature("TOK-06")
def test_row_of_a_control_token_is_the_mean_of_all_rows(tmp_path: Path) -> None:
    edit = edits()["special"]
    write_edited(model_folder(tmp_path / "model", edit.old, tied=True), edit, tmp_path / "edited")
    rows = load_model(tmp_path / "edited").embedding.weight.detach()
    torch.testing.assert_close(rows[600], rows[:600].mean(0))


@pytest.mark.feature("TOK-06")
@TIED
def test_new_control_tokens_take_no_more_probability_than_their_share(tmp_path: Path, tied: bool) -> None:
    """Hewitt 2021: with mean rows the loss on old text grows by log(1 + new / old) at most (Jensen's inequality)."""
    tokenizer = small_tokenizer()
    edit = add_special(tokenizer, [f"<|code_{i}|>" for i in range(300)])
    source = model_folder(tmp_path / "model", tokenizer, tied=tied)
    write_edited(source, edit, tmp_path / "edited")
    ids = torch.tensor([tokenizer.encode(TEXT)[:60]])
    with torch.no_grad():
        before, after = (load_model(f)(ids).double().logsumexp(-1) for f in (source, tmp_path / "edited"))
    growth = after - before
    assert growth.max() <= math.log(1 + 300 / 600) + 1e-6
    assert growth.min() > 0


@pytest.mark.feature("TOK-05")
@pytest.mark.feature("TOK-14")
@TIED
def test_transformers_opens_the_pruned_folder_with_the_same_ids_and_logits(tmp_path: Path, tied: bool) -> None:
    edit = pruned_edit()
    write_edited(model_folder(tmp_path / "model", edit.old, tied=tied), edit, tmp_path / "edited")
    opened = AutoTokenizer.from_pretrained(tmp_path / "edited")
    ids = edit.new.encode(TEXT)[:50]
    assert opened.encode(TEXT)[:50] == ids
    network = AutoModelForCausalLM.from_pretrained(tmp_path / "edited").eval()
    with torch.no_grad():
        theirs = network(torch.tensor([ids])).logits
        ours = load_model(tmp_path / "edited")(torch.tensor([ids]))
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-5)


@pytest.mark.feature("TOK-05")
def test_other_tensors_keep_their_bytes_and_the_record_tells_the_way(tmp_path: Path) -> None:
    edit = pruned_edit()
    source = model_folder(tmp_path / "model", edit.old, tied=False)
    write_edited(source, edit, tmp_path / "edited")
    before, after = (load_file(f / "model.safetensors") for f in (source, tmp_path / "edited"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"model.embed_tokens.weight", "lm_head.weight"}
    record = read_json(tmp_path / "edited" / "vocabulary_edit.json")
    assert record == edit.record()
    assert Tokenizer.open(tmp_path / "edited").digest == record["new_digest"]


@pytest.mark.feature("TOK-05")
def test_tokenizer_folder_without_a_model_is_edited_too(tmp_path: Path) -> None:
    edit = pruned_edit()
    edit.old.save(tmp_path / "tokenizer")
    write_edited(tmp_path / "tokenizer", edit, tmp_path / "edited")
    assert AutoTokenizer.from_pretrained(tmp_path / "edited").encode(TEXT) == edit.new.encode(TEXT)
    assert not (tmp_path / "edited" / "config.json").exists()
    write_edited(tmp_path / "tokenizer", edit, tmp_path / "edited")  # again over its own result


@pytest.mark.feature("TOK-05")
def test_wrong_folders_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    edit = pruned_edit()
    source = model_folder(tmp_path / "model", edit.old, tied=True)
    for inside in (source, source / "new"):
        with pytest.raises(StorageError, match="the folder that is edited"):
            write_edited(source, edit, inside)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(StorageError, match="no edited tokenizer"):
        write_edited(source, edit, tmp_path / "mine")
    with pytest.raises(TokenizerError, match=r"has no tokenizer\.json"):
        write_edited(tmp_path / "mine", edit, tmp_path / "out")
    small_tokenizer("gpt2").save(tmp_path / "other")
    with pytest.raises(TokenizerError, match="not the tokenizer that was edited"):
        write_edited(tmp_path / "other", edit, tmp_path / "out")
    write_json(source / "config.json", read_json(source / "config.json") | {"vocab_size": 7})
    with pytest.raises(IntegrityError, match=r"config\.json"):
        write_edited(source, edit, tmp_path / "out")
    (source / "MANIFEST.json").unlink()
    with pytest.raises(ConfigError, match="vocab_size 7, expected 600"):
        write_edited(source, edit, tmp_path / "out")
    write_json(source / "config.json", {"model_type": "tisslm-int8"})
    with pytest.raises(ConfigError, match="tisslm-int8"):
        write_edited(source, edit, tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "model", "other"]

"""Augmentation: what each operation may change and what not, the same copies in any order, WordNet's own format."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from model.corpus.augmentation.augmenter import OPERATIONS, Augmenter
from model.corpus.augmentation.config import DEBIAN_WORDNET, AugmentationConfig
from model.corpus.augmentation.translation import translate_round
from model.corpus.augmentation.typos import neighbours
from model.corpus.augmentation.wordnet import WordNet, open_wordnet
from model.corpus.augmentation.words import split_words
from model.errors import CorpusError

pytestmark = pytest.mark.feature("CORP-12")
TEXT = (
    "The quick Dog ran away. It did not look back!\n"
    "A big car, red and new, stood there; nobody drove it.\n\nThe end came soon."
)
LICENCE = "  1 This software and database is being provided under a licence\n"
DATA = {
    "noun": [
        "00000001 04 n 02 car 0 automobile 0 000 | a motor vehicle",
        "00000002 05 n 03 dog 0 domestic_dog 0 Canis 0 001 @ 00000001 n 0000 | a pet",
    ],
    "verb": ["00000003 29 v 02 look 0 appear 0 000 01 + 02 00 | seem", "00000004 38 v 02 car 9 ride 0 000 | to ride"],
    "adj": ["00000005 00 a 03 big 0 large(p) 0 huge 0 000 | of size"],
    "adv": ["00000006 02 r 02 away 0 off 1 000 | from a place"],
}
WORDS = ["synonyms", "insert_synonyms", "swap_words", "delete_words", "mask_words",
         "replace_words", "shuffle_words", "shuffle_sentences", "typos"]  # fmt: skip


@pytest.fixture(scope="module")
def wordnet(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A WordNet of six meanings in the format of wndb(5WN); places are true byte offsets."""
    folder = tmp_path_factory.mktemp("wordnet")
    for part, lines in DATA.items():
        data, index = LICENCE.encode(), LICENCE
        for line in lines:
            fields, place = line.split(), len(data)
            data += f"{place:08d}{line[8:]}\n".encode()
            words = [fields[4 + 2 * i].partition("(")[0].lower() for i in range(int(fields[3], 16))]
            for word in words:
                tagged = 0 if part == "verb" and word == "car" else 3
                index += f"{word} {fields[2]} 1 1 @ 1 {tagged} {place:08d}  \n"
        (folder / f"data.{part}").write_bytes(data)
        (folder / f"index.{part}").write_text(index)
    return str(folder)


def variants(
    operations: list[dict[str, object]], text: str = TEXT, name: str = "d1", n: int = 1, seed: int = 0
) -> list[str]:
    config = AugmentationConfig.model_validate({"operations": operations, "variants": n, "seed": seed})
    return Augmenter(config).variants(name, text)


def test_synonyms_come_from_the_most_frequent_meaning(wordnet: str) -> None:
    net = open_wordnet(wordnet)
    assert net.synonyms("car") == ("automobile",)
    assert net.synonyms("dog") == ("domestic dog", "Canis")
    assert net.synonyms("big") == ("large", "huge")
    assert net.synonyms("unheard-of") == ()
    (copy,) = variants([{"operation": "synonyms", "rate": 1, "dictionary": wordnet}])
    assert re.fullmatch(
        r"The quick (Domestic dog|Canis) ran off\. It did not appear back!\nA (large|huge) automobile, red and new, "
        r"stood there; nobody drove it\.\n\nThe end came soon\.",
        copy,
    )


def test_the_real_wordnet_is_read_where_it_is_installed() -> None:
    if not Path(DEBIAN_WORDNET, "index.noun").exists():
        pytest.skip("Debian's wordnet-base is not installed")
    net = WordNet(Path(DEBIAN_WORDNET))
    assert len(net) > 140_000
    assert "automobile" in net.synonyms("car")
    assert net.synonyms("happy") == ()
    assert "big" in net.synonyms("large")


def test_a_folder_without_wordnet_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no WordNet here .* install Debian's wordnet-base"):
        variants([{"operation": "synonyms", "dictionary": str(tmp_path)}])
    for part in ("noun", "verb", "adj", "adv"):
        (tmp_path / f"data.{part}").write_text("")
        (tmp_path / f"index.{part}").write_text("one two\n")
    with pytest.raises(CorpusError, match="not WordNet's index format"):
        variants([{"operation": "insert_synonyms", "dictionary": str(tmp_path)}])


def test_swapping_and_shuffling_keep_all_words(wordnet: str) -> None:
    for operation in (
        {"operation": "swap_words", "rate": 0.5},
        {"operation": "shuffle_words", "window": 4},
        {"operation": "shuffle_sentences"},
    ):
        for copy in variants([operation], n=5):
            assert Counter(re.findall(r"\w+", copy)) == Counter(re.findall(r"\w+", TEXT))
            assert copy.count("\n") == TEXT.count("\n")
            assert [Counter(re.findall(r"\w+", a)) for a in copy.split("\n")] == [
                Counter(re.findall(r"\w+", a)) for a in TEXT.split("\n")
            ]
    assert variants([{"operation": "shuffle_sentences"}], "One a. Two b! Three c?", n=9)
    assert set(
        re.findall(r"\w+ \w[.!?]", variants([{"operation": "shuffle_sentences"}], "One a. Two b! Three c?", n=9)[0])
    ) == {"One a.", "Two b!", "Three c?"}


def test_rates_are_shares_of_words() -> None:
    text = "\n".join(" ".join(f"word{i}" for i in range(20)) for _ in range(500))
    (deleted,) = variants([{"operation": "delete_words", "rate": 0.2}], text)
    (masked,) = variants([{"operation": "mask_words", "rate": 0.2, "mask": "<m>"}], text)
    assert 0.18 < 1 - len(deleted.split()) / 10_000 < 0.22
    assert 0.18 < masked.count("<m>") / 10_000 < 0.22
    assert len(masked.split()) == 10_000
    (typed,) = variants([{"operation": "typos", "rate": 0.1, "kinds": ["neighbour"]}], "a" * 10_000)
    assert 0.08 < sum(c != "a" for c in typed) / 10_000 < 0.12
    assert set(typed) == {"a", *neighbours("qwerty")["a"]}


def test_replaced_words_come_from_the_document_and_typos_leave_numbers_alone() -> None:
    (copy,) = variants([{"operation": "replace_words", "rate": 0.5}])
    assert {w.lower() for w in re.findall(r"\w+", copy)} <= {w.lower() for w in re.findall(r"\w+", TEXT)}
    (copy,) = variants([{"operation": "typos", "rate": 0.5}], "call 555 0132, now! " * 20)
    assert re.findall(r"\d+", copy) == ["555", "0132"] * 20


def test_neighbours_touch_one_another() -> None:
    for layout in ("qwerty", "qwertz", "azerty"):
        near = neighbours(layout)
        assert all(a in near[b] for a, others in near.items() for b in others)
    assert set(neighbours("qwerty")["s"]) == set("awedxz")


@pytest.mark.parametrize("operation", WORDS)
def test_copies_depend_on_seed_id_and_number_only(operation: str, wordnet: str) -> None:
    asked: dict[str, object] = {"operation": operation}
    if (
        "rate"
        in AugmentationConfig.model_json_schema()["$defs"][
            {"typos": "Typos"}.get(operation, operation.title().replace("_", ""))
        ]["properties"]
    ):
        asked["rate"] = 0.5
    if "synonyms" in operation:
        asked["dictionary"] = wordnet
    text = TEXT * 5
    first = variants([asked], text, n=3)
    assert first == variants([asked], text, n=3)
    assert variants([asked], text, n=1) == first[:1]
    assert variants([asked], text, name="d2", n=3) != first
    assert variants([asked], text, seed=1, n=3) != first
    assert len(set(first)) == 3
    assert text not in first


@given(st.text(max_size=200), st.sampled_from([w for w in WORDS if "synonyms" not in w]))
def test_no_text_breaks_an_operation(text: str, operation: str) -> None:
    assert "".join(split_words(text)) == text
    assert all(copy != text and copy.strip() for copy in variants([{"operation": operation}], text, n=2))


def test_a_document_keeps_a_word_and_an_unchanged_copy_is_left_out() -> None:
    assert variants([{"operation": "delete_words", "rate": 1}], "a b c")[0].strip() in {"a", "b", "c"}
    assert variants([{"operation": "mask_words"}], "?!") == []
    assert variants([{"operation": "typos"}], "") == []


@pytest.mark.parametrize(
    "operations",
    [
        [],
        [{"operation": "magic"}],
        [{"operation": "typos", "rate": 0}],
        [{"rate": 0.1}],
        [{"operation": "shuffle_words", "window": 1}],
    ],
)
def test_a_wrong_configuration_is_refused(operations: list[dict[str, object]]) -> None:
    with pytest.raises(ValidationError):
        AugmentationConfig.model_validate({"operations": operations})


def test_every_operation_of_the_configuration_is_built() -> None:
    schema = AugmentationConfig.model_json_schema()["properties"]["operations"]["items"]["discriminator"]["mapping"]
    assert set(schema) == set(OPERATIONS)


def test_translation_keeps_lines_and_the_spaces_between_sentences() -> None:
    text = "One.  Two? \n\n\tThree!\n"
    upper = [lambda sentences: [sentence.upper() for sentence in sentences]] * 2
    assert translate_round(text, *upper) == "ONE.  TWO? \n\n\tTHREE!\n"
    assert translate_round("Gone.", list, lambda s: [""] * len(s)) == "Gone."


@pytest.mark.slow
def test_back_translation_runs_through_marian_models_in_local_folders(tmp_path: Path) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    import json

    import torch
    from transformers import MarianConfig, MarianMTModel, MarianTokenizer

    (tmp_path / "text.txt").write_text((TEXT + "\n") * 20)
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "text.txt"), model_prefix=str(tmp_path / "sp"), vocab_size=60, hard_vocab_limit=False
    )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "sp.model"))
    vocabulary = dict.fromkeys(
        ["</s>", "<unk>", *(pieces.id_to_piece(i) for i in range(pieces.get_piece_size())), "<pad>"]
    )
    (tmp_path / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(vocabulary)}))
    for seed, name in enumerate(("there", "back")):
        torch.manual_seed(seed)
        size = len(vocabulary)
        config = MarianConfig(
            vocab_size=size, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=16, decoder_ffn_dim=16, pad_token_id=size - 1, decoder_start_token_id=size - 1,
            eos_token_id=0,
            forced_eos_token_id=0, max_position_embeddings=64, init_std=1.0,
        )  # fmt: skip
        MarianMTModel(config).save_pretrained(tmp_path / name)
        MarianTokenizer(
            str(tmp_path / "sp.model"), str(tmp_path / "sp.model"), str(tmp_path / "vocab.json")
        ).save_pretrained(tmp_path / name)
    asked = {
        "operation": "back_translate",
        "there": str(tmp_path / "there"),
        "back": str(tmp_path / "back"),
        "max_tokens": 12,
    }
    (copy,) = variants([asked])
    assert copy != TEXT
    assert copy.count("\n") == TEXT.count("\n")
    assert variants([asked]) == [copy]


def test_a_folder_without_a_model_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such folder; expected a transformers translation model"):
        variants([{"operation": "back_translate", "there": str(tmp_path / "x"), "back": str(tmp_path)}])
    with pytest.raises(CorpusError, match="no translation model that transformers opens"):
        variants([{"operation": "back_translate", "there": str(tmp_path), "back": str(tmp_path)}])

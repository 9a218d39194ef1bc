"""Side features: aligned with tokens, as good as labelled by hand, sensible groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_tokenizers import small_tokenizer
from toy_texts import toy_text

from model.errors import ConfigError, CorpusError, TokenizerError
from model.tokenizer.annotation.annotate import annotate
from model.tokenizer.annotation.clusters import ClusterConfig, TokenClusters, train_clusters
from model.tokenizer.annotation.words import sentences, word_of_token, words

pytestmark = pytest.mark.feature("TOK-13")

# labelled by hand with the universal tags; relative and possessive pronouns are pronouns, auxiliaries are verbs
ENGLISH = """
The/DET old/ADJ farmer/NOUN carried/VERB three/NUM baskets/NOUN of/ADP apples/NOUN to/ADP the/DET market/NOUN ./PUNCT
She/PRON quickly/ADV opened/VERB the/DET window/NOUN and/CONJ looked/VERB outside/ADV ./PUNCT
Congress/NOUN must/VERB act/VERB now/ADV ,/PUNCT because/ADP our/PRON economy/NOUN is/VERB weak/ADJ ./PUNCT
I/PRON have/VERB never/ADV seen/VERB a/DET more/ADV beautiful/ADJ city/NOUN than/ADP Paris/NOUN ./PUNCT
They/PRON will/VERB not/ADV return/VERB before/ADP the/DET end/NOUN of/ADP May/NOUN ./PUNCT
If/ADP you/PRON want/VERB to/PRT win/VERB ,/PUNCT you/PRON should/VERB train/VERB every/DET day/NOUN ./PUNCT
The/DET new/ADJ law/NOUN protects/VERB workers/NOUN who/PRON report/VERB dangerous/ADJ conditions/NOUN ./PUNCT
His/PRON brother/NOUN bought/VERB a/DET used/ADJ car/NOUN in/ADP 1998/NUM for/ADP 500/NUM dollars/NOUN ./PUNCT
It/PRON was/VERB raining/VERB heavily/ADV when/ADV we/PRON left/VERB London/NOUN ./PUNCT
Children/NOUN love/VERB stories/NOUN about/ADP dragons/NOUN ,/PUNCT knights/NOUN and/CONJ distant/ADJ stars/NOUN ./PUNCT
The/DET quick/ADJ brown/ADJ fox/NOUN jumps/VERB over/ADP the/DET lazy/ADJ dog/NOUN ./PUNCT
We/PRON hold/VERB these/DET truths/NOUN to/PRT be/VERB self-evident/ADJ ./PUNCT
My/PRON sister/NOUN runs/VERB faster/ADV than/ADP most/DET boys/NOUN at/ADP school/NOUN ./PUNCT
Although/ADP the/DET train/NOUN was/VERB late/ADJ ,/PUNCT the/DET guests/NOUN complained/VERB little/ADV ./PUNCT
"""
GERMAN = """
Der/DET alte/ADJ Bauer/NOUN trug/VERB drei/NUM Körbe/NOUN zum/ADP Markt/NOUN ./PUNCT
Sie/PRON öffnete/VERB schnell/ADV das/DET Fenster/NOUN und/CONJ sah/VERB hinaus/ADV ./PUNCT
Wenn/ADP du/PRON gewinnen/VERB willst/VERB ,/PUNCT musst/VERB du/PRON täglich/ADV üben/VERB ./PUNCT
Das/DET neue/ADJ Gesetz/NOUN schützt/VERB die/DET Arbeiter/NOUN ./PUNCT
"""


def labelled(text: str) -> tuple[str, list[str]]:
    pairs = [pair.rsplit("/", 1) for pair in text.split()]
    return " ".join(word for word, _ in pairs), [tag for _, tag in pairs]


@pytest.mark.parametrize(("language", "text", "least"), [("en", ENGLISH, 0.95), ("de", GERMAN, 0.85)])
def test_parts_of_speech_agree_with_those_labelled_by_hand(language: str, text: str, least: float) -> None:
    pytest.importorskip("HanTa")
    from model.tokenizer.annotation.part_of_speech import TAGS, tag_words

    sentence, expected = labelled(text)
    found = [TAGS[number] for number in tag_words(words(sentence), language)]
    assert len(found) == len(expected)
    right = sum(a == b for a, b in zip(found, expected, strict=True))
    wrong = [x for x in zip(sentence.split(), expected, found, strict=True) if x[1] != x[2]]
    assert right / len(expected) >= least, wrong


@given(st.text())
def test_every_token_belongs_to_the_word_of_its_first_letter(text: str) -> None:
    tokenizer = small_tokenizer()
    found = words(text)
    ids = tokenizer.encode(text)
    owner = word_of_token(tokenizer, text, ids, found)
    assert len(owner) == len(ids)
    at = 0
    for token_id, number in zip(ids, owner.tolist(), strict=True):
        data = tokenizer.token_bytes(token_id)
        spans = [(len(text[: w.start].encode()), len(text[: w.end].encode())) for w in found]
        touched = [i for i, (start, end) in enumerate(spans) if start < at + len(data) and end > at]
        assert number == (touched[0] if touched else -1)
        at += len(data)


@given(st.text())
def test_words_and_sentences_hold_everything_but_white_space(text: str) -> None:
    found = words(text)
    assert [word for sentence in sentences(found) for word in sentence] == found
    assert all(text[word.start : word.end] == word.text for word in found)
    assert "".join(word.text for word in found) == "".join(text.split()) or any(
        c.isspace() != (not c.strip()) for c in text
    )


def test_ids_of_another_text_are_refused() -> None:
    tokenizer = small_tokenizer()
    with pytest.raises(TokenizerError, match="do not give the text back"):
        word_of_token(tokenizer, "one", tokenizer.encode("two"), words("one"))


def test_annotation_has_a_value_for_every_token_of_a_word() -> None:
    pytest.importorskip("HanTa")
    pytest.importorskip("vaderSentiment")
    from model.tokenizer.annotation.part_of_speech import TAGS

    tokenizer = small_tokenizer()
    text = "What a wonderful harvest! The storm was horrible."
    made = annotate(tokenizer, text, ["part_of_speech", "valence", "sentence_sentiment"])
    n = len(made.ids)
    assert {name: values.shape for name, values in made.features.items()} == dict.fromkeys(made.features, (n,))
    numbers = {word.text: number for number, word in enumerate(words(text))}

    def values(feature: str, word: str) -> set[float]:
        return set(made.features[feature][made.word == numbers[word]].tolist())

    assert len(tokenizer.encode(" wonderful")) > 1
    assert values("part_of_speech", "wonderful") == {TAGS.index("ADJ")}
    assert min(values("valence", "wonderful")) > 2
    assert max(values("valence", "horrible")) < -1.5
    assert values("valence", "storm") == {0}
    assert min(values("sentence_sentiment", "harvest")) > 0.4
    assert max(values("sentence_sentiment", "storm")) < -0.4


def test_missing_language_and_missing_clusters_are_clear_errors() -> None:
    pytest.importorskip("HanTa")
    with pytest.raises(ConfigError, match="language 'xx', expected one of en, de, nl"):
        annotate(small_tokenizer(), "a", ["part_of_speech"], "xx")
    with pytest.raises(ConfigError, match="needs clusters"):
        annotate(small_tokenizer(), "a", ["cluster"])


def test_tokens_used_alike_are_in_one_group(tmp_path: Path) -> None:
    """Two made-up classes of words that never meet: the groups tell them apart."""
    tokenizer = small_tokenizer()
    first, second = [" the", " a", " in", " of"], [" coins", " after", " during", " every"]
    assert all(len(tokenizer.encode(word)) == 1 for word in [*first, *second])
    draw = np.random.default_rng(0)
    texts = ["".join(draw.choice(group, 30)) for group in (first, second) for _ in range(20)]
    clusters = train_clusters(tokenizer, texts, ClusterConfig(n_clusters=2, n_features=4))
    groups = [{int(clusters.cluster_of[tokenizer.encode(w)[0]]) for w in group} for group in (first, second)]
    assert [len(group) for group in groups] == [1, 1]
    assert groups[0] != groups[1]
    clusters.save(tmp_path)
    opened = TokenClusters.open(tmp_path, tokenizer)
    np.testing.assert_array_equal(opened.cluster_of, clusters.cluster_of)
    made = annotate(tokenizer, " the coins", ["cluster"], clusters=opened)
    assert made.features["cluster"].tolist() == [*groups[0], *groups[1]]
    with pytest.raises(TokenizerError, match="clusters of tokenizer"):
        TokenClusters.open(tmp_path, small_tokenizer("gpt2"))


def test_clusters_are_the_same_again_and_need_enough_tokens() -> None:
    tokenizer = small_tokenizer()
    texts = [toy_text(i) for i in range(4)]
    config = ClusterConfig(n_clusters=12, n_features=20)
    first, second = (train_clusters(tokenizer, texts, config) for _ in range(2))
    assert first.cluster_of.tobytes() == second.cluster_of.tobytes()
    assert set(first.cluster_of[first.cluster_of >= 0].tolist()) == set(range(12))
    with pytest.raises(CorpusError, match="use 1 different tokens, expected 12"):
        train_clusters(tokenizer, ["a"], config)

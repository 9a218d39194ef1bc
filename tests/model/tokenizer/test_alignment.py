"""Alignment: rotations found again, scipy's Procrustes, and two real languages."""

from __future__ import annotations

import random
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import TokenizerError
from model.tokenizer.alignment import align, nearest, normalized, procrustes, refine, retrieval
from model.tokenizer.vector_files import read_pairs, read_vectors, write_vectors
from model.tokenizer.word_vectors import cooccurrences, ppmi, vocabulary, word_vectors

pytestmark = pytest.mark.feature("TOK-08")

DICTIONARY = """right derecho|rights derechos|freedom libertad|person persona|law ley|state estado|life vida
|education educación|work trabajo|family familia|country país|nations naciones|equal igual|protection protección
|marriage matrimonio|religion religión|opinion opinión|property propiedad|slavery esclavitud|nationality nacionalidad
|social social|security seguridad|cultural cultural|international internacional|race raza|dignity dignidad
|conscience conciencia|thought pensamiento|association asociación|government gobierno|health salud|children hijos
|asylum asilo|tribunal tribunal|home domicilio|duties deberes|declaration declaración|world mundo|peace paz
|justice justicia|unions sindicatos|elections elecciones|political política|penal penal|purposes propósitos
|men hombres|women mujeres|full plena|without sin|everyone persona|all todos|nor ni|national nacional|and y|to a"""


def rotated_words(n: int = 400, d: int = 24, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(5)
    source = normalized(draw.normal(size=(n, d)) * np.linspace(2, 0.4, d))
    rotation, _ = np.linalg.qr(draw.normal(size=(d, d)))
    return source, normalized(source @ rotation + noise * draw.normal(size=(n, d)), centred=False), rotation


def test_rotation_is_found_again_exactly() -> None:
    source, target, rotation = rotated_words()
    found = procrustes(source[:60], target[:60])
    np.testing.assert_allclose(found, rotation, atol=1e-8)
    np.testing.assert_allclose(align(source, target, [(i, i) for i in range(60)]), target, atol=1e-8)


@given(st.integers(1, 12), st.integers(1, 8), st.integers(0, 99))
def test_matrix_is_orthogonal_and_that_of_scipy(n: int, d: int, seed: int) -> None:
    linalg = pytest.importorskip("scipy.linalg")
    draw = np.random.default_rng(seed)
    source, target = draw.normal(size=(n, d)), draw.normal(size=(n, d))
    found = procrustes(source, target)
    np.testing.assert_allclose(found @ found.T, np.eye(d), atol=1e-9)
    theirs, _ = linalg.orthogonal_procrustes(source, target)
    assert np.linalg.norm(source @ found - target) == pytest.approx(np.linalg.norm(source @ theirs - target))


@pytest.mark.parametrize("score", ["cosine", "csls"])
def test_noisy_rotation_is_retrieved_on_held_out_words_and_not_without_alignment(score: str) -> None:
    source, target, _ = rotated_words(noise=0.08)
    held_out = [(i, i) for i in range(100, 400)]
    before = retrieval(source, target, held_out, score)
    after = retrieval(align(source, target, [(i, i) for i in range(100)]), target, held_out, score)
    assert before.precision_at_1 < 0.05
    assert after.precision_at_1 > 0.9
    assert after.precision_at_5 >= after.precision_at_1
    assert after.n_queries == 300


def test_refinement_makes_much_of_a_small_dictionary() -> None:
    source, target, _ = rotated_words(noise=0.08)
    seed, held_out = [(i, i) for i in range(26)], [(i, i) for i in range(100, 400)]
    once = retrieval(align(source, target, seed), target, held_out)
    often = retrieval(refine(source, target, seed), target, held_out)
    assert often.precision_at_1 > once.precision_at_1


def test_csls_equals_its_definition() -> None:
    source, target, _ = rotated_words(n=40, noise=0.3)
    cosine = source @ target.T
    r_source = np.sort(cosine, axis=1)[:, -10:].mean(1)
    r_target = np.sort(cosine, axis=0)[-10:].mean(0)
    score = 2 * cosine - r_source[:, None] - r_target[None]
    np.testing.assert_array_equal(nearest(source, target, np.arange(40), 1)[:, 0], score.argmax(1))


def test_csls_helps_where_one_word_is_near_to_all() -> None:
    """The reason for CSLS: a hub in the target space takes answers away from the right ones."""
    source, target, _ = rotated_words(noise=0.25)
    hub = normalized(target.mean(0)[None] + 0.4 * target[:150].sum(0)[None], centred=False)
    crowded = normalized(np.vstack([target + 0.5 * hub, hub]), centred=False)
    aligned = align(source, target, [(i, i) for i in range(100)])
    pairs = [(i, i) for i in range(100, 400)]
    with_cosine = retrieval(aligned, crowded, pairs, "cosine").precision_at_1
    assert retrieval(aligned, crowded, pairs, "csls").precision_at_1 > with_cosine


def test_word_with_several_translations_counts_once() -> None:
    source, target, _ = rotated_words(n=30)
    found = retrieval(align(source, target, [(i, i) for i in range(30)]), target, [(3, 3), (3, 7), (4, 9)])
    assert (found.n_queries, found.precision_at_1) == (2, 0.5)


def test_empty_and_unequal_inputs_are_refused() -> None:
    source, target, _ = rotated_words(n=5)
    with pytest.raises(TokenizerError, match="seed dictionary"):
        align(source, target, [])
    with pytest.raises(TokenizerError, match="measure"):
        retrieval(source, target, [])
    with pytest.raises(TokenizerError, match="expected equal"):
        procrustes(source, target[:2])


def test_ppmi_equals_its_definition() -> None:
    counts = cooccurrences([[0, 1, 2, 1], [-1, 2]], 3, 2)
    np.testing.assert_array_equal(counts, [[0, 1, 1], [1, 2, 2], [1, 2, 0]])
    context = counts.sum(0) ** 0.75 / (counts.sum(0) ** 0.75).sum()
    joint, first = counts / counts.sum(), counts.sum(1) / counts.sum()
    for i in range(3):
        for j in range(3):
            expected = max(0, np.log(joint[i, j] / (first[i] * context[j]))) if counts[i, j] else 0
            assert ppmi(counts)[i, j] == pytest.approx(expected)


def test_vectors_of_a_model_are_those_of_its_word_tokens(tmp_path: Path) -> None:
    import torch
    from small_tokenizers import small_tokenizer

    from model.architecture.config import ModelConfig
    from model.architecture.decoder import Decoder
    from model.architecture.interop import save_model

    tokenizer = small_tokenizer()
    torch.manual_seed(0)
    model = Decoder(ModelConfig(vocab_size=600, n_layers=1, d_model=16, n_heads=2, n_kv_heads=2, d_ff=16))
    save_model(model, tmp_path)
    tokenizer.save(tmp_path)
    vectors = read_vectors(tmp_path)
    assert len(set(vectors.words)) == len(vectors.words)
    assert "old" in vectors.words
    row = vectors.vectors_ND[vectors.words.index("old")]
    np.testing.assert_allclose(row, model.embedding.weight.detach()[tokenizer.encode(" old")[0]].numpy())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no vector"),
        ("a 1 2\nb 1\n", "line 2"),
        ("a 1 x\n", "line 1"),
        ("a nan 1\n", "finite"),
        ("\xff", "UTF-8"),
    ],
)
def test_damaged_vector_file_is_one_clear_error(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "a.vec").write_bytes(content.encode("latin-1"))
    with pytest.raises(TokenizerError, match=said):
        read_vectors(tmp_path / "a.vec")


def test_vectors_and_pairs_are_read_as_written(tmp_path: Path) -> None:
    write_vectors(tmp_path / "a.vec", ["one", "two"], np.array([[1.5, 2], [0, -1e-9]]))
    vectors = read_vectors(tmp_path / "a.vec")
    assert vectors.words == ("one", "two")
    np.testing.assert_allclose(vectors.vectors_ND, [[1.5, 2], [0, -1e-9]])
    (tmp_path / "pairs").write_text("one two\n\nunknown one\ntwo\ttwo\n", encoding="utf-8")
    assert read_pairs(tmp_path / "pairs", vectors, vectors) == [(0, 1), (1, 1)]
    (tmp_path / "pairs").write_text("one two three\n", encoding="utf-8")
    with pytest.raises(TokenizerError, match="line 1: 3 words"):
        read_pairs(tmp_path / "pairs", vectors, vectors)


def udhr(code: str) -> list[list[str]]:
    for parent in Path(__file__).resolve().parents:
        found = parent / "shared" / "data" / "udhr2.zip"
        if found.is_file():
            with zipfile.ZipFile(found) as archive:
                text = archive.read(f"udhr2/{code}.txt").decode("utf-8").lower()
            articles: list[list[str]] = [[]]
            for line in text.splitlines():
                words = re.findall(r"\w+", line)
                if words[:1] in (["article"], ["artículo"]) and len(words) <= 3:
                    articles.append([])
                articles[-1] += words
            return articles
    pytest.skip("the declarations (udhr2.zip) are not at hand")


def test_english_and_spanish_words_find_each_other_from_1750_words_of_text() -> None:
    vectors, words = [], []
    for articles in (udhr("eng"), udhr("spa")):
        known = vocabulary(articles, 500)
        number = {word: index for index, word in enumerate(known)}
        sequences = [[number.get(word, -1) for word in article] for article in articles]
        vectors.append(normalized(word_vectors(cooccurrences(sequences, len(known), 8), 30)))
        words.append(known)
    listed = [pair.split() for pair in DICTIONARY.replace("\n", "").split("|")]
    pairs = [(words[0].index(a), words[1].index(b)) for a, b in listed if a in words[0] and b in words[1]]
    assert len(pairs) >= 50
    scores = []
    for seed in range(5):
        random.Random(seed).shuffle(pairs)
        aligned = align(*vectors, pairs[:38])
        scores.append(retrieval(aligned, vectors[1], pairs[38:]))
        assert retrieval(vectors[0], vectors[1], pairs[38:]).precision_at_5 < 0.15
    assert np.mean([score.precision_at_5 for score in scores]) > 0.3  # by chance 0.01
    assert np.mean([score.precision_at_1 for score in scores]) > 0.1  # by chance 0.002

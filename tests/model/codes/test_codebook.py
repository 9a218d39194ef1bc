"""k-means and residual codebooks against brute force and scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from model.codes.codebook import Codebook, load_codebook, save_codebook, train_codebook
from model.codes.config import CodebookConfig
from model.errors import CheckpointError, CorpusError, IntegrityError, TokenizerError
from model.tokenizer.clustering import assign, kmeans

pytestmark = pytest.mark.feature("TOK-11")


def blobs(n: int = 2000, centres: int = 12, features: int = 6) -> np.ndarray:
    draw = np.random.default_rng(3)
    places = draw.normal(0, 5, (centres, features))
    return (places[draw.integers(centres, size=n)] + draw.normal(0, 0.3, (n, features))).astype(np.float32)


@given(
    arrays(np.float32, (17, 3), elements=st.floats(-9, 9, width=16)),
    arrays(np.float32, (5, 3), elements=st.floats(-9, 9, width=16)),
)
def test_assignment_is_the_nearest_centre(points: np.ndarray, centres: np.ndarray) -> None:
    nearest, distances = assign(points, centres)
    exact = ((points[:, None].astype(float) - centres[None]) ** 2).sum(2)
    np.testing.assert_allclose(exact[np.arange(17), nearest], exact.min(1), atol=1e-3)
    np.testing.assert_allclose(distances, exact.min(1), atol=1e-3)


def test_clusters_are_as_tight_as_those_of_scikit_learn() -> None:
    from sklearn.cluster import KMeans

    points = blobs()
    ours = assign(points, kmeans(points, 12, 50, np.random.default_rng(0)))[1].sum()
    theirs = KMeans(12, n_init=1, random_state=0).fit(points).inertia_
    assert ours < 1.5 * theirs
    best = KMeans(12, n_init=10, random_state=0).fit(points).inertia_
    ours_of_ten = min(assign(points, kmeans(points, 12, 50, np.random.default_rng(s)))[1].sum() for s in range(10))
    assert ours_of_ten < 1.01 * best


@given(arrays(np.float32, (9, 2), elements=st.sampled_from([0.0, 1.0, 2.5])), st.integers(2, 9))
def test_few_different_points_and_empty_clusters_do_no_harm(points: np.ndarray, k: int) -> None:
    centres = kmeans(points, k, 20, np.random.default_rng(0))
    assert centres.shape == (k, 2)
    assert np.isfinite(centres).all()
    if len(np.unique(points, axis=0)) <= k:
        np.testing.assert_allclose(assign(points, centres)[1], 0, atol=1e-6)


def test_training_twice_gives_the_same_bytes_and_more_stages_a_smaller_error() -> None:
    points = blobs()
    errors = []
    for stages in (1, 2, 4):
        config = CodebookConfig(n_codes=8, n_stages=stages, max_vectors=1500)
        book = train_codebook(points, config)
        assert book.centres_SKD.tobytes() == train_codebook(points, config).centres_SKD.tobytes()
        codes = book.encode(points)
        assert codes.shape == (2000, stages)
        assert codes.max() < book.size
        errors.append(((book.decode(codes) - points) ** 2).mean())
    assert errors[0] > errors[1] > errors[2]


def test_stage_has_numbers_of_its_own_and_wrong_codes_are_refused() -> None:
    book = Codebook(np.arange(12, dtype=np.float32).reshape(2, 3, 2))
    np.testing.assert_array_equal(book.decode(np.array([[1, 5]])), [[2 + 10, 3 + 11]])
    for codes in ([[1, 2]], [[3, 3]], [[-1, 3]], [[0, 6]]):
        with pytest.raises(TokenizerError, match="stage"):
            book.decode(np.array(codes))
    with pytest.raises(TokenizerError, match="shape"):
        book.decode(np.array([[1]]))


def test_too_few_vectors_are_refused() -> None:
    with pytest.raises(CorpusError, match="3 vectors cannot fill 8 codes"):
        train_codebook(np.zeros((3, 2), np.float32), CodebookConfig(n_codes=8))


def test_codebook_is_saved_without_pickle_and_damage_is_noticed(tmp_path: Path) -> None:
    book = train_codebook(blobs(), CodebookConfig(n_codes=4))
    save_codebook(tmp_path, "image", book, {"patch_size": 4})
    opened, facts = load_codebook(tmp_path, "image")
    assert facts == {"patch_size": 4}
    np.testing.assert_array_equal(opened.centres_SKD, book.centres_SKD)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["image_codes.json", "image_codes.safetensors"]
    (tmp_path / "image_codes.safetensors").write_bytes(b"\x80\x04garbage")
    with pytest.raises(CheckpointError, match="damaged"):
        load_codebook(tmp_path, "image")
    with pytest.raises(IntegrityError, match="no such file"):
        load_codebook(tmp_path, "audio")

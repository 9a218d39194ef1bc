"""`tisslm tokenizer ...` on a folder of a user's own files, outside any workspace."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from opened_page import OpenedPage
from safetensors.numpy import load_file
from toy_texts import toy_text
from transformers import AutoTokenizer

from cli.main import main
from model.codes.wave_file import write_wave
from model.files import verify_manifest

pytestmark = pytest.mark.feature("TOK-09")


def called(folder: Path, *words: str, text: str = "") -> tuple[int, str, str]:
    """Exit code, standard output and error of `tisslm tokenizer ...`, in this process."""
    out, errors = io.StringIO(), io.StringIO()
    before = sys.argv, sys.stdin
    sys.argv, sys.stdin = ["tisslm", "tokenizer", *words], io.TextIOWrapper(io.BytesIO(text.encode()))
    try:
        with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            main()
    except SystemExit as done:
        return int(done.code or 0), out.getvalue(), errors.getvalue()
    finally:
        sys.argv, sys.stdin = before
    return 0, out.getvalue(), errors.getvalue()


def tisslm(folder: Path, *words: str, text: str = "") -> str:
    code, out, errors = called(folder, *words, text=text)
    assert code == 0, errors
    return out


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with texts and a tokenizer trained by the command; tests write new folders only."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "texts").mkdir()
    (folder / "german").mkdir()
    for index in range(12):
        (folder / "texts" / f"{index}.txt").write_text(toy_text(index), encoding="utf-8")
        line = f"Alle Menschen sind frei und gleich an Würde geboren. Artikel {index}: Jeder hat Rechte.\n"
        (folder / "german" / f"{index}.txt").write_text(line * 4, encoding="utf-8")
    said = tisslm(folder, "train", "texts", "--out", "t", "--vocab-size", "500")
    assert "500 tokens" in said
    return folder


@pytest.mark.feature("TOK-14")
def test_trained_tokenizer_opens_in_hugging_face_with_the_ids_that_show_prints(place: Path) -> None:
    shown = json.loads(tisslm(place, "show", "the old bridge", "-t", "t", "--json"))
    ids = [token["id"] for token in shown]
    assert AutoTokenizer.from_pretrained(place / "t").encode("the old bridge") == ids
    assert bytes.fromhex("".join(token["bytes"] for token in shown)) == b"the old bridge"
    verify_manifest(place / "t")


def test_show_in_a_pipe_has_no_colour_and_reads_standard_input(place: Path) -> None:
    said = tisslm(place, "show", "-", "-t", "t", text="the \x1b[31mold bridge")
    assert "\x1b" not in said
    assert r"\x1b" in said
    assert "|" in said


def test_show_prints_the_tree_of_a_word_the_vocabulary_and_fertility(place: Path) -> None:
    said = tisslm(place, "show", "-t", "t", "--word", " the", "--find", "#300", "--texts", "texts", "--texts", "german")
    assert "·the  id" in said
    assert "300" in said
    assert "german" in said
    assert "tokens per word" in said


def test_show_writes_one_page(place: Path) -> None:
    tisslm(place, "show", "-t", "t", "--word", "bridge", "--texts", "texts", "--html", "page.html")
    page = OpenedPage((place / "page.html").read_text(encoding="utf-8"))
    assert page.fetched() == []
    assert {"spans", "merges", "fertility", "vocabulary"} <= set(page.ids)


@pytest.mark.feature("TOK-05")
@pytest.mark.feature("TOK-06")
@pytest.mark.feature("TOK-07")
def test_prune_add_continue_and_extend_write_new_folders(place: Path) -> None:
    assert "500 -> 400" in tisslm(place, "prune", "texts", "--to", "400", "-m", "t", "-o", "pruned")
    assert "500 -> " in tisslm(place, "add", "bridges", "--with-space", "-m", "t", "-o", "added")
    assert "500 -> 501" in tisslm(place, "add", "<|tool|>", "--special", "-m", "t", "-o", "special")
    assert "500 -> 540" in tisslm(place, "continue", "german", "--tokens", "40", "-m", "t", "-o", "continued")
    said = tisslm(place, "extend", "german", "--tokens", "40", "-m", "t", "-o", "extended")
    before, after = (float(line.split()[2]) for line in said.splitlines() if " before " in line or " after " in line)
    assert after < before
    for name, size in {"pruned": 400, "special": 501, "continued": 540, "extended": 540}.items():
        verify_manifest(place / name)
        assert len(AutoTokenizer.from_pretrained(place / name)) == size


@pytest.mark.feature("TOK-15")
def test_bench_compares_ids_with_hugging_face(place: Path) -> None:
    rows = json.loads(tisslm(place, "bench", "texts", "-t", "t", "--json"))
    ours = next(row for row in rows if row["engine"] == "TissLM")
    assert ours["same ids"] is True
    assert {row["engine"] for row in rows} >= {"TissLM", "Hugging Face tokenizers"}


@pytest.mark.feature("TOK-08")
def test_align_measures_on_pairs_held_out_and_writes_the_vectors(place: Path) -> None:
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(60, 8))
    rotation, _ = np.linalg.qr(draw.normal(size=(8, 8)))
    for name, rows in (("a", vectors), ("b", vectors @ rotation)):
        lines = [f"{name}{i} " + " ".join(f"{x:.6f}" for x in row) for i, row in enumerate(rows)]
        (place / f"{name}.vec").write_text("60 8\n" + "\n".join(lines) + "\n", encoding="utf-8")
    (place / "pairs.txt").write_text("".join(f"a{i} b{i}\n" for i in range(60)), encoding="utf-8")
    rows = json.loads(tisslm(place, "align", "a.vec", "b.vec", "-d", "pairs.txt", "-o", "out.vec", "--json"))
    found = {(row["alignment"], row["score"]): row["P@1"] for row in rows}
    assert found["procrustes", "csls"] == 1
    assert found["none", "csls"] < 0.3
    assert (place / "out.vec").read_text(encoding="utf-8").startswith("60 8\na0 ")


@pytest.mark.feature("TOK-11")
@pytest.mark.feature("TOK-12")
@pytest.mark.feature("TOK-10")
def test_codes_of_images_sound_and_music_get_ids_in_one_space(place: Path) -> None:
    from model.codes.images import write_image

    draw = np.random.default_rng(0)
    write_image(place / "a.png", draw.integers(0, 256, (40, 44, 3), dtype=np.uint8))
    write_wave(place / "a.wav", 0.5 * np.sin(np.arange(16_000) ** 1.4 / 900), 16_000)
    (place / "a.abc").write_text("X:1\nK:G\n|:GAB c2d|gfg gab:|\n", encoding="utf-8")
    assert "PSNR" in tisslm(place, "codes", "image", "a.png", "-o", "ic", "--codes", "32")
    assert "spectrum off by" in tisslm(place, "codes", "audio", "a.wav", "-o", "ac", "--codes", "16")
    assert "tokens" in tisslm(place, "codes", "music", "a.abc", "-o", "mc")
    for codes, source, out in (("ic", "a.png", "b.png"), ("ac", "a.wav", "b.wav"), ("mc", "a.abc", "b.abc")):
        tisslm(place, "codes", "round-trip", codes, source, out)
        assert (place / out).stat().st_size > 0
    assert (place / "b.abc").read_bytes() == (place / "a.abc").read_bytes()
    said = tisslm(place, "codes", "reserve", "ic", "ac", "mc", "-m", "t", "-o", "mixed")
    assert "text below 500" in said
    verify_manifest(place / "mixed")
    assert AutoTokenizer.from_pretrained(place / "mixed").convert_tokens_to_ids("<|image_0|>") == 503
    tisslm(
        place, "codes", "encode", "mixed", "A picture: ", "a.png", "a.abc", " and a sound", "a.wav", "-o", "ids.json"
    )
    tisslm(place, "codes", "decode", "mixed", "ids.json", "-o", "parts")
    names = ["part-1.txt", "part-2.png", "part-3.abc", "part-4.txt", "part-5.wav"]
    assert sorted(path.name for path in (place / "parts").iterdir()) == names
    assert (place / "parts" / "part-1.txt").read_text(encoding="utf-8") == "A picture: "
    assert (place / "parts" / "part-3.abc").read_bytes() == (place / "a.abc").read_bytes()
    assert (place / "parts" / "part-2.png").read_bytes() == (place / "b.png").read_bytes()
    assert len(json.loads((place / "ids.json").read_text(encoding="utf-8"))) > 110


@pytest.mark.feature("TOK-13")
def test_annotate_names_parts_of_speech(place: Path) -> None:
    pytest.importorskip("HanTa")
    pytest.importorskip("vaderSentiment")
    rows = json.loads(tisslm(place, "annotate", "The horrible storm", "-t", "t", "--json"))
    assert rows[0]["part of speech"] == "DET"
    assert rows[-1]["part of speech"] == "NOUN"
    assert min(row["valence"] for row in rows) < -1.5


@pytest.mark.feature("TOK-13")
def test_clusters_are_learned_and_all_features_written_beside_the_ids(place: Path) -> None:
    pytest.importorskip("HanTa")
    pytest.importorskip("vaderSentiment")
    assert "most used" in tisslm(place, "clusters", "texts", "-t", "t", "-o", "clusters", "--clusters", "8")
    tisslm(place, "annotate", "texts/0.txt", "-t", "t", "--clusters", "clusters", "-o", "side.safetensors")
    arrays = load_file(place / "side.safetensors")
    assert set(arrays) == {"ids", "word", "part_of_speech", "valence", "sentence_sentiment", "cluster"}
    assert len({len(values) for values in arrays.values()}) == 1
    assert set(np.unique(arrays["cluster"]).tolist()) == set(range(8))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", "nowhere", "-o", "x"), "nowhere"),
        (("train", "texts", "-o", "t"), "exists already"),
        (("train", "texts", "-o", "x", "--kind", "bpee"), "kind"),
        (("train", "texts", "-o", "x", "--vocab-size", "9"), "vocab_size"),
        (("show", "a", "-t", "nowhere"), "no such file"),
        (("show", "-t", "t"), "nothing to show"),
        (("prune", "texts", "--to", "5", "-m", "t", "-o", "x"), "expected 260"),
        (("add", "two words", "-m", "t", "-o", "x"), "expected one"),
        (("add", "x", "-m", "t", "-o", "t"), "the folder that is edited"),
        (("continue", "german", "--tokens", "90000", "-m", "t", "-o", "x"), "gives only"),
        (("codes", "image", "texts/1.txt", "-o", "x"), "not an image"),
        (("codes", "audio", "texts/1.txt", "-o", "x"), "not a PCM WAV"),
        (("codes", "reserve", "texts", "-m", "t", "-o", "x"), "holds no codes"),
        (("align", "no.vec", "no.vec", "-d", "no.txt"), "cannot be read"),
    ],
)
def test_mistake_is_one_line_and_leaves_nothing(place: Path, words: tuple[str, ...], said: str) -> None:
    code, out, errors = called(place, *words)
    assert code not in {0, 70}, out + errors
    assert errors.startswith("tisslm: error: ")
    assert said in errors
    assert errors.count("\n") == 1
    assert not (place / "x").exists()

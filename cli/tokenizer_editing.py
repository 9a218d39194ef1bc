"""`tisslm tokenizer prune|add|continue|extend|align`: change a vocabulary, with the model that was trained with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.corpus_texts import documents_of, read_texts
from cli.tables import print_json, print_rows
from cli.user_texts import Folder

if TYPE_CHECKING:
    from model.tokenizer.editing.edit import VocabularyEdit

Texts = Annotated[list[str], typer.Argument(help="files or folders of texts")]
Out = Annotated[Path, typer.Option("--out", "-o", help="new folder; the old one stays as it is")]
MinFrequency = Annotated[int, typer.Option("--min-frequency", min=1, help="rarer pairs are never merged")]

PRUNE_EXAMPLES = """\b
Examples:
  tisslm tokenizer prune my-texts/ --to 4000 --model data/pretrained --out small-model
"""
ADD_EXAMPLES = """\b
Examples:
  tisslm tokenizer add hydroxychloroquine remdesivir --with-space -m data/pretrained -o medical-model
  tisslm tokenizer add "<|tool|>" --special --model my-tokenizer --out my-tokenizer-2
"""
CONTINUE_EXAMPLES = """\b
Examples:
  tisslm tokenizer continue new-texts/ --tokens 500 --model data/pretrained --out grown-model
"""
EXTEND_EXAMPLES = """\b
Examples:
  tisslm tokenizer extend german-texts/ --tokens 2000 --model data/pretrained --out german-model
"""
ALIGN_EXAMPLES = """\b
Examples:
  tisslm tokenizer align wiki.es.vec wiki.en.vec --dictionary es-en.txt --out es-in-en.vec
Vectors are text, a word and its numbers on each line (word2vec, fastText); the dictionary has a pair on each line.
"""


def register(group: typer.Typer) -> None:
    """Add this module's commands."""
    group.command(epilog=PRUNE_EXAMPLES)(prune)
    group.command(epilog=ADD_EXAMPLES)(add)
    group.command(name="continue", epilog=CONTINUE_EXAMPLES)(continue_)
    group.command(epilog=EXTEND_EXAMPLES)(extend)
    group.command(epilog=ALIGN_EXAMPLES)(align)


def prune(
    texts: Texts,
    to: Annotated[int, typer.Option("--to", help="ids in all afterwards")],
    model: Folder,
    out: Out,
) -> None:
    """Keep the tokens that the texts use most; embeddings are cut to match, logits of kept tokens stay."""
    from model.tokenizer.editing.prune import prune as prune_vocabulary
    from model.tokenizer.statistics import measure
    from model.tokenizer.tokenizer import Tokenizer

    opened = Tokenizer.open(model)
    uses = measure(opened, (document.text for document in documents_of(texts))).uses
    edit = prune_vocabulary(opened, uses, to)
    lost = int(uses.sum()) - int(uses[list(edit.kept)].sum())
    _write(model, edit, out)
    print(f"{lost / max(1, int(uses.sum())):.2%} of the texts' tokens are now made of smaller ones")


def add(
    words: Annotated[list[str], typer.Argument(help="words, or names of control tokens")],
    model: Folder,
    out: Out,
    special: Annotated[bool, typer.Option("--special", help="control tokens, which no text becomes")] = False,
    with_space: Annotated[bool, typer.Option("--with-space", help="each word also after a space")] = False,
) -> None:
    """Add tokens; a word's embedding begins as the mean of its old pieces."""
    from model.errors import ConfigError
    from model.tokenizer.editing.add import add_special, add_words
    from model.tokenizer.tokenizer import Tokenizer

    if special and with_space:
        raise ConfigError("--with-space is for words, --special for control tokens; choose one")
    opened = Tokenizer.open(model)
    if with_space:
        words = [form for word in words for form in (word, f" {word}")]
    _write(model, add_special(opened, words) if special else add_words(opened, words), out)


def continue_(
    texts: Texts,
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="how many new tokens")],
    model: Folder,
    out: Out,
    min_frequency: MinFrequency = 2,
) -> None:
    """Learn more tokens from new texts; all old ids stay."""
    from model.tokenizer.editing.continuation import continue_training
    from model.tokenizer.tokenizer import Tokenizer

    read = (document.text for document in documents_of(texts))
    _write(model, continue_training(Tokenizer.open(model), read, tokens, min_frequency), out)


def extend(
    texts: Texts,
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="how many new tokens")],
    model: Folder,
    out: Out,
    min_frequency: MinFrequency = 2,
) -> None:
    """Take a tokenizer to another language, and measure what that gains on texts held out."""
    from model.tokenizer.editing.extension import extend as extend_vocabulary
    from model.tokenizer.tokenizer import Tokenizer

    result = extend_vocabulary(Tokenizer.open(model), read_texts(texts), tokens, min_frequency)
    _write(model, result.edit, out)
    rows = [
        {
            "held-out texts": result.held_out,
            "tokenizer": name,
            "tokens per word": fertility,
            "bytes per token": bytes_per_token,
        }
        for name, fertility, bytes_per_token in (
            ("before", result.fertility_before, result.bytes_per_token_before),
            ("after", result.fertility_after, result.bytes_per_token_after),
        )
    ]
    print_rows(rows)


def align(
    source: Annotated[Path, typer.Argument(help="vectors, or a model's folder, to bring over")],
    target: Annotated[Path, typer.Argument(help="vectors, or a model's folder, that stay")],
    dictionary: Annotated[Path, typer.Option("--dictionary", "-d", help="word pairs, one on a line")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="write the aligned vectors here")] = None,
    held_out: Annotated[
        float, typer.Option("--held-out", min=0.0, max=0.9, help="share of pairs to measure on")
    ] = 0.25,
    refine: Annotated[int, typer.Option("--refine", min=0, help="rounds with mutual neighbours as further pairs")] = 0,
    most: Annotated[int, typer.Option("--most", min=2, help="take so many words of each")] = 20_000,
    as_json: Annotated[bool, typer.Option("--json", help="print as JSON")] = False,
) -> None:
    """Rotate one language's vectors into another's space by a dictionary; measured on pairs held out."""
    from model.errors import TokenizerError
    from model.tokenizer.alignment import SCORES, normalized, retrieval
    from model.tokenizer.alignment import refine as refine_alignment
    from model.tokenizer.vector_files import read_pairs, read_vectors, write_vectors

    sides = [read_vectors(path, most) for path in (source, target)]
    source_ND, target_MD = (normalized(side.vectors_ND) for side in sides)
    pairs = read_pairs(dictionary, *sides)
    every = round(1 / held_out) if held_out else 0
    asked = [pair for index, pair in enumerate(pairs, 1) if every and index % every == 0]
    seed = [pair for index, pair in enumerate(pairs, 1) if not every or index % every]
    if not seed or (every and not asked):
        raise TokenizerError(f"{dictionary}: {len(pairs)} pairs with both words known are too few; give more")
    rotated = refine_alignment(source_ND, target_MD, seed, refine)
    rows = []
    for name, aligned in (("none", source_ND), ("procrustes", rotated)):
        for score in SCORES if asked else ():
            found = retrieval(aligned, target_MD, asked, score)
            figures = {"P@1": found.precision_at_1, "P@5": found.precision_at_5, "queries": found.n_queries}
            rows.append({"alignment": name, "score": score, **figures})
    if out is not None:
        write_vectors(out, sides[0].words, rotated)
    print_json(rows) if as_json else print_rows(rows, f"{len(seed)} seed pairs, {len(asked)} held out")


def _write(source: Path, edit: VocabularyEdit, out: Path) -> None:
    from model.tokenizer.editing.folder import write_edited

    write_edited(source, edit, out)
    print(f"{out}: {edit.old.vocab_size:,} -> {edit.new.vocab_size:,} tokens, {len(edit.kept):,} old ones kept")

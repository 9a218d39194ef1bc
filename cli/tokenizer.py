"""`tisslm tokenizer`: make, look at, measure and change a tokenizer, from a folder of one's own texts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

import cli.tokenizer_annotation
import cli.tokenizer_codes
import cli.tokenizer_editing
from cli.corpus_texts import documents_of, read_texts
from cli.tables import print_json, print_rows
from cli.user_texts import Folder

if TYPE_CHECKING:
    from model.tokenizer.tokenizer import Tokenizer

tokenizer = typer.Typer(
    help="Make, look at, measure and change a tokenizer; inside a workspace or outside.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
AsJson = Annotated[bool, typer.Option("--json", help="print as JSON")]
Texts = Annotated[list[str], typer.Argument(help="files or folders of texts")]

TRAIN_EXAMPLES = """\b
Examples:
  tisslm tokenizer train my-texts/ --out my-tokenizer --vocab-size 8000
  tisslm tokenizer train code/ --out code-tokenizer --rule gpt4 --rule digits
"""
SHOW_EXAMPLES = """\b
Examples:
  tisslm tokenizer show "Where do words end?"
  tisslm tokenizer show --word " neighbour" --tokenizer my-tokenizer
  tisslm tokenizer show --find ing
  tisslm tokenizer show --texts my-texts/ --html tokenizer.html
"""
BENCH_EXAMPLES = """\b
Examples:
  tisslm tokenizer bench my-texts/ --tokenizer my-tokenizer
"""


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    cli.tokenizer_editing.register(tokenizer)
    cli.tokenizer_codes.register(tokenizer)
    cli.tokenizer_annotation.register(tokenizer)
    app.add_typer(tokenizer, name="tokenizer")


@tokenizer.command(epilog=TRAIN_EXAMPLES)
def train(
    texts: Texts,
    out: Annotated[Path, typer.Option("--out", "-o", help="new folder for the tokenizer")],
    vocab_size: Annotated[int, typer.Option("--vocab-size", help="ids in all")] = 8000,
    kind: Annotated[str, typer.Option("--kind", help="bpe, unigram, wordpiece, char or byte")] = "bpe",
    rule: Annotated[list[str] | None, typer.Option("--rule", help="where words end, applied in turn")] = None,
    min_frequency: Annotated[int, typer.Option("--min-frequency", help="rarer pairs are never merged")] = 2,
) -> None:
    """Train a tokenizer on files or folders of texts."""
    from cli.user_texts import new_folder, valid_config
    from model.files import finished_folder
    from model.tokenizer.config import TokenizerConfig
    from model.tokenizer.training import train_tokenizer

    values = {"kind": kind, "vocab_size": vocab_size, "min_frequency": min_frequency}
    config = valid_config(TokenizerConfig, values | ({"pre_tokenization": tuple(rule)} if rule else {}))
    new_folder(out)
    made = train_tokenizer((document.text for document in documents_of(texts)), config)
    with finished_folder(out) as folder:
        made.save(folder)
    fewer = f", the texts give no more than that of {vocab_size:,}" if made.vocab_size < vocab_size else ""
    print(f"{out}: {made.vocab_size:,} tokens{fewer} (look at it: tisslm tokenizer show -t {out} TEXT)")


@tokenizer.command(epilog=SHOW_EXAMPLES)
def show(
    text: Annotated[str | None, typer.Argument(help="text to cut into tokens; - reads standard input")] = None,
    folder: Folder = Path("data/tokenizer"),
    word: Annotated[list[str] | None, typer.Option("--word", "-w", help="show how merges build this word")] = None,
    find: Annotated[str | None, typer.Option("--find", help="search the vocabulary: a part, #id or 0xbytes")] = None,
    texts: Annotated[list[str] | None, typer.Option("--texts", help="measure on these files or folders")] = None,
    by: Annotated[Literal["source", "language"], typer.Option("--by", help="how texts are grouped")] = "source",
    html: Annotated[Path | None, typer.Option("--html", help="write everything as one HTML page")] = None,
    ids: Annotated[bool, typer.Option("--ids", help="print the id behind each token")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a text's tokens in colour, a word's tree of merges, the vocabulary, or fertility on texts."""
    from model.errors import ConfigError
    from model.tokenizer.tokenizer import Tokenizer

    opened = Tokenizer.open(folder)
    if text == "-":
        text = sys.stdin.buffer.read().decode("utf-8", "replace")
    if text is None and not word and find is None and texts is None and html is None:
        raise ConfigError("nothing to show: give a text, --word, --find, --texts or --html")
    if html is not None:
        _write_page(opened, folder, text, word or [], texts or [], by, html)
        return
    if text is not None:
        _print_spans(opened, text, ids, as_json)
    for each in word or ():
        _print_tree(opened, each)
    if find is not None:
        _print_found(opened, find, as_json)
    if texts:
        from model.tokenizer.views.fertility import fertility_by_group

        rows = [group.row() for group in fertility_by_group(opened, _grouped(texts, by))]
        print_json(rows) if as_json else print_rows(rows)


@tokenizer.command(epilog=BENCH_EXAMPLES)
def bench(
    texts: Texts,
    folder: Folder = Path("data/tokenizer"),
    megabytes: Annotated[float, typer.Option("--megabytes", min=0.001, help="measure on the first so many")] = 5.0,
    as_json: AsJson = False,
) -> None:
    """Compare the speed of encoding with Hugging Face and other libraries, same file, same texts; ids are compared."""
    from model.tokenizer.comparison import compare_encoding
    from model.tokenizer.tokenizer import Tokenizer

    read = read_texts(texts, most_characters=int(megabytes * 1e6))
    rows = [
        {"engine": s.engine, "MB per CPU second": round(s.megabytes_per_second, 2), "same ids": s.same_ids}
        for s in compare_encoding(Tokenizer.open(folder), read)
    ]
    if as_json:
        print_json(rows)
        return
    print(f"{len(read):,} texts, {sum(map(len, read)):,} characters, {os.cpu_count()} processors")
    print_rows(rows)


def _grouped(texts: list[str], by: str) -> Iterator[tuple[str, str]]:
    for document in documents_of(texts):
        yield (document.language if by == "language" else document.source), document.text


def _print_spans(opened: Tokenizer, text: str, with_ids: bool, as_json: bool) -> None:
    from rich.console import Console

    from model.tokenizer.views.spans import token_spans
    from model.tokenizer.views.terminal import PASTEL, PLAIN, coloured, separated

    spans = token_spans(opened, text)
    if as_json:
        print_json([{"id": span.token_id, "token": span.shown, "bytes": span.data.hex()} for span in spans])
    elif (console := Console(highlight=False)).is_terminal and not console.no_color and console.color_system:
        colours = PLAIN if console.color_system == "standard" else PASTEL
        console.print(coloured(spans, colours, with_ids=with_ids))
    elif with_ids:
        print(" ".join(str(span.token_id) for span in spans))
    else:
        print(separated(spans))
    if not as_json:
        size = len(text.encode("utf-8"))
        print(f"{len(spans)} tokens, {size / max(1, len(spans)):.2f} bytes per token", file=sys.stderr)


def _print_tree(opened: Tokenizer, word: str) -> None:
    from rich.console import Console

    from model.tokenizer.views.merge_tree import merge_trees
    from model.tokenizer.views.spans import shown
    from model.tokenizer.views.terminal import merge_tree_text

    roots = merge_trees(opened, word)
    title = f"{shown(word.encode('utf-8'))}: {len(roots)} token{'' if len(roots) == 1 else 's'}"
    Console(width=None if sys.stdout.isatty() else 240, highlight=False).print(merge_tree_text(roots, title))


def _print_found(opened: Tokenizer, wanted: str, as_json: bool) -> None:
    from model.tokenizer.views.explorer import matching, vocabulary_rows

    rows = [
        {"id": row.token_id, "token": row.token, "bytes": row.data.hex(" "), "kind": row.kind, "merge": row.rank}
        for row in matching(vocabulary_rows(opened), wanted)
    ]
    if as_json:
        print_json(rows)
    elif rows:
        print_rows(rows, f"{len(rows):,} tokens")
    else:
        print(f"no token matches {wanted!r}")


def _write_page(
    opened: Tokenizer, folder: Path, text: str | None, words: list[str], texts: list[str], by: str, html: Path
) -> None:
    from model.files import write_text
    from model.tokenizer.statistics import measure
    from model.tokenizer.views.explorer import vocabulary_rows
    from model.tokenizer.views.fertility import fertility_by_group
    from model.tokenizer.views.merge_tree import merge_trees
    from model.tokenizer.views.page import PageFacts, render_page
    from model.tokenizer.views.spans import token_spans

    uses = measure(opened, (d.text for d in documents_of(texts))).uses if texts else None
    groups = fertility_by_group(opened, _grouped(texts, by)) if texts else []
    if text is None and texts:
        text = next((d.text for d in documents_of(texts)), "")
    shown_text = (text or "")[:100_000]
    facts = PageFacts(
        title=f"Tokenizer {folder.resolve().name}",
        digest=opened.digest,
        vocabulary=vocabulary_rows(opened, uses),
        spans=token_spans(opened, shown_text) if shown_text else (),
        n_text_bytes=len(shown_text.encode("utf-8")),
        trees=[(word, merge_trees(opened, word)) for word in words],
        fertility=groups,
    )
    write_text(html, render_page(facts))
    print(html)

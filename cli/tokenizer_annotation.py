"""`tisslm tokenizer annotate|clusters`: side features of tokens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.tables import print_json, print_rows
from cli.user_texts import Folder

if TYPE_CHECKING:
    from model.tokenizer.annotation.annotate import Annotation
    from model.tokenizer.tokenizer import Tokenizer

ANNOTATE_EXAMPLES = """\b
Examples:
  tisslm tokenizer annotate "The storm was horrible." -t my-tokenizer
  tisslm tokenizer clusters my-texts/ -t my-tokenizer --out clusters
  tisslm tokenizer annotate letter.txt -t my-tokenizer --clusters clusters --out letter.safetensors
"""


def register(group: typer.Typer) -> None:
    """Add this module's commands."""
    group.command(epilog=ANNOTATE_EXAMPLES)(annotate)
    group.command()(clusters)


def annotate(
    text: Annotated[str, typer.Argument(help="the text, or a file that ends in .txt")],
    folder: Folder = Path("data/tokenizer"),
    language: Annotated[str, typer.Option("--language", help="of parts of speech: en, de or nl")] = "en",
    cluster_folder: Annotated[Path | None, typer.Option("--clusters", help="folder that `clusters` wrote")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="write the arrays here, as safetensors")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print as JSON")] = False,
) -> None:
    """Part of speech, sentiment and semantic cluster for each token of a text."""
    from cli.corpus_texts import read_texts
    from model.tokenizer.annotation.annotate import Feature
    from model.tokenizer.annotation.annotate import annotate as annotated
    from model.tokenizer.annotation.clusters import TokenClusters
    from model.tokenizer.tokenizer import Tokenizer

    opened = Tokenizer.open(folder)
    found = TokenClusters.open(cluster_folder, opened) if cluster_folder is not None else None
    if text.endswith(".txt"):
        text = "\n\n".join(read_texts([text]))
    features: list[Feature] = ["part_of_speech", "valence", "sentence_sentiment"]
    made = annotated(opened, text, [*features, "cluster"] if found else features, language, found)
    if out is not None:
        made.save(out)
        print(f"{out}: {len(made.ids):,} tokens, {', '.join(made.features)}")
        return
    rows = _rows(opened, made)
    print_json(rows) if as_json else print_rows(rows)


def clusters(
    texts: Annotated[list[str], typer.Argument(help="files or folders of texts")],
    out: Annotated[Path, typer.Option("--out", "-o", help="new folder for the clusters")],
    folder: Folder = Path("data/tokenizer"),
    n_clusters: Annotated[int, typer.Option("--clusters", help="groups of tokens")] = 32,
) -> None:
    """Group tokens by the company that they keep in texts; prints the most used of each group."""
    import numpy as np

    from cli.corpus_texts import read_texts
    from cli.user_texts import new_folder, valid_config
    from model.files import finished_folder
    from model.tokenizer.annotation.clusters import ClusterConfig, train_clusters
    from model.tokenizer.statistics import measure
    from model.tokenizer.tokenizer import Tokenizer
    from model.tokenizer.views.spans import shown

    new_folder(out)
    opened = Tokenizer.open(folder)
    read = read_texts(texts)
    made = train_clusters(opened, read, valid_config(ClusterConfig, {"n_clusters": n_clusters}))
    with finished_folder(out) as target:
        made.save(target)
    order = np.argsort(-measure(opened, read).uses, kind="stable")
    print_rows(
        [
            {
                "cluster": cluster,
                "tokens": len(ids),
                "most used": " ".join(shown(opened.token_bytes(i)) for i in ids[:12]),
            }
            for cluster in range(n_clusters)
            for ids in [[int(i) for i in order if made.cluster_of[i] == cluster]]
        ]
    )


def _rows(opened: Tokenizer, made: Annotation) -> list[dict[str, Any]]:
    from model.tokenizer.annotation.part_of_speech import TAGS
    from model.tokenizer.views.spans import shown

    rows = []
    for index, token_id in enumerate(made.ids.tolist()):
        values = {name.replace("_", " "): array[index].item() for name, array in made.features.items()}
        values["part of speech"] = TAGS[values["part of speech"]]
        rows.append({"id": token_id, "token": shown(opened.token_bytes(token_id)), **values})
    return rows

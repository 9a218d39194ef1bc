"""The views for a terminal, as `rich` texts and trees."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from rich.tree import Tree

from model.tokenizer.views.merge_tree import MergeNode
from model.tokenizer.views.spans import TokenSpan

PASTEL = ("black on #f4b6a6", "black on #f6dc9a", "black on #bfe3b4", "black on #a9dbe6", "black on #c4c0f0")
PLAIN = ("black on red", "black on yellow", "black on green", "black on cyan", "black on magenta")
"""For a terminal of eight colours, where pastels would all become white."""


def coloured(spans: Sequence[TokenSpan], colours: Sequence[str] = PASTEL, *, with_ids: bool = False) -> Text:
    """Tokens side by side in changing colours; after `↵` the line breaks.

    Args:
        spans: The tokens.
        colours: Styles, two or more; `PASTEL`, or `PLAIN` for a terminal of eight colours.
        with_ids: Whether the id stands behind each token.
    """
    text = Text()
    for index, span in enumerate(spans):
        text.append(span.shown, colours[index % len(colours)])
        if with_ids:
            text.append(f"{span.token_id} ", "dim")
        if span.ends_line:
            text.append("\n")
    return text


def separated(spans: Sequence[TokenSpan]) -> str:
    """Tokens with `|` between them, for a terminal or file without colours."""
    return "|".join(span.shown + ("\n" if span.ends_line else "") for span in spans)


def merge_tree_text(roots: Sequence[MergeNode], title: str) -> Tree:
    """A tree with a branch for each token of a word, down to its bytes."""
    tree = Tree(Text(title))
    for root in roots:
        _grow(tree, root)
    return tree


def _grow(tree: Tree, node: MergeNode) -> None:
    label = Text(node.shown, "bold" if node.parts else "")
    label.append(f"  id {node.token_id}" + (f", merge {node.rank}" if node.rank is not None else ""), "dim")
    branch = tree.add(label)
    for part in node.parts:
        _grow(branch, part)

"""Trees of merges as SVG for the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from model.tokenizer.views.merge_tree import MergeNode

LEAF_WIDTH, CHARACTER_WIDTH, LEVEL_HEIGHT, MARGIN, GAP = 34, 9, 46, 22, 14


def merge_drawing(roots: Sequence[MergeNode]) -> str:
    """The trees side by side, bytes at the bottom, each node with its token and the number of its merge."""
    height = max((root.depth for root in roots), default=0) * LEVEL_HEIGHT + 2 * MARGIN
    lines: list[str] = []
    nodes: list[str] = []
    left = float(MARGIN)
    for root in roots:
        slots = iter(_slots(root, left))
        _draw(root, slots, height - MARGIN, lines, nodes)
        left = max(_slots(root, left)) + LEAF_WIDTH / 2 + GAP
    width = int(left + MARGIN)
    label = escape(f"How {''.join(root.shown for root in roots)} is built from bytes")
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{label}">'
        f"{''.join(lines)}{''.join(nodes)}</svg>"
    )


def _slots(root: MergeNode, left: float) -> list[float]:
    """The middle of each leaf of a tree; a leaf is as wide as its text."""
    places, at = [], left
    for leaf in root.leaves():
        width = max(LEAF_WIDTH, CHARACTER_WIDTH * len(leaf.shown) + 18)
        places.append(at + width / 2)
        at += width
    return places


def _draw(
    node: MergeNode, slots: Iterator[float], bottom: float, lines: list[str], nodes: list[str]
) -> tuple[float, float]:
    """Draw a node with all below it; return where it is."""
    ends = [_draw(part, slots, bottom, lines, nodes) for part in node.parts]
    x = sum(end[0] for end in ends) / len(ends) if ends else next(slots)
    y = bottom - node.depth * LEVEL_HEIGHT
    for end_x, end_y in ends:
        lines.append(f'<path d="M{x:.1f} {y + 12:.1f}L{end_x:.1f} {end_y - 12:.1f}"/>')
    half = (CHARACTER_WIDTH * len(node.shown) + 12) / 2
    about = f"id {node.token_id}" + (f", merge {node.rank}" if node.rank is not None else ", a byte")
    kind = "node" if node.parts else "leaf"
    nodes.append(
        f'<g class="{kind}"><title>{escape(about)}</title>'
        f'<rect x="{x - half:.1f}" y="{y - 12:.1f}" width="{2 * half:.1f}" height="24" rx="5"/>'
        f'<text x="{x:.1f}" y="{y + 4.5:.1f}">{escape(node.shown)}</text></g>'
    )
    return x, y

"""All views of a tokenizer on one HTML page that needs no network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from model.tokenizer.views.explorer import VocabularyRow
from model.tokenizer.views.fertility import GroupFertility
from model.tokenizer.views.merge_tree import MergeNode
from model.tokenizer.views.spans import TokenSpan, shown
from model.tokenizer.views.tree_drawing import merge_drawing

MOST_SPANS = 20_000


@dataclass(frozen=True)
class PageFacts:
    """What the page shows; an empty part is left out.

    Attributes:
        title: The heading.
        digest: Of the tokenizer.
        vocabulary: All ids.
        spans: Tokens of a text; the page shows the first 20,000.
        n_text_bytes: UTF-8 bytes of that text.
        trees: Words with their trees of merges.
        fertility: Groups of texts.
    """

    title: str
    digest: str
    vocabulary: Sequence[VocabularyRow]
    spans: Sequence[TokenSpan] = ()
    n_text_bytes: int = 0
    trees: Sequence[tuple[str, Sequence[MergeNode]]] = ()
    fertility: Sequence[GroupFertility] = field(default=())


def render_page(facts: PageFacts) -> str:
    """The page as HTML; every token in it is escaped, whatever bytes it has."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("model.tokenizer.views", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    measured = any(row.uses is not None for row in facts.vocabulary)
    return environment.get_template("page.html.jinja").render(
        facts=facts,
        spans=facts.spans[:MOST_SPANS],
        drawings=[
            (shown(word.encode("utf-8")), Markup(merge_drawing(roots)), len(roots))  # noqa: S704  (our own drawing, texts escaped)
            for word, roots in facts.trees
        ],
        most_fertile=max((group.fertility for group in facts.fertility), default=0) or 1,
        measured=measured,
        longest=max((len(row.data) for row in facts.vocabulary), default=0),
        used=sum(1 for row in facts.vocabulary if row.uses),
        rows_json=Markup(script_json([_row(row) for row in facts.vocabulary])),  # noqa: S704  (escaped there)
    )


def script_json(value: Any) -> str:
    r"""JSON that may stand inside `<script>`: no `<`, `>`, `&` or line separator of JavaScript is left in it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _row(row: VocabularyRow) -> list[Any]:
    return [row.token_id, row.token, row.data.hex(), row.kind[0], row.rank, row.uses]

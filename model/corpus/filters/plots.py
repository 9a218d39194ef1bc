"""The waterfall and the lengths as pictures that read well alone; the same rows always give the same bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Format = Literal["svg", "png"]
INK, MUTED, KEPT, TAKEN = "#222222", "#707070", "#2f6f9f", "#d98c3f"
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tisslm",
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": INK,
    "legend.frameon": False,
}


def waterfall_plot(rows: Sequence[Mapping[str, Any]], kind: Format = "svg") -> bytes:
    """Documents left after each step, and what it took away.

    Args:
        rows: As `waterfall_rows` gives them.
        kind: Format of the picture.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 1.0 + 0.36 * len(rows)), layout="constrained")
        axes = figure.subplots()
        whole = max(row["documents_left"] for row in rows)
        for place, row in enumerate(rows):
            is_end = place in (0, len(rows) - 1)
            taken = 0 if is_end else row["documents"]
            axes.barh(place, row["documents_left"], height=0.66, color=KEPT, alpha=1.0 if is_end else 0.35)
            axes.barh(place, taken, left=row["documents_left"], height=0.66, color=TAKEN)
            label = f"{row['documents_left']:,}" if is_end else f"−{taken:,}" if taken else "0"
            axes.annotate(
                label, (row["documents_left"] + taken, place), (6, 0), textcoords="offset points", va="center"
            )
        axes.set_yticks(range(len(rows)), [row["step"] for row in rows])
        axes.invert_yaxis()
        axes.set_xlim(0, max(whole, 1) * 1.12)
        axes.set_xlabel("documents")
        axes.tick_params(axis="y", length=0)
        return _picture(figure, kind)


def lengths_plot(rows: Sequence[Mapping[str, Any]], kind: Format = "svg") -> bytes:
    """How many documents have which length, before and after cleaning.

    Args:
        rows: As `length_rows` gives them.
        kind: Format of the picture.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 3.4), layout="constrained")
        axes = figure.subplots()
        places = range(len(rows))
        axes.bar(places, [row["before"] for row in rows], width=0.9, color=TAKEN, label="before")
        axes.bar(places, [row["after"] for row in rows], width=0.6, color=KEPT, label="after")
        axes.set_xticks(places, [f"{row['from']:,}" for row in rows], rotation=45, ha="right")
        axes.set_xlabel("characters in a document, from")
        axes.set_ylabel("documents")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        return _picture(figure, kind)


def _picture(figure: Figure, kind: Format) -> bytes:
    buffer = io.BytesIO()
    without = ("Date", "Creator", "Format", "Type") if kind == "svg" else ("Software",)
    figure.savefig(buffer, format=kind, dpi=120, metadata=dict.fromkeys(without))
    return buffer.getvalue()

"""Plots as SVG that stands inside an HTML page and takes the page's colours, so light and dark both read well.

Every colour is drawn as a placeholder and replaced by a CSS variable of the page: `--ink`, `--muted`, `--rule`,
`--accent`, `--second`. Text stays text. Ids are made unique, since several plots share one page.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLACEHOLDERS = {"ink": "#100001", "muted": "#100002", "rule": "#100003", "accent": "#100004", "second": "#100005"}
MARKED_POINTS = 40
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tisslm",
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": PLACEHOLDERS["rule"],
    "axes.labelcolor": PLACEHOLDERS["muted"],
    "text.color": PLACEHOLDERS["ink"],
    "xtick.color": PLACEHOLDERS["muted"],
    "ytick.color": PLACEHOLDERS["muted"],
    "grid.color": PLACEHOLDERS["rule"],
    "legend.frameon": False,
}


def loss_plot(rows: Sequence[Mapping[str, Any]]) -> str:
    """Training and validation loss over steps.

    Args:
        rows: `step`, `train_loss` and `validation_loss` (nats per token); either loss may be missing in a row.
    """
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figure, axes = _figure(3.4)
        train, validation = _points(rows, "train_loss"), _points(rows, "validation_loss")
        if train:
            axes.plot(*zip(*train, strict=True), color=PLACEHOLDERS["second"], linewidth=1.3, label="training batches")
        if validation:
            step, best = min(validation, key=lambda point: point[1])
            axes.plot(
                *zip(*validation, strict=True),
                color=PLACEHOLDERS["accent"],
                linewidth=2,
                marker="o" if len(validation) <= MARKED_POINTS else "",
                markersize=4,
                label=f"validation, best {best:.3f} at step {step:,.0f}",
            )
        axes.set_xlabel("training step")
        axes.set_ylabel("loss (nats per token)")
        axes.set_xlim(left=0)
        axes.grid(axis="y", linewidth=0.8)
        if train or validation:
            axes.legend(loc="upper right")
        return _svg(figure, "loss")


def bits_plot(bars: Sequence[tuple[str, float]]) -> str:
    """Bits per byte of the model (the first bar) and of the compressors beside it."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figure, axes = _figure(0.75 + 0.5 * len(bars))
        names = [name for name, _ in bars]
        values = [value for _, value in bars]
        colors = [PLACEHOLDERS["accent"], *[PLACEHOLDERS["second"]] * (len(bars) - 1)]
        places = range(len(bars))
        axes.barh(places, values, height=0.62, color=colors)
        for place, value in zip(places, values, strict=True):
            axes.annotate(f"{value:.3f}", (value, place), (6, 0), textcoords="offset points", va="center")
        axes.set_yticks(list(places), names)
        axes.invert_yaxis()
        axes.set_xlim(0, max(values) * 1.12)
        axes.set_xlabel("bits per byte of test text (less is better)")
        axes.tick_params(axis="y", length=0, labelcolor=PLACEHOLDERS["ink"])
        axes.spines["left"].set_visible(False)
        return _svg(figure, "bits")


def lengths_plot(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many documents have which length, before and after cleaning.

    Args:
        rows: `from` (characters), `before`, `after`.
    """
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figure, axes = _figure(3.0)
        places = range(len(rows))
        before, after = ([float(row[name]) for row in rows] for name in ("before", "after"))
        axes.bar(places, before, width=0.9, color=PLACEHOLDERS["second"], label="before cleaning")
        axes.bar(places, after, width=0.6, color=PLACEHOLDERS["accent"], label="after")
        axes.set_xticks(places, [f"{int(row['from']):,}" for row in rows], rotation=45, ha="right")
        axes.set_xlabel("characters in a document, from")
        axes.set_ylabel("documents")
        axes.grid(axis="y", linewidth=0.8)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        return _svg(figure, "lengths")


def mixture_plot(rows: Sequence[Mapping[str, Any]], most: int = 16) -> str:
    """The share of each source and language in the corpus and in what training has seen; the largest of them.

    Args:
        rows: `source`, `language`, `share`, `seen` (fractions), the largest first.
        most: How many are shown.
    """
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        shown = list(rows)[:most]
        figure, axes = _figure(0.9 + 0.42 * len(shown))
        places = range(len(shown))
        for name, offset, color, label in (
            ("share", -0.19, "second", "in the corpus"),
            ("seen", 0.19, "accent", "seen in training"),
        ):
            values = [100 * float(row[name]) for row in shown]
            axes.barh([p + offset for p in places], values, height=0.36, color=PLACEHOLDERS[color], label=label)
        axes.set_yticks(list(places), [f"{row['source']} ({row['language']})" for row in shown])
        axes.invert_yaxis()
        axes.set_xlabel("share of the tokens (%)")
        axes.tick_params(axis="y", length=0, labelcolor=PLACEHOLDERS["ink"])
        axes.spines["left"].set_visible(False)
        axes.legend(loc="lower right")
        return _svg(figure, "mixture")


def _figure(height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, height), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.subplots()
    axes.patch.set_alpha(0)
    axes.set_axisbelow(True)
    return figure, axes


def _points(rows: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    pairs = [(float(row["step"]), float(row[name])) for row in rows if row.get(name) not in (None, "")]
    return [(step, value) for step, value in pairs if math.isfinite(value)]


def _svg(figure: Figure, name: str) -> str:
    """The figure as an `<svg>` element without prolog, metadata, fixed size or fixed colours."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)  # inside HTML the namespaces are known
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", svg, count=1)
    svg = re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", svg, count=1)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)  # the page has it
    svg = re.sub(r'(?:xlink:)?href="#([^"]+)"', rf'href="#{name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    svg = re.sub(r"font-family: [^;\"]*", "font-family: var(--font)", svg)
    for variable, placeholder in PLACEHOLDERS.items():
        svg = svg.replace(placeholder, f"var(--{variable})")
    return svg.replace("<svg ", f'<svg role="img" aria-labelledby="{name}-caption" ', 1)

"""The report for people: one HTML page with everything in it, nothing fetched, light and dark.

A section appears when there is something to say in it, so the page can be made after any stage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model.evaluation.plots import bits_plot, lengths_plot, loss_plot, mixture_plot
from model.evaluation.tables import columns, number, setting

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Figure:
    """One of the few numbers at the top: `Figure("bits per byte", "1.47", "test text; xz -9 has 1.76")`."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class FunnelStep:
    """One line of the way from files to documents.

    Attributes:
        name: What happened to them.
        count: How many.
        kind: `in` all there were, `kept`, or `lost`: decides the bar's colour.
        note: A few more words.
    """

    name: str
    count: int
    kind: str
    note: str = ""


@dataclass(frozen=True)
class ReportFacts:
    """Everything that the page can show; what is empty is left out.

    Attributes:
        title: Of the page.
        summary: One sentence under it.
        figures: The main numbers, a handful.
        loss: Rows with `step`, `train_loss`, `validation_loss` (nats per token).
        mixture: Rows with `source`, `language`, `share` of the corpus, `seen` of the training tokens, `epochs`.
        validation_losses: Rows with `group` and `validation_loss`.
        bits_per_byte: Name and bits per byte of test text; the model first, then the baselines.
        splits: Rows of the held-out splits with their scores.
        worst_documents: Rows of the test documents that the model finds hardest.
        samples: `prompt`, `text`, `finish_reason`.
        funnel: From files to documents.
        lengths: Rows with `from` (characters), `before`, `after`: documents of a length before and after cleaning.
        data: More tables about the documents, by title.
        tokenizer: Rows, one for each split.
        tokenizer_notes: As `notes`, for the tokenizer's table.
        quantization: Rows, one for each kind of weights.
        quantization_notes: As `notes`, for the quantization table.
        stages: Rows with `stage`, `result`, `seconds`, `peak_memory_mb`.
        notes: What a reader must know to take the figures for what they are.
        configuration: Values by section; names in `changed` differ from the defaults.
        changed: Dotted names, `section.key`.
        provenance: Where all this comes from: commits, digests, versions.
    """

    title: str = "TissLM report"
    summary: str = ""
    figures: Sequence[Figure] = ()
    loss: Sequence[Row] = ()
    mixture: Sequence[Row] = ()
    validation_losses: Sequence[Row] = ()
    bits_per_byte: Sequence[tuple[str, float]] = ()
    splits: Sequence[Row] = ()
    worst_documents: Sequence[Row] = ()
    samples: Sequence[Mapping[str, str]] = ()
    funnel: Sequence[FunnelStep] = ()
    lengths: Sequence[Row] = ()
    data: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    tokenizer: Sequence[Row] = ()
    tokenizer_notes: Sequence[str] = ()
    quantization: Sequence[Row] = ()
    quantization_notes: Sequence[str] = ()
    stages: Sequence[Row] = ()
    notes: Sequence[str] = ()
    configuration: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    changed: frozenset[str] = frozenset()
    provenance: Mapping[str, str] = field(default_factory=dict)


def render_report(facts: ReportFacts) -> str:
    """The page as HTML; every text in it is escaped, whatever a document or a sample contains."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("model.evaluation", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"columns": columns, "number": number, "setting": setting}
    return environment.get_template("report.html.jinja").render(
        facts=facts,
        loss_svg=Markup(loss_plot(facts.loss)) if facts.loss else "",  # noqa: S704  (our own drawing)
        bits_svg=Markup(bits_plot(facts.bits_per_byte)) if facts.bits_per_byte else "",  # noqa: S704
        mixture_svg=Markup(mixture_plot(facts.mixture)) if facts.mixture else "",  # noqa: S704
        lengths_svg=Markup(lengths_plot(facts.lengths)) if facts.lengths else "",  # noqa: S704
        funnel_total=max((step.count for step in facts.funnel), default=0) or 1,
        seconds_total=sum(row.get("seconds") or 0 for row in facts.stages) or 1,
    )

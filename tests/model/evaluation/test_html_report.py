"""The page as a reader without a network gets it: whole, safe, and saying what is there."""

from __future__ import annotations

import pytest
from opened_page import OpenedPage

from model.evaluation.plots import bits_plot, loss_plot
from model.evaluation.report import Figure, FunnelStep, ReportFacts, render_report

pytestmark = pytest.mark.feature("EVAL-07")
NASTY = "<script src=https://evil.example/x.js></script><b>&amp;\"'</b>{{ 7 * 7 }}"
LOSS = [{"step": s, "train_loss": 8 / s, "validation_loss": 7.5 / s if s % 10 == 0 else ""} for s in range(1, 50)]
SECTIONS = {
    "quality": {"bits_per_byte": [("TissLM", 1.47), ("xz -9", 1.76)]},
    "training": {"loss": LOSS},
    "samples": {"samples": [{"prompt": "The", "text": " end", "finish_reason": "end_of_text"}]},
    "quantization": {"quantization": [{"weights": "int8", "size_mb": 6.2}]},
    "data": {"funnel": [FunnelStep("documents read", 10, "in"), FunnelStep("dropped: empty", 3, "lost")]},
    "tokenizer": {"tokenizer": [{"split": "test", "fertility": 1.4}]},
    "stages": {"stages": [{"stage": "clean", "result": "kept all", "seconds": 1.5, "peak_memory_mb": None}]},
    "configuration": {"configuration": {"clean": {"min_characters": 200}}},
    "provenance": {"provenance": {"git commit": "0123abc"}},
}


def whole() -> ReportFacts:
    facts = {key: value for section in SECTIONS.values() for key, value in section.items()}
    return ReportFacts(
        summary="a summary",
        figures=[Figure("bits per byte", "1.47", "on test")],
        splits=[{"split": "test", "bits_per_byte": 1.47}],
        worst_documents=[{"id": "sotu/1.txt", "bits_per_byte": 2.5}],
        notes=["a note"],
        **facts,
    )


def test_whole_page_is_well_formed_and_fetches_nothing():
    page = OpenedPage(render_report(whole()))

    assert page.fetched() == []
    assert "script" not in page.tags
    assert len(page.ids) == len(set(page.ids))
    assert page.tags.count("svg") == 2


def test_links_inside_the_page_lead_somewhere():
    page = OpenedPage(render_report(whole()))

    inside = {r[1:] for r in page.references if r.startswith("#")}
    assert inside
    assert inside <= set(page.ids)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_appears_when_there_is_something_in_it_and_only_then(section):
    page = OpenedPage(render_report(ReportFacts(**SECTIONS[section])))

    assert [i for i in page.ids if i in SECTIONS] == [section]
    assert f"#{section}" in page.references


def test_an_empty_page_still_opens():
    assert "TissLM report" in OpenedPage(render_report(ReportFacts())).text


def test_texts_are_shown_not_obeyed():
    page = OpenedPage(
        render_report(
            ReportFacts(
                title=NASTY,
                samples=[{"prompt": NASTY, "text": NASTY, "finish_reason": "length"}],
                worst_documents=[{"id": NASTY}],
                splits=[{"split": NASTY}],
                bits_per_byte=[(NASTY, 1.0)],
                funnel=[FunnelStep(NASTY, 1, "lost", NASTY)],
                configuration={NASTY: {NASTY: NASTY}},
                provenance={NASTY: NASTY},
                notes=[NASTY],
            )
        )
    )

    assert page.fetched() == []
    assert "script" not in page.tags
    assert page.text.count("{{ 7 * 7 }}") >= 10


def test_figures_numbers_and_units_are_on_the_page():
    text = OpenedPage(render_report(whole())).text

    for words in ("1.47", "xz -9", "training step", "loss (nats per token)", "validation, best 0.188 at step 40"):
        assert words in text
    assert "bits per byte of test text (less is better)" in text
    assert "size (MB)" in text


def test_changed_values_are_marked():
    html = render_report(ReportFacts(configuration={"clean": {"a": 1, "b": 2}}, changed=frozenset({"clean.b"})))

    assert html.count('<td class="changed">2</td>') == 1
    assert html.count('class="changed"') == 1


def test_the_same_facts_give_the_same_page():
    assert render_report(whole()) == render_report(whole())


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"step": 1, "train_loss": 3.0, "validation_loss": ""}],
        [{"step": "5", "train_loss": "", "validation_loss": "2.5"}],
        [{"step": 1, "train_loss": float("inf"), "validation_loss": None}],
    ],
)
def test_a_loss_curve_of_one_point_or_none_can_be_drawn(rows):
    assert OpenedPage(loss_plot(rows)).tags[0] == "svg"


def test_plots_take_the_pages_colours():
    for svg in (loss_plot(LOSS), bits_plot([("TissLM", 1.5), ("xz", 1.7)])):
        assert "var(--accent)" in svg
        assert "#1000" not in svg
        assert "http" not in svg

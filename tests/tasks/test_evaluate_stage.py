"""The evaluation stage on real folders: figures that agree with each other and with the files that it leaves."""

from __future__ import annotations

import csv
import json
import lzma

import pytest
from judged_pipeline import JudgedPipeline, judged_pipeline
from opened_page import OpenedPage
from small_tokenizers import small_tokenizer
from toy_texts import toy_text

from model.corpus.documents import read_texts
from model.dataset.shards import ShardWriter
from model.errors import CorpusError, EvaluationError, TokenizerError
from model.evaluation.config import EvaluateConfig
from model.files import write_manifest
from model.tokenizer.config import TokenizerConfig
from model.tokenizer.training import train_tokenizer
from tasks.champion import judged_on
from tasks.evaluate import evaluate
from tasks.journal import NullJournal
from tasks.params import Params
from tasks.report import StageReport, write_report
from tasks.report_page import collect_report

pytestmark = [pytest.mark.feature("EVAL-01"), pytest.mark.feature("EVAL-07")]
CONFIG = EvaluateConfig(sample_tokens=8, speed_tokens=2)


def judge(pipeline: JudgedPipeline, config: EvaluateConfig = CONFIG, out: str = "evaluated") -> StageReport:
    reports = pipeline.folder("reports")
    report_folder = pipeline.folder("reports/evaluate")
    report = evaluate(
        config,
        **pipeline.inputs,
        out=pipeline.folder(out),
        journal=NullJournal(),
        report_folder=report_folder,
        reports=reports,
        params=Params(evaluate=config),
    )
    write_report(report, reports / "evaluate.json", report_folder)
    return report


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[JudgedPipeline, StageReport]:
    pipeline = judged_pipeline(tmp_path_factory.mktemp("judged") / "data")
    return pipeline, judge(pipeline)


def test_headline_names_the_model_and_what_stands_beside_it(judged):
    _, report = judged
    metrics = report.metrics

    assert report.headline == (
        f"{metrics['test_bits_per_byte']:.2f} bits/byte on test (xz {metrics['xz_bits_per_byte']:.2f}, "
        f"PPMd-6 {metrics['ppmd6_bits_per_byte']:.2f}, PPMd-16 {metrics['ppmd16_bits_per_byte']:.2f})"
    )


def test_baseline_is_judged_on_the_bytes_that_the_model_is_judged_on(judged):
    pipeline, report = judged
    train, test = ("".join(read_texts(pipeline.folder(f"clean/{s}"))).encode() for s in ("train", "test"))
    expected = 8 * (len(lzma.compress(train + test, preset=9)) - len(lzma.compress(train, preset=9))) / len(test)

    assert report.metrics["xz_bits_per_byte"] == pytest.approx(expected, abs=8 * 4 / len(test))
    assert report.metrics["test_bytes"] == len(test)


def test_documents_scores_add_up_to_the_total(judged):
    pipeline, report = judged
    with open(pipeline.data / "reports" / "evaluate" / "document_scores.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]

    bits = sum(float(row["bits_per_byte"]) * int(row["bytes"]) for row in rows)
    assert bits / sum(int(row["bytes"]) for row in rows) == pytest.approx(
        report.metrics["test_bits_per_byte"], abs=1e-3
    )
    assert [row["id"] for row in rows] == [f"toy/{number}" for number in range(16, 24)]


def test_worst_documents_come_first(judged):
    _, report = judged
    worst = [row["bits_per_byte"] for row in report.tables["Worst test documents"]]

    assert worst == sorted(worst, reverse=True)
    assert worst[0] == max(row["bits_per_byte"] for row in report.series["document_scores"] if row["split"] == "test")


def test_plot_series_has_the_model_and_all_baselines(judged):
    _, report = judged

    assert [row["name"] for row in report.series["bits_per_byte"]] == [
        "TissLM",
        "xz -9",
        "PPMd order 6",
        "PPMd order 16",
    ]


def test_the_output_says_the_same_when_judged_again(judged):
    pipeline, report = judged

    judge(pipeline, out="again")

    first, again = (pipeline.data / name / "evaluation.json" for name in ("evaluated", "again"))
    assert first.read_bytes() == again.read_bytes()
    stored = json.loads(first.read_text())
    assert stored["scores"]["test"]["bits_per_byte"] == report.metrics["test_bits_per_byte"]
    assert [sample["prompt"] for sample in stored["samples"]] == list(CONFIG.sample_prompts)
    assert "second" not in first.read_text()


def test_the_page_opens_without_a_network_and_shows_the_figures(judged):
    pipeline, report = judged

    page = OpenedPage((pipeline.data / "reports" / "evaluate" / "report.html").read_text(encoding="utf-8"))

    assert page.fetched() == []
    assert f"{report.metrics['test_bits_per_byte']:.3f}" in page.text
    assert CONFIG.sample_prompts[0] in page.text
    assert "toy/20" in page.text


def test_the_page_shows_earlier_stages_but_not_results_of_an_older_run(judged, tmp_path):
    _, report = judged
    for stage in ("clean", "quantize"):
        (tmp_path / stage).mkdir()
        write_report(StageReport(f"{stage} headline", {"seconds": 1.0}), tmp_path / f"{stage}.json", tmp_path / stage)

    early = collect_report(tmp_path, Params(), {"evaluate": report}, stages=("ingest", "clean"))
    late = collect_report(tmp_path, Params(), {"evaluate": report})

    assert [row["stage"] for row in early.stages] == ["clean", "evaluate"]
    assert [row["stage"] for row in late.stages] == ["clean", "evaluate", "quantize"]


def test_capped_scoring_and_priming_are_said(judged):
    pipeline, _ = judged
    config = CONFIG.model_copy(update={"max_tokens": 300, "baseline_max_bytes": 1000, "sample_prompts": ()})

    report = judge(pipeline, config, out="capped")

    assert len(report.facts["notes"]) == 3
    assert "of 8 documents were scored" in report.facts["notes"][0]
    assert "primed on 1,000 of" in report.facts["notes"][2]
    assert report.metrics["test_tokens"] < 600
    assert report.facts["samples"] == []


def test_without_baselines_the_headline_stands_alone(judged):
    pipeline, _ = judged

    report = judge(pipeline, CONFIG.model_copy(update={"baselines": ()}), out="alone")

    assert report.headline == f"{report.metrics['test_bits_per_byte']:.2f} bits/byte on test"
    assert [row["name"] for row in report.series["bits_per_byte"]] == ["TissLM"]


def test_a_window_beyond_the_models_is_said(judged):
    pipeline, _ = judged
    config = CONFIG.model_copy(update={"context_length": 64, "baselines": (), "sample_prompts": ()})

    assert judge(pipeline, config, out="wide").facts["notes"] == [
        "window: 64 tokens, but the model was trained with 32"
    ]


def test_tokens_of_other_documents_are_refused(tmp_path):
    pipeline = judged_pipeline(tmp_path / "data")
    with ShardWriter(pipeline.folder("tokens/test"), small_tokenizer()) as writer:
        writer.append(small_tokenizer().encode("something else"), 14)

    with pytest.raises(EvaluationError, match=r"test: 8 documents, .* has 1, 14 bytes; run tokenize again"):
        judge(pipeline)


def test_tokens_of_another_tokenizer_are_refused(tmp_path):
    pipeline = judged_pipeline(tmp_path / "data")
    small_tokenizer(vocab_size=560).save(pipeline.folder("pretrained"))

    with pytest.raises(TokenizerError, match="another tokenizer"):
        judge(pipeline)


def test_a_missing_split_is_refused(tmp_path):
    pipeline = judged_pipeline(tmp_path / "data")
    tokens = pipeline.folder("tokens")
    (tokens / "test").rename(tokens / "elsewhere")
    write_manifest(tokens)

    with pytest.raises(CorpusError, match="no such split of tokens"):
        judge(pipeline)


def test_what_a_tokenizer_loses_is_counted_and_the_baselines_code_the_same_text(tmp_path):
    """Mixed case through a tokenizer that lower-cases is judged as the same text in lower case is."""
    texts = [toy_text(index) for index in range(20)]
    lossy = train_tokenizer(texts, TokenizerConfig(vocab_size=400, normalization=("lowercase",)))
    mixed = judged_pipeline(tmp_path / "mixed", tokenizer=lossy)
    lower = judged_pipeline(tmp_path / "lower", tokenizer=lossy, change=str.lower)
    config = CONFIG.model_copy(update={"baselines": ("xz",)})
    of_mixed, of_lower = judge(mixed, config), judge(lower, config)
    for figure in ("test_bits_per_byte", "validation_bits_per_byte", "xz_bits_per_byte"):
        assert of_mixed.metrics[figure] == of_lower.metrics[figure]
    capitals = sum(character.isupper() for text in read_texts(mixed.data / "clean" / "test") for character in text)
    assert of_mixed.metrics["test_lost_characters"] == of_mixed.metrics["test_lost_bytes"] == capitals > 50
    assert of_lower.metrics["test_lost_characters"] == 0
    assert any(f"{capitals} characters" in note for note in of_mixed.facts["notes"])
    assert "of the text lost by the tokenizer" in of_mixed.headline
    same = [judged_on(pipeline.data / "evaluated", config) for pipeline in (mixed, lower)]
    assert same[0] != same[1], "their figures do not stand beside each other unmarked"

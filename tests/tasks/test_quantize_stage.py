"""The quantization stage on real folders: what it leaves, what it reports, and its gate."""

from __future__ import annotations

import json

import pytest
import torch
from judged_pipeline import JudgedPipeline, judged_pipeline

from model.architecture.interop import load_model, save_model
from model.compression.config import QuantizeConfig
from model.compression.storage import load_quantized
from model.dataset.shards import TokenDataset
from model.errors import GateError
from model.evaluation.perplexity import score_dataset
from model.tokenizer.tokenizer import Tokenizer
from tasks.journal import NullJournal
from tasks.quantize import quantize
from tasks.report import StageReport

pytestmark = pytest.mark.feature("COMP-01")
CONFIG = QuantizeConfig(speed_tokens=2, max_eval_tokens=None)


def shrink(pipeline: JudgedPipeline, config: QuantizeConfig = CONFIG, out: str = "quantized") -> StageReport:
    inputs = {name: pipeline.inputs[name] for name in ("pretrained", "tokens")}
    return quantize(config, **inputs, out=pipeline.folder(out), journal=NullJournal())


@pytest.fixture(scope="module")
def shrunk(tmp_path_factory: pytest.TempPathFactory) -> tuple[JudgedPipeline, StageReport]:
    pipeline = judged_pipeline(tmp_path_factory.mktemp("shrunk") / "data")
    return pipeline, shrink(pipeline)


def test_figures_are_those_of_the_two_models_on_the_whole_test_split(shrunk):
    pipeline, report = shrunk
    dataset = TokenDataset.open(pipeline.data / "tokens", "test")
    window = {"context_length": 32, "stride": 16}
    before = score_dataset(load_model(pipeline.data / "pretrained"), dataset, **window).bits_per_byte
    after = score_dataset(load_quantized(pipeline.data / "quantized"), dataset, **window).bits_per_byte

    assert report.metrics["float32_bits_per_byte"] == pytest.approx(before, abs=1e-5)
    assert report.metrics["int8_bits_per_byte"] == pytest.approx(after, abs=1e-5)
    assert report.metrics["delta_bpb"] == pytest.approx(after - before, abs=2e-6)


def test_sizes_are_those_on_disk(shrunk):
    pipeline, report = shrunk
    sizes = {name: (pipeline.data / name / "model.safetensors").stat().st_size for name in ("pretrained", "quantized")}

    assert report.metrics["int8_bytes"] == sizes["quantized"]
    assert report.metrics["size_ratio"] == pytest.approx(sizes["quantized"] / sizes["pretrained"], abs=1e-4)
    assert report.metrics["size_ratio"] < 0.3


def test_the_folder_opens_by_itself_with_its_tokenizer(shrunk):
    pipeline, _ = shrunk
    folder = pipeline.data / "quantized"

    ids = Tokenizer.open(folder).encode("naïve 語")
    logits = load_quantized(folder)(torch.tensor([ids]))

    assert torch.isfinite(logits).all()
    assert json.loads((folder / "quantization.json").read_text())["method"] == "int8"


def test_both_models_are_timed(shrunk):
    _, report = shrunk

    assert report.metrics["int8_decode_tokens_per_second"] > 0
    assert report.metrics["float32_decode_tokens_per_second"] > 0
    assert [row["weights"] for row in report.tables["Float32 and int8"]] == ["float32", "int8"]


def test_the_output_has_no_timing_in_it(shrunk):
    pipeline, _ = shrunk

    shrink(pipeline, out="again")

    for name in ("model.safetensors", "config.json", "quantization.json"):
        assert (pipeline.data / "again" / name).read_bytes() == (pipeline.data / "quantized" / name).read_bytes()


def test_a_capped_comparison_is_said(shrunk):
    pipeline, _ = shrunk

    report = shrink(pipeline, CONFIG.model_copy(update={"max_eval_tokens": 300}), out="capped")

    assert report.facts["notes"][0].startswith("compared on ")
    assert "of 8 test documents, spread evenly (quantize.max_eval_tokens = 300)" in report.facts["notes"][0]


def test_the_gate_stops_a_loss_of_quality_in_one_line(tmp_path):
    pipeline = judged_pipeline(tmp_path / "data", weights_std=0.3)
    spoil(pipeline)

    with pytest.raises(
        GateError, match=r"int8 weights cost \+\d\.\d{4} bits per byte, expected at most 0\.0"
    ) as caught:
        shrink(pipeline, CONFIG.model_copy(update={"max_delta_bpb": 0.0}))

    assert "\n" not in str(caught.value)
    assert "quantize.max_delta_bpb): train longer, or raise the gate" in str(caught.value)


def spoil(pipeline: JudgedPipeline) -> None:
    """Train on the test text, then give every row one huge weight, beside which int8 rounds all others away."""
    folder = pipeline.data / "pretrained"
    model = load_model(folder)
    dataset = TokenDataset.open(pipeline.data / "tokens", "test")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    tokens = torch.from_numpy(dataset.read(0, dataset.n_tokens))
    windows = tokens[: len(tokens) // 33 * 33].view(-1, 33)
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(model(windows[:, :-1]).flatten(0, 1), windows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        # an unused feature: the norm before it answers zero there, so the huge weights change nothing in float32
        for block in model.blocks:
            block.feedforward_norm.weight[0] = 0.0
            block.feedforward.gate_up.weight[:, 0] = 1e4
            block.attention_norm.weight[0] = 0.0
            block.attention.qkv.weight[:, 0] = 1e4
    save_model(model, folder)

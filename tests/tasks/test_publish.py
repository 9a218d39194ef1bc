"""What a user finds in the registry after `publish`: one complete version per model, the right champion, and why."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from small_models import SmallPipeline, run_here, small_pipeline
from toy_texts import toy_text
from tracked_stages import empty_database, workspace

from model.architecture.interop import load_model
from model.errors import GateError, IntegrityError, RegistryError, TrackingError
from model.files import verify_manifest, write_json, write_manifest
from model.tokenizer.config import TokenizerConfig
from model.tokenizer.training import train_tokenizer
from tasks.params import parse_params
from tasks.publish import training_texts
from tasks.registered_files import identity_of
from tasks.registry import list_versions, open_registry, promote, resolve, rollback
from tasks.tracking import tracking_errors

__all__ = ["empty_database", "workspace"]


@pytest.fixture
def pipeline(workspace: Path) -> SmallPipeline:
    return small_pipeline(workspace)


def aliases(root: Path) -> dict[str, int]:
    return {alias: version.version for version in list_versions(root, "toy") for alias in version.aliases}


@pytest.mark.feature("OPS-02")
def test_the_first_model_becomes_champion_with_all_its_provenance(pipeline: SmallPipeline) -> None:
    report = pipeline.publish()
    assert report.headline == "toy: new version 1, champion: the first version that passes the gates"
    assert aliases(pipeline.root) == {"candidate": 1, "champion": 1}
    model = resolve(pipeline.root, "toy", "champion")
    assert set(json.loads(model.tags["files"])) >= {"model.safetensors", "tokenizer.json", "config.json", "README.md"}
    assert any(name.startswith("quantized/") for name in json.loads(model.tags["files"]))
    for tag in ("identity", "params_digest", "threads", "library.torch", "machine.cpu", "test_bits_per_byte"):
        assert model.tags[tag]
    verify_manifest(model.folder)
    assert load_model(model.folder).num_params() > 0
    page = (pipeline.root / "data/reports/publish/report.html").read_text(encoding="utf-8")
    assert "2.0" in page


@pytest.mark.feature("OPS-02")
def test_transformers_opens_the_registered_folder(pipeline: SmallPipeline) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    pipeline.publish()
    folder = resolve(pipeline.root, "toy").folder
    ids = AutoTokenizer.from_pretrained(folder)("Once upon a time", return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        theirs = AutoModelForCausalLM.from_pretrained(folder).eval()(ids).logits
        ours = load_model(folder).eval()(ids)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.feature("OPS-02")
def test_the_same_bytes_published_twice_are_one_version(pipeline: SmallPipeline) -> None:
    pipeline.publish()
    first = list_versions(pipeline.root, "toy")
    pipeline.judge(2.0)  # other timings and reports do not make another model
    report = pipeline.publish()
    assert list_versions(pipeline.root, "toy") == first
    assert report.headline == "toy: these bytes are already version 1, champion: these bytes are already the champion"


@pytest.mark.feature("OPS-02")
def test_a_better_model_takes_over_and_the_old_one_is_kept_for_rollback(pipeline: SmallPipeline) -> None:
    pipeline.publish()
    pipeline.train(seed=2)
    pipeline.judge(1.9)
    report = pipeline.publish()
    assert aliases(pipeline.root) == {"previous": 1, "candidate": 2, "champion": 2}
    assert "1.9000 against 2.0000 bits/byte of version 1, on the same test set" in report.headline
    rollback(pipeline.root, "toy")
    assert {v.version: "withdrawn" in v.tags for v in list_versions(pipeline.root, "toy")} == {1: False, 2: True}
    assert aliases(pipeline.root) == {"champion": 1, "previous": 2, "candidate": 2}
    report = pipeline.publish()
    assert "not champion: it was withdrawn (rolled back to version 1)" in report.headline
    assert aliases(pipeline.root)["champion"] == 1
    rollback(pipeline.root, "toy")
    assert {v.version: "withdrawn" in v.tags for v in list_versions(pipeline.root, "toy")} == {1: True, 2: False}
    assert aliases(pipeline.root)["champion"] == 2


@pytest.mark.feature("OPS-02")
def test_a_worse_or_equal_model_is_published_but_not_promoted(pipeline: SmallPipeline) -> None:
    pipeline.publish()
    for seed, score in ((2, 2.1), (3, 2.0)):
        pipeline.train(seed)
        pipeline.judge(score)
        report = pipeline.publish()
        assert "not champion: does not beat the champion" in report.headline
        assert aliases(pipeline.root) == {"champion": 1, "candidate": seed}


@pytest.mark.feature("OPS-02")
def test_a_model_that_misses_the_gate_is_a_candidate_only(workspace: Path) -> None:
    pipeline = small_pipeline(workspace, max_bits_per_byte=1.5)
    report = pipeline.publish()
    assert report.headline.endswith("not champion: 2.0000 bits/byte misses the gate publish.max_bits_per_byte = 1.5")
    assert aliases(pipeline.root) == {"candidate": 1}
    with pytest.raises(GateError, match=r"version 1: 2\.0 bits/byte .* at most 1\.5"):
        promote(pipeline.root, "toy", 1, max_bits_per_byte=1.5)
    promote(pipeline.root, "toy", 1)
    assert aliases(pipeline.root) == {"candidate": 1, "champion": 1}


@pytest.mark.feature("OPS-02")
def test_an_improvement_must_reach_the_margin(workspace: Path) -> None:
    pipeline = small_pipeline(workspace, min_improvement_bpb=0.05)
    pipeline.publish()
    pipeline.train(seed=2)
    pipeline.judge(1.96)
    assert "not champion" in pipeline.publish().headline
    pipeline.train(seed=3)
    pipeline.judge(1.94)
    assert "not champion" not in pipeline.publish().headline


@pytest.mark.feature("OPS-02")
def test_a_champion_of_another_test_set_is_scored_again_on_the_present_one(pipeline: SmallPipeline) -> None:
    pipeline.judge(0.5)  # a result that no untrained model has: only a new scoring can tell the two apart
    pipeline.publish()
    pipeline.train(seed=2)
    pipeline.judge(0.4, [toy_text(5), toy_text(6)])
    report = pipeline.publish()
    new = sum(len(toy_text(i).encode()) for i in (5, 6))
    assert f"both scored again where {new:,} of {new:,} bytes of the test text are new to both" in report.headline
    for row in report.tables["Test result"]:
        assert 2 < row["bits_per_byte"] < 4  # about log2(600 ids) over 3 to 4 bytes a token


@pytest.mark.feature("OPS-02")
def test_a_champion_that_trained_on_the_new_test_texts_is_not_compared_on_them(pipeline: SmallPipeline) -> None:
    """Another split seed: what was for training is now for testing."""
    pipeline.judge(2.0, trained_on=[toy_text(5), toy_text(6)])
    pipeline.publish()
    pipeline.train(seed=2)
    pipeline.judge(1.0, [toy_text(5), toy_text(6).replace("carried", "bore")], trained_on=[toy_text(1), toy_text(2)])
    report = pipeline.publish()
    assert "only 0 of 4," in report.headline
    assert "publish.min_unseen_test_bytes" in report.headline
    assert "by hand: `tisslm models promote 2`" in report.headline
    assert aliases(pipeline.root) == {"champion": 1, "candidate": 2}
    promote(pipeline.root, "toy", 2)
    assert aliases(pipeline.root)["champion"] == 2


@pytest.mark.feature("OPS-02")
def test_only_what_is_new_to_both_decides_and_its_amount_is_said(pipeline: SmallPipeline) -> None:
    pipeline.judge(2.0, trained_on=[toy_text(5), toy_text(9)])
    pipeline.publish()
    pipeline.train(seed=2)
    pipeline.judge(1.0, [toy_text(5), toy_text(6), toy_text(7)], trained_on=[toy_text(8), f"Before. {toy_text(7)}"])
    report = pipeline.publish()
    sizes = [len(toy_text(i).encode()) for i in (5, 6, 7)]
    assert f"where {sizes[1]:,} of {sum(sizes):,} bytes of the test text are new to both" in report.headline


@pytest.mark.feature("OPS-02")
def test_a_champion_without_a_record_of_its_texts_is_not_compared(pipeline: SmallPipeline) -> None:
    old = pipeline.root / "old"
    shutil.copytree(pipeline.folder("pretrained"), old)
    with tracking_errors(pipeline.root):
        registry = open_registry(pipeline.root, "toy")
        run = registry.connection.client.create_run(registry.connection.experiment_id()).info.run_id
        version = registry.register(old, identity_of(old), lambda: run, {"test_bits_per_byte": "2.0"})
        registry.make_champion(version)
    pipeline.train(seed=2)
    pipeline.judge(1.0)
    report = pipeline.publish()
    assert "was registered without a record of its training texts" in report.headline
    assert "by hand: `tisslm models promote 2`" in report.headline
    assert aliases(pipeline.root)["champion"] == 1


@pytest.mark.feature("OPS-02")
def test_a_model_that_began_from_one_without_a_record_is_not_compared(pipeline: SmallPipeline) -> None:
    pipeline.publish()
    shutil.copytree(pipeline.folder("pretrained"), pipeline.root / "imported")
    pipeline.train(seed=2)
    pipeline.judge(1.0)
    began = parse_params({"publish": {"name": "toy"}, "pretrain": {"from": "imported"}})
    report = SmallPipeline(pipeline.root, began).publish()
    assert "the candidate was trained from imported, of whose training texts there is no record" in report.headline
    assert aliases(pipeline.root)["champion"] == 1


@pytest.mark.feature("OPS-02")
def test_what_a_model_began_from_has_seen_counts_as_seen(pipeline: SmallPipeline) -> None:
    pipeline.judge(2.0, trained_on=[toy_text(5), toy_text(6)])
    pipeline.publish()
    shutil.copytree(resolve(pipeline.root, "toy").folder, pipeline.root / "start")
    began = parse_params({"publish": {"name": "toy"}, "pretrain": {"from": "start"}})
    record = training_texts(pipeline.folder("clean"), began, pipeline.root)
    assert record.holds([toy_text(5), toy_text(7)]) == [True, False]


@pytest.mark.feature("OPS-02")
def test_a_tokenizer_that_loses_text_does_not_win_by_it(pipeline: SmallPipeline) -> None:
    pipeline.publish()
    pipeline.train(seed=2)
    texts = [toy_text(index) for index in range(20)]
    lossy = train_tokenizer(texts, TokenizerConfig(vocab_size=600, normalization=("lowercase",)))
    lossy.save(pipeline.folder("pretrained"))
    write_manifest(pipeline.folder("pretrained"))
    pipeline.judge(1.0)
    evaluated = pipeline.folder("evaluated") / "evaluation.json"
    facts = json.loads(evaluated.read_text(encoding="utf-8"))
    write_json(evaluated, {**facts, "predicted_digest": "what is left"})
    report = pipeline.publish()
    assert "they predict different texts" in report.headline
    assert "0.0% of the champion's text does not come back" in report.headline
    assert aliases(pipeline.root) == {"champion": 1, "candidate": 2}


@pytest.mark.parametrize("damage", ["a bit", "no file"])
def test_publishing_the_same_bytes_again_mends_the_registered_copy(pipeline: SmallPipeline, damage: str) -> None:
    pipeline.publish()
    weights = resolve(pipeline.root, "toy").folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.unlink() if damage == "no file" else weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(IntegrityError, match="tisslm run --from publish --force"):
        resolve(pipeline.root, "toy")
    pipeline.publish()
    assert weights.read_bytes() == whole
    verify_manifest(resolve(pipeline.root, "toy").folder)
    assert [version.version for version in list_versions(pipeline.root, "toy")] == [1]


def test_a_changed_figure_in_the_registry_is_found_before_it_decides(pipeline: SmallPipeline) -> None:
    pipeline.publish()
    with tracking_errors(pipeline.root):
        client = open_registry(pipeline.root, "toy").connection.client
        client.set_model_version_tag("toy", "1", "test_bits_per_byte", "3.77")
    pipeline.train(seed=2)
    pipeline.judge(2.5)
    report = pipeline.publish()
    assert "the champion, version 1, is damaged" in report.headline
    assert "not the one that was registered" in report.headline
    assert aliases(pipeline.root)["champion"] == 1


def test_a_changed_file_in_the_registry_is_refused_before_use(pipeline: SmallPipeline) -> None:
    pipeline.publish()
    weights = resolve(pipeline.root, "toy").folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"model\.safetensors: sha256 .* its bytes changed"):
        resolve(pipeline.root, "toy")


def test_a_broken_champion_is_named_and_never_silently_beaten(pipeline: SmallPipeline) -> None:
    pipeline.publish()
    (resolve(pipeline.root, "toy").folder / "model.safetensors").unlink()
    pipeline.train(seed=2)
    pipeline.judge(1.9)
    report = pipeline.publish()
    assert "not champion: the champion, version 1, is damaged and cannot be compared" in report.headline
    assert aliases(pipeline.root) == {"champion": 1, "candidate": 2}
    promote(pipeline.root, "toy", 2)  # the way that the line names
    assert aliases(pipeline.root)["champion"] == 2


def test_a_registry_without_versions_says_what_to_do(workspace: Path) -> None:
    with pytest.raises(RegistryError, match="no version of model 'toy' yet; run `tisslm run`"):
        resolve(workspace, "toy")


def test_an_unknown_version_is_named_beside_the_known_ones(pipeline: SmallPipeline) -> None:
    pipeline.publish()
    with pytest.raises(RegistryError, match=r"toy has no version '7'; it has 1 \(candidate, champion\)"):
        resolve(pipeline.root, "toy", "7")
    with pytest.raises(RegistryError, match="no previous champion"):
        rollback(pipeline.root, "toy")


def test_an_unreachable_registry_is_one_line(pipeline: SmallPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(TrackingError) as caught:
        pipeline.publish()
    assert "\n" not in str(caught.value)
    assert "run the same command again" in str(caught.value)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert pipeline.publish().headline.startswith("toy: new version 1, champion")


KILLER = """
import os, signal, sys
from pathlib import Path
from mlflow.tracking import MlflowClient
from small_models import SmallPipeline
from tasks.params import parse_params

left = [int(sys.argv[2])]

def dying(name):
    call = getattr(MlflowClient, name)
    def wrapped(*arguments, **named):
        left[0] -= 1
        if left[0] == 0 and sys.argv[3] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*arguments, **named)
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(MlflowClient, name, wrapped)

for name in ("create_experiment", "create_run", "set_terminated", "log_artifacts", "create_registered_model",
             "create_model_version", "set_registered_model_alias"):
    dying(name)
pipeline = SmallPipeline(Path(sys.argv[1]), parse_params({"publish": {"name": "toy", "max_bits_per_byte": 8.0}}))
print(pipeline.publish().headline)
"""


@pytest.mark.slow
@pytest.mark.feature("OPS-02")
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_publish_cut_at_any_step_leaves_aliases_on_complete_versions(pipeline: SmallPipeline, when: str) -> None:
    pipeline.publish()
    pipeline.train(seed=2)
    pipeline.judge(1.9)
    for step in range(1, 20):
        done = run_here(KILLER, str(pipeline.root), str(step), when)
        pointed = aliases(pipeline.root)
        assert pointed["champion"] in (1, 2)
        for alias in pointed:
            verify_manifest(resolve(pipeline.root, "toy", alias).folder)
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
    assert done.stdout.startswith("toy: "), done.stderr
    assert step > 2
    assert [v.version for v in list_versions(pipeline.root, "toy")] == [1, 2]
    assert aliases(pipeline.root) == {"previous": 1, "candidate": 2, "champion": 2}

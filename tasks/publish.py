"""Stage `publish`: the finished model becomes a version in the registry, and champion if it passes the gates.

    gather -> card -> manifest -> upload -> read back -> version -> candidate -> judge -> previous -> champion

Every step may be the last one of a killed process: a version exists only once its files have been read back, aliases
move only to versions, and a rerun finds the version by its identity and goes on. A model that misses a gate is
published all the same; the report says why it did not become champion.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.corpus.documents import read_documents
from model.corpus.seen_texts import SeenTexts
from model.errors import RegistryError
from model.files import MANIFEST, folder_digest, read_json, storage_errors, write_manifest, write_text
from tasks.champion import Verdict, compare_folders, judge, judged_on
from tasks.delivery import Delivery
from tasks.existing_model import START, find_model
from tasks.journal import Journal
from tasks.model_card import CardFacts, model_card
from tasks.params import Params
from tasks.provenance import lock_entries, provenance_tags
from tasks.publish_config import PublishConfig
from tasks.registered_files import JUDGED_ON_TAG, SCORE_TAG, SOURCES_TAG, TRAINING_TEXTS, identity_of
from tasks.registry import (
    ALIASES,
    CANDIDATE,
    REMEDY,
    ModelVersion,
    open_registry,
)
from tasks.report import StageReport
from tasks.settings import read_settings
from tasks.tracking import INPUT_TAG, NAME_TAG, REGISTERED_TAG, Connection, tracking_errors

STAGES_BEFORE = ("ingest", "clean", "tokenizer", "tokenize", "pretrain", "evaluate", "quantize")
LONGEST_SOURCES = 1000
SHOWN = ("git_", "params_digest", "dvc_lock", "flow_run", "pipeline_run", "threads", "library.", "machine.")


def publish(
    config: PublishConfig,
    clean: Path,
    evaluated: Path,
    pretrained: Path,
    quantized: Path,
    out: Path,
    journal: Journal,
    reports: Path,
    report_folder: Path,
    params: Params,
    root: Path,
) -> StageReport:
    """Register the model and decide whether it becomes champion.

    Raises:
        TrackingError: The registry cannot be reached; the same command goes on where it stopped.
        RegistryError: There is no test result to judge by.
        IntegrityError: The registry did not keep what was sent.
    """
    from model.evaluation.report import render_report
    from tasks.report_page import collect_report

    settings = read_settings()
    gather(pretrained, quantized, out)
    identity = identity_of(out)
    figures = stage_figures(reports)
    score = test_score(evaluated)
    tags = provenance_tags(root, params, settings)
    tags |= {SCORE_TAG: str(score), JUDGED_ON_TAG: judged_on(evaluated, params.evaluate)}
    read = (clean, evaluated, pretrained, quantized)
    tags |= {f"{INPUT_TAG}{folder.name}": folder_digest(folder) for folder in read}
    tags["pipeline_run"] = settings.pipeline_run
    tags[SOURCES_TAG] = ", ".join(source.name for source in params.ingest.sources)[:LONGEST_SOURCES]
    training_texts(clean, params, root).save(out / TRAINING_TEXTS)
    write_card(config, params, out, identity, figures, tags)
    write_manifest(out)
    with tracking_errors(root, REMEDY):
        registry = open_registry(root, config.name, settings)
        before = registry.get(CANDIDATE)
        version = registry.register(
            out, identity, lambda: run_of(registry.connection, journal), version_tags(root, tags), journal.say
        )
        registry.point(CANDIDATE, version)
        verdict = judge(
            registry,
            version,
            score,
            config,
            lambda mine, theirs, recorded: compare_folders(
                mine, theirs, recorded, clean / "test", params.evaluate, config.min_unseen_test_bytes
            ),
        )
        if verdict.promoted:
            registry.make_champion(version)
        listed = registry.get(version.version) or version
    is_new = before is None or version.version > before.version
    report = report_of(config, listed, verdict, score, is_new)
    journal.tags({"registry.version": f"{config.name}/{version.version}", REGISTERED_TAG: identity})
    shown = {k: v for k, v in tags.items() if k.startswith(SHOWN) and v}
    page = collect_report(reports, params, {"publish": report}, provenance=shown, stages=STAGES_BEFORE)
    write_text(report_folder / "report.html", render_report(page))
    return report


def gather(pretrained: Path, quantized: Path, out: Path) -> None:
    """Put the whole Hugging Face folder together: the model, and its quantized variant in `quantized/`."""
    for source, target in ((pretrained, out), (quantized, out / "quantized")):
        with storage_errors(target):
            shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST))


def test_score(evaluated: Path) -> float:
    """Bits per byte of the test text, from the verified folder of the stage `evaluate`.

    Raises:
        RegistryError: It is not there.
    """
    path = evaluated / "evaluation.json"
    try:
        return float(read_json(path)["scores"]["test"]["bits_per_byte"])
    except (KeyError, TypeError, ValueError) as error:
        raise RegistryError(
            f"{path}: has no bits per byte of the test text, which publish judges by; run the evaluate stage"
        ) from error


def training_texts(clean: Path, params: Params, root: Path) -> SeenTexts:
    """The record of all that the model was trained on, by this run and before it (`pretrain.from`)."""
    record = SeenTexts.of(read_documents(clean / "train"))
    start = params.pretrain.from_model
    if start is None:
        return record
    before = SeenTexts.open(find_model(START, start, root, params).folder / TRAINING_TEXTS)
    return record.joined(before or SeenTexts(record.hashes[:0], 0, (start,)))


def stage_figures(reports: Path) -> dict[str, dict[str, float]]:
    """The metrics of every stage that has been run, by stage."""
    files = {name: reports / f"{name}.json" for name in STAGES_BEFORE}
    return {name: read_json(path) for name, path in files.items() if path.is_file()}


def write_card(
    config: PublishConfig,
    params: Params,
    out: Path,
    identity: str,
    figures: Mapping[str, Mapping[str, float]],
    tags: Mapping[str, str],
) -> None:
    """Write the model card as `README.md`."""
    files = {p.relative_to(out).as_posix(): p.stat().st_size for p in sorted(out.rglob("*")) if p.is_file()}
    architecture = read_json(out / "config.json")
    facts = CardFacts(config.name, identity, config.license, params, figures, tags, architecture, files)
    write_text(out / "README.md", model_card(facts))


def run_of(connection: Connection, journal: Journal) -> str:
    """The MLflow run that keeps the files: this stage's own, or one made for a call outside the pipeline."""
    if journal.file is not None:
        return Delivery(connection, journal.file).child_run()
    started = int(time.time() * 1000)
    run = connection.client.create_run(connection.experiment_id(), started, {NAME_TAG: "publish"}, "publish")
    connection.client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def version_tags(root: Path, tags: Mapping[str, str]) -> dict[str, str]:
    """The tags of a version: the run's own and the `dvc.lock` entry of each stage before this one."""
    own = {k: v for k, v in tags.items() if v and not k.startswith("mlflow.")}
    locks = lock_entries(root, STAGES_BEFORE)
    return own | {f"dvc_lock.{stage}": json.dumps(entry, sort_keys=True) for stage, entry in locks.items()}


def report_of(
    config: PublishConfig, version: ModelVersion, verdict: Verdict, score: float, is_new: bool
) -> StageReport:
    """What happened, for people and machines."""
    known = "new version" if is_new else "these bytes are already version"
    role = f"champion: {verdict.reason}" if verdict.promoted else f"not champion: {verdict.reason}"
    mine = score if verdict.bits_per_byte is None else verdict.bits_per_byte
    rows: list[dict[str, Any]] = [{"model": f"{config.name} version {version.version}", "bits_per_byte": mine}]
    if verdict.champion_bits_per_byte is not None and verdict.champion != version.version:
        rows.append(
            {
                "model": f"{config.name} version {verdict.champion} (champion before)",
                "bits_per_byte": verdict.champion_bits_per_byte,
            }
        )
    return StageReport(
        headline=f"{config.name}: {known} {version.version}, {role}",
        metrics={"version": version.version, "is_champion": int(verdict.promoted)},
        tables={"Test result": rows},
        facts={
            "name": config.name,
            "version": version.version,
            "identity": version.identity,
            "aliases": [alias for alias in ALIASES if alias in version.aliases],
            "run_id": version.run_id,
            "verdict": verdict.reason,
        },
    )

"""`tisslm corpus clean`: the stage `clean` on anybody's texts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.corpus_texts import Texts, progress, write_documents

if TYPE_CHECKING:
    from model.corpus.cleaning_result import CleaningResult
    from model.corpus.config import CleanConfig
    from model.corpus.documents import Document

SHORTHANDS = {"language": "keep", "toxicity": "max_offensive", "pattern": "pattern"}


def clean_config(params: Path | None, filters: list[str], changes: dict[str, Any]) -> CleanConfig:
    """The section `clean` of a file, or the defaults, with the command line's filters and changes.

    Raises:
        ConfigError: The file or an option is wrong.
    """
    from model.errors import ConfigError
    from tasks.params import parse_params, read_params_text

    values: dict[str, Any] = {}
    if params is not None:
        values, _ = read_params_text(params)
        values = values.get("clean", values)
        if not isinstance(values, dict):
            raise ConfigError(f"{params}: expected settings of the stage clean, like `filters:`, got {values!r}")
    if filters:
        values = {**values, "filters": [filter_values(text) for text in filters]}
    values = {**values, **{key: value for key, value in changes.items() if value is not None}}
    return parse_params({"clean": values}, str(params) if params else "corpus clean").clean


def filter_values(text: str) -> dict[str, Any]:
    """A filter from the command line: `gopher_quality`, `language=en,de`, `length:min_words=50,max_words=9000`.

    Raises:
        ConfigError: It has no such form.
    """
    import yaml

    from model.errors import ConfigError

    form = (
        "expected NAME, NAME=VALUE or NAME:KEY=VALUE,KEY=VALUE, like gopher_quality, language=en or length:min_words=50"
    )
    name, colon, settings = text.partition(":")
    values: dict[str, Any] = {}
    if "=" in name:
        name, _, value = text.partition("=")
        if name not in SHORTHANDS:
            raise ConfigError(f"--filter {text}: {form}; a plain value is for {', '.join(SHORTHANDS)}")
        values[SHORTHANDS[name]] = value.split(",") if name == "language" else yaml.safe_load(value)
        if name == "pattern":
            values["pattern"] = value
    elif colon:
        for setting in settings.split(","):
            key, equals, value = setting.partition("=")
            if not equals:
                raise ConfigError(f"--filter {text}: {form}")
            values[key.strip()] = yaml.safe_load(value)
    return {"filter": name, **values}


def clean_texts(
    texts: Texts, config: CleanConfig, out: Path | None, dropped: Path | None, splits: bool
) -> CleaningResult:
    """Clean texts as the pipeline does and write what is left.

    Args:
        texts: What to read.
        config: What to repair and drop.
        out: Where to; None only counts.
        dropped: File of JSON lines for what was dropped, with reasons.
        splits: Write train, validation and test as the pipeline does; else everything that is left, together.
    """
    from model.corpus.documents import document_files, read_documents
    from model.files import finished_folder

    if not splits:
        _check_together(config)
    config = config.model_copy(update={"keep_dropped": dropped is not None})
    with tempfile.TemporaryDirectory(
        prefix="tisslm-clean-", dir=out.parent if out and out.parent.is_dir() else None
    ) as temporary:
        work = Path(temporary)
        raw = work / "raw"
        write_documents(texts.documents(), raw)
        if splits:
            from model.corpus.cleaning import clean_documents

            with progress("cleaning") as tell:
                result = clean_documents(
                    config, raw, work / "clean", root=Path.cwd(), pii_key=_key(), on_progress=lambda a, b, _: tell(a, b)
                )
            gone = read_documents(work / "clean" / "dropped") if dropped else iter(())
            if out is not None:
                with finished_folder(out) as folder:
                    for split in ("train", "validation", "test"):
                        (folder / split).mkdir()
                        for file in document_files(work / "clean" / split):
                            file.rename(folder / split / file.name)
        else:
            result, gone = _clean_together(config, raw, work, out)
        if dropped is not None:
            from cli.corpus_texts import write_json_lines

            write_json_lines(
                ({"id": d.id, "reason": _reason(d), "text": d.text, "source": d.source} for d in gone), dropped
            )
    return result


def _check_together(config: CleanConfig) -> None:
    """Refuse settings that mean something only where there is a training split."""
    from model.errors import ConfigError

    needing = {
        "deduplicate_against": config.deduplicate_against,
        "contamination.benchmarks": config.contamination.benchmarks,
        "augmentation": getattr(config, "augmentation", None),
    }
    if wrong := [name for name, value in needing.items() if value]:
        raise ConfigError(f"clean.{wrong[0]}: is for a training split; give --splits, or leave it out")


def _clean_together(
    config: CleanConfig, raw: Path, work: Path, out: Path | None
) -> tuple[CleaningResult, Iterator[Document]]:
    """The first pass and the deduplication of the pipeline, without splits: three files are enough here."""
    from model.corpus.cleaning import cleaning_store, judge_documents
    from model.corpus.documents import DocumentWriter
    from model.corpus.judging import DROPPED, KEPT, with_metadata
    from model.corpus.shard_runner import SerialRunner
    from model.errors import CorpusError

    gone = DocumentWriter(work / "gone")
    with cleaning_store(config, raw, work) as store, progress("cleaning") as tell, gone:
        judged = judge_documents(
            config, raw, store, SerialRunner(), pii_key=_key(), on_progress=lambda done, total, _: tell(done, total)
        )
        result, copies = judged.result, _copies(config, [folder / KEPT for folder in judged.folders])
        if config.keep_dropped:
            for document in _documents([folder / DROPPED for folder in judged.folders]):
                gone.write(document)

        def left() -> Iterator[Document]:
            for document in _documents([folder / KEPT for folder in judged.folders]):
                if reason := copies.get(document.id):
                    result.drop(document.id, document.text, reason, config.examples_per_reason)
                    gone.write(with_metadata(document, dropped=reason))
                    continue
                result.kept += 1
                result.kept_characters += len(document.text)
                result.statistics.add(document, "all")
                yield document

        if out is not None:
            write_documents(left(), out)
        else:
            for _ in left():
                pass
        if not result.kept:
            raise CorpusError(_nothing_left(result))
    return result, _documents([work / "gone"])


def _nothing_left(result: CleaningResult) -> str:
    reasons = "; ".join(f"{n:,} {reason}" for reason, n in result.dropped.most_common())
    return f"clean: no documents left of {result.documents:,}: {reasons}; change these settings or add other texts"


def _copies(config: CleanConfig, folders: list[Path]) -> dict[str, str]:
    """Ids of the documents that repeat others, with the reason."""
    from model.corpus.deduplicate import DigestSet, text_digest
    from model.corpus.near_duplicates.finding import find_near_duplicates

    if config.deduplicate == "near":
        report = find_near_duplicates(_documents(folders), config.near_duplicates)
        return dict.fromkeys(report.dropped_ids, "near_duplicate") | _exact(folders, set(report.dropped_ids))
    if config.deduplicate == "exact":
        digests = DigestSet()
        return {d.id: "duplicate" for d in _documents(folders) if not digests.add(text_digest(d.text))}
    return {}


def _exact(folders: list[Path], among: set[str]) -> dict[str, str]:
    from model.corpus.deduplicate import DigestSet, text_digest

    digests = DigestSet()
    repeated = [d.id for d in _documents(folders) if not digests.add(text_digest(d.text))]
    return {name: "duplicate" for name in repeated if name in among}


def _documents(folders: list[Path]) -> Iterator[Document]:
    from model.corpus.documents import read_documents

    for folder in folders:
        yield from read_documents(folder)


def _reason(document: Document) -> str:
    import json

    return str(json.loads(document.metadata).get("dropped", ""))


def _key() -> bytes | None:
    from model.corpus.pii.actions import key_from_environment

    return key_from_environment()

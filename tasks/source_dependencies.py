"""Keeps dependencies in `dvc.yaml` in step with the local texts that `params.yaml` names.

DVC notices a changed text only where the text is a dependency: sources of stage ingest, reference sets and benchmarks
of stage clean, the models that stages tokenizer and pretrain start from. Entries that come from `params.yaml` carry a
comment like `from ingest.sources`; all other entries are left alone.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from model.corpus.config import compared_paths
from model.corpus.local_files import local_files
from model.corpus.package_files import package_files
from model.corpus.readers.source_file import SourceFile
from model.corpus.set_aside import SetAside
from model.corpus.sources import PackageSource, PathSource, local_paths
from model.errors import ConfigError, CorpusError
from model.files import write_text
from tasks.existing_model import local_model
from tasks.params import Params

MARK = "from ingest.sources"
MARK_OF_STAGE = {
    "ingest": MARK, "clean": "from clean", "tokenizer": "from tokenizer.from", "pretrain": "from pretrain.from",
}  # fmt: skip


def sync_source_dependencies(root: Path, params: Params) -> list[str]:
    """Add and remove the marked dependencies; return what was done, in words for people.

    A path that does not exist is left to the stage itself, which says so in one line of its own.

    Raises:
        ConfigError: A stage would start from what the pipeline itself makes.
    """
    path = root / "dvc.yaml"
    document = round_trip_yaml().load(path.read_text(encoding="utf-8"))
    models = {
        "tokenizer": local_model(params.tokenizer.from_model),
        "pretrain": local_model(params.pretrain.from_model),
    }
    for stage, names in models.items():
        for name in names:
            _refuse_circle(f"{stage}.from", name, document["stages"])
    paths = {"ingest": local_paths(params.ingest), "clean": compared_paths(params.clean), **models}
    told: list[str] = []
    for stage, mark in MARK_OF_STAGE.items():
        if stage in document["stages"]:
            wanted = [_written(p) for p in paths[stage] if (root / p).exists()]
            told += _sync(document["stages"][stage], stage, list(dict.fromkeys(wanted)), mark)
    if told:
        buffer = io.StringIO()
        round_trip_yaml().dump(document, buffer)
        write_text(path, buffer.getvalue())
    return told


def check_new_sources(root: Path, params: Params) -> None:
    """See that sources which DVC does not watch yet have files, before anything is edited for them.

    Raises:
        CorpusError: One does not exist, or has no file that its glob means.
    """
    stages = round_trip_yaml().load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    watched = set(stages.get("ingest", {}).get("deps") or ())
    for source in params.ingest.sources:
        if isinstance(source, PathSource) and _written(source.path) not in watched:
            files: Iterator[SourceFile | SetAside] = local_files(source, root)
        elif isinstance(source, PackageSource):
            files = package_files(source)
        else:
            continue
        if not any(isinstance(file, SourceFile) for file in files):
            raise CorpusError(
                f"ingest.sources: {source.name}: no file matches {source.glob!r}; put texts there, or give another "
                "`glob:` or `path:`"
            )


def _refuse_circle(key: str, name: str, stages: Any) -> None:
    """A model that the pipeline makes is gone before it is made anew."""
    path = Path(_written(name))
    made = [Path(entry) for stage in stages.values() for entry in stage.get("outs") or [] if isinstance(entry, str)]
    if any(path == out or path.is_relative_to(out) for out in made):
        raise ConfigError(
            f"{key}: {name} is what this pipeline makes, so it would be gone before it is read; copy it: "
            f"cp -r {name} models/start, and name the copy"
        )


def _sync(definition: Any, stage: str, wanted: list[str], mark: str) -> list[str]:
    """Make the marked dependencies of one stage those that are wanted."""
    entries = definition.get("deps")
    if not isinstance(entries, CommentedSeq):
        entries = CommentedSeq()
    marked = [str(entries[i]) for i in range(len(entries)) if _is_marked(entries, i, mark)]
    own = [str(entries[i]) for i in range(len(entries)) if not _is_marked(entries, i, mark)]
    wanted = [p for p in wanted if p not in own]
    if marked == wanted:
        return []
    for index in reversed(range(len(entries))):
        if _is_marked(entries, index, mark):
            del entries[index]
    for entry in wanted:
        entries.append(entry)
        entries.yaml_add_eol_comment(mark, len(entries) - 1)
    if entries:
        definition["deps"] = entries
    else:
        definition.pop("deps", None)
    why = mark.removeprefix("from ")
    return [
        *(f"dvc.yaml: {stage} now depends on {p} ({why})" for p in wanted if p not in marked),
        *(f"dvc.yaml: {stage} no longer depends on {p}" for p in marked if p not in wanted),
    ]


def round_trip_yaml() -> YAML:
    """A YAML reader and writer that keeps comments, quotes, order and our indentation."""
    round_trip = YAML()
    round_trip.preserve_quotes = True
    round_trip.width = 10_000
    round_trip.indent(mapping=2, sequence=4, offset=2)
    return round_trip


def _written(path: str) -> str:
    return Path(os.path.normpath(path)).as_posix()


def _is_marked(entries: CommentedSeq, index: int, mark: str) -> bool:
    tokens = entries.ca.items.get(index)
    return bool(tokens and tokens[0] is not None and mark in tokens[0].value)

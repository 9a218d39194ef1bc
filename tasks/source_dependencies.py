"""Keeps stage ingest's dependencies in `dvc.yaml` in step with the local texts that `ingest.sources` names.

DVC notices a changed text only where the text is a dependency. Entries that come from `params.yaml` carry the
comment `from ingest.sources`; all other entries are left alone.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from model.corpus.config import local_paths
from model.files import write_text
from tasks.params import Params

MARK = "from ingest.sources"


def sync_source_dependencies(root: Path, params: Params) -> list[str]:
    """Add and remove the marked dependencies of stage ingest; return what was done, in words for people.

    A path that does not exist is left to the stage itself, which says so in one line of its own.
    """
    path = root / "dvc.yaml"
    text = path.read_text(encoding="utf-8")
    document = round_trip_yaml().load(text)
    stage = document["stages"].get("ingest")
    if stage is None:
        return []
    entries = stage.get("deps")
    if not isinstance(entries, CommentedSeq):
        entries = CommentedSeq()
    wanted = list(dict.fromkeys(_written(p) for p in local_paths(params.ingest) if (root / p).exists()))
    marked = [str(entries[i]) for i in range(len(entries)) if _is_marked(entries, i)]
    own = [str(entries[i]) for i in range(len(entries)) if not _is_marked(entries, i)]
    wanted = [p for p in wanted if p not in own]
    if marked == wanted:
        return []
    for index in reversed(range(len(entries))):
        if _is_marked(entries, index):
            del entries[index]
    for entry in wanted:
        entries.append(entry)
        entries.yaml_add_eol_comment(MARK, len(entries) - 1)
    if entries:
        stage["deps"] = entries
    else:
        stage.pop("deps", None)
    buffer = io.StringIO()
    round_trip_yaml().dump(document, buffer)
    write_text(path, buffer.getvalue())
    return [
        *(f"dvc.yaml: ingest now depends on {p} (ingest.sources)" for p in wanted if p not in marked),
        *(f"dvc.yaml: ingest no longer depends on {p}" for p in marked if p not in wanted),
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


def _is_marked(entries: CommentedSeq, index: int) -> bool:
    tokens = entries.ca.items.get(index)
    return bool(tokens and tokens[0] is not None and MARK in tokens[0].value)

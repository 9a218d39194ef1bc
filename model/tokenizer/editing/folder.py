"""An edited tokenizer, alone or in its model's folder, as a new finished folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model.errors import CheckpointError, ConfigError, StorageError, TokenizerError
from model.files import MANIFEST, finished_folder, read_json, verify_manifest, write_bytes, write_json, write_text
from model.tokenizer.editing.edit import VocabularyEdit
from model.tokenizer.editing.embeddings import EMBEDDING, HEAD, edited_rows
from model.tokenizer.tokenizer import TOKENIZER_CONFIG_FILE, TOKENIZER_FILE

EDIT_FILE = "vocabulary_edit.json"
CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
KEPT_FILES = ("chat_template.jinja",)


def write_edited(source: Path, edit: VocabularyEdit, out: Path, also: Callable[[Path], None] = lambda _: None) -> None:
    """Write `source`, a tokenizer's or a model's folder, with the vocabulary of `edit` to `out`.

    The new folder holds the tokenizer's files, for a model also its configuration and weights with embedding and head
    cut or grown to match, the record of the edit (`vocabulary_edit.json`: new id of every old id), and a manifest.
    A model card is not copied: it speaks of the old model. `also` may write further files into the folder.

    Raises:
        TokenizerError: `source` holds another tokenizer than the one that was edited.
        IntegrityError: `source` has a manifest and its bytes are not those promised.
        ConfigError, CheckpointError: The model does not fit its tokenizer, or has a layout that is not known.
        StorageError: `out` is `source` or holds something else, or the disk is full.
    """
    _check_places(source, out)
    if (source / MANIFEST).is_file():
        verify_manifest(source, remedy="restore it before its vocabulary is edited")
    if (source / TOKENIZER_FILE).read_bytes() != edit.old.content.encode("utf-8"):
        raise TokenizerError(f"{source / TOKENIZER_FILE}: not the tokenizer that was edited; edit the one there")
    with finished_folder(out) as folder:
        write_text(folder / TOKENIZER_FILE, edit.new.content)
        if (source / TOKENIZER_CONFIG_FILE).is_file():
            write_json(folder / TOKENIZER_CONFIG_FILE, _settings(read_json(source / TOKENIZER_CONFIG_FILE), edit))
        else:
            edit.new.save(folder)
        for name in KEPT_FILES:
            if (source / name).is_file():
                shutil.copyfile(source / name, folder / name)
        if (source / CONFIG_FILE).is_file():
            _write_model(source, edit, folder)
        write_json(folder / EDIT_FILE, edit.record())
        also(folder)


def _check_places(source: Path, out: Path) -> None:
    if not (source / TOKENIZER_FILE).is_file():
        raise TokenizerError(f"{source}: has no {TOKENIZER_FILE}; name a tokenizer's or a model's folder")
    if source.resolve() in {out.resolve(), *out.resolve().parents}:
        raise StorageError(f"{out}: is or lies in the folder that is edited; choose another one to write to")
    if out.exists() and not (out.is_dir() and ((out / EDIT_FILE).is_file() or not any(out.iterdir()))):
        raise StorageError(f"{out}: exists and is no edited tokenizer; choose a new folder")


def _settings(settings: dict[str, Any], edit: VocabularyEdit) -> dict[str, Any]:
    """`tokenizer_config.json` with the new control tokens named."""
    new = [name for name, i in added_tokens(edit.new).items() if i >= len(edit.kept)]
    if not new:
        return settings
    return settings | {"additional_special_tokens": [*settings.get("additional_special_tokens", []), *new]}


def added_tokens(tokenizer: Any) -> dict[str, int]:
    """Ids of the added tokens of a `tokenizer.json` by their names."""
    import json

    return {entry["content"]: entry["id"] for entry in json.loads(tokenizer.content)["added_tokens"]}


def _write_model(source: Path, edit: VocabularyEdit, folder: Path) -> None:
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import save

    config = read_json(source / CONFIG_FILE)
    if config.get("model_type") != "llama":
        raise ConfigError(
            f"{source / CONFIG_FILE}: model_type {config.get('model_type')!r}, expected 'llama'; "
            "edit the model of the pretrain stage, then quantize again"
        )
    if config.get("vocab_size") != edit.old.vocab_size:
        raise ConfigError(
            f"{source / CONFIG_FILE}: vocab_size {config.get('vocab_size')}, expected {edit.old.vocab_size} "
            "as its tokenizer has; the two do not belong together"
        )
    path = source / WEIGHTS_FILE
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file") from error
    except SafetensorError as error:
        raise CheckpointError(f"{path}: damaged ({error}); restore it") from error
    names = [EMBEDDING] if config.get("tie_word_embeddings") and HEAD not in tensors else [EMBEDDING, HEAD]
    for name in names:
        if name not in tensors or tensors[name].shape[0] != edit.old.vocab_size:
            found = tuple(tensors[name].shape) if name in tensors else "missing"
            raise CheckpointError(f"{path}: {name} is {found}, expected {edit.old.vocab_size} rows")
        tensors[name] = edited_rows(tensors[name], edit)
    write_json(folder / CONFIG_FILE, config | _special_ids(config, edit) | {"vocab_size": edit.new.vocab_size})
    _write_generation(source, edit, folder)
    write_bytes(folder / WEIGHTS_FILE, save(tensors, metadata=metadata))


def _write_generation(source: Path, edit: VocabularyEdit, folder: Path) -> None:
    name = "generation_config.json"
    if (source / name).is_file():
        settings = read_json(source / name)
        write_json(folder / name, settings | _special_ids(settings, edit))


def _special_ids(settings: dict[str, Any], edit: VocabularyEdit) -> dict[str, Any]:
    """The ids of control tokens in a configuration, renumbered."""
    new_ids = edit.new_ids()
    renumbered: dict[str, Any] = {}
    for key in ("bos_token_id", "eos_token_id", "pad_token_id"):
        value = settings.get(key)
        if isinstance(value, int):
            renumbered[key] = new_ids[value]
        elif isinstance(value, list):
            renumbered[key] = [new_ids[i] for i in value]
    return renumbered

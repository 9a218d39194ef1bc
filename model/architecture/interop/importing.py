"""Models of others as folders of ours: checked on the way in, so that whatever opens them later finds them whole."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from model.architecture.config import ModelConfig
from model.architecture.interop.families import from_hugging_face
from model.architecture.interop.folder import load_model, save_model, special_ids
from model.architecture.interop.gguf import gguf_config, load_gguf
from model.architecture.interop.gguf_file import read_gguf
from model.architecture.interop.gguf_tokenizer import write_tokenizer
from model.errors import CheckpointError, ConfigError
from model.files import finished_folder, read_json_mapping

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "vocab.json",
    "merges.txt", "tokenizer.model", "added_tokens.json",
)  # fmt: skip


def read_config(source: Path) -> ModelConfig:
    """The configuration of a model folder, a `config.json` or a GGUF file; no weights are read.

    Raises:
        ConfigError: It is of no family that we compute.
        CheckpointError: There is no such model, or a damaged GGUF file.
        IntegrityError: `config.json` is damaged.
    """
    if _is_gguf(source):
        return gguf_config(read_gguf(source))
    path = source / "config.json" if source.is_dir() else source
    return from_hugging_face(read_json_mapping(path), str(path))


def import_model(source: Path, out: Path) -> ModelConfig:
    """Write a model of others into a new folder, with its tokenizer.

    Args:
        source: A Hugging Face folder with safetensors, or a GGUF file.
        out: A folder that does not exist yet.

    Raises:
        ConfigError: `out` exists, or the model is of no family that we compute.
        CheckpointError: The weights are missing, damaged, or do not fit.
        TokenizerError: A GGUF file's tokenizer is of a kind that we cannot write.
    """
    if out.exists():
        raise ConfigError(f"{out}: exists already; give a new folder")
    with finished_folder(out) as folder:
        if _is_gguf(source):
            model, special = load_gguf(source)
            save_model(model, folder, special)
            write_tokenizer(read_gguf(source), folder)
            return model.config
        if not source.is_dir():
            raise CheckpointError(f"{source}: has no weights; give the folder that it is in")
        model = load_model(source)
        published, where = read_json_mapping(source / "config.json"), str(source / "config.json")
        save_model(model, folder, special_ids(published, model.config.vocab_size or 0, where))
        for name in TOKENIZER_FILES:
            if (source / name).is_file():
                shutil.copyfile(source / name, folder / name)
        return model.config


def _is_gguf(source: Path) -> bool:
    """Whether it is a GGUF file, or else a folder or a `config.json`.

    Raises:
        CheckpointError: It is none of them.
    """
    wanted = "give a Hugging Face folder, its config.json, or a .gguf file"
    if not os.path.exists(source):  # unlike Path.exists it says no to names that no file can have
        raise CheckpointError(f"{source}: no such file or folder; {wanted}")
    if source.is_dir() and not (source / "config.json").is_file():
        raise CheckpointError(f"{source}: is a folder without config.json; {wanted}")
    if source.is_dir() or source.suffix in {".gguf", ".json"}:
        return source.suffix == ".gguf" and not source.is_dir()
    raise CheckpointError(f"{source}: is no model that can be opened; {wanted}")

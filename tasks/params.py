"""`params.yaml`: what a run is. Strict, with ranges and units; one clear line for every mistake."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, Field, Tag, ValidationError, model_validator

from model.architecture.config import ModelConfig  # noqa: F401  (part of the schema)
from model.compression.config import QuantizeConfig
from model.configuration import MisplacedBoolean, StrictConfig, fields_by_key
from model.corpus.config import CleanConfig
from model.corpus.datasheet.config import DatasheetConfig
from model.corpus.sources import IngestConfig
from model.dataset.config import TokenizeConfig
from model.errors import ConfigError
from model.evaluation.config import EvaluateConfig
from model.files import canonical_json, sha256_text
from model.tokenizer.config import TokenizerConfig
from model.training.config import PretrainConfig
from tasks.publish_config import PublishConfig
from tasks.yaml_read import Names, Place, read_yaml


class Params(StrictConfig):
    """One section for every stage of `dvc.yaml`, by the stage's name."""

    ingest: IngestConfig = Field(default_factory=IngestConfig)
    clean: CleanConfig = Field(default_factory=CleanConfig)
    tokenizer: TokenizerConfig = Field(default_factory=TokenizerConfig)
    tokenize: TokenizeConfig = Field(default_factory=TokenizeConfig)
    datasheet: DatasheetConfig = Field(default_factory=DatasheetConfig)
    pretrain: PretrainConfig = Field(default_factory=PretrainConfig)
    evaluate: EvaluateConfig = Field(default_factory=EvaluateConfig)
    quantize: QuantizeConfig = Field(default_factory=QuantizeConfig)
    publish: PublishConfig = Field(default_factory=PublishConfig)

    @model_validator(mode="after")
    def _vocabulary_fits(self) -> Params:
        cutoffs, most = self.pretrain.model.embedding.cutoffs, self.tokenizer.vocab_size
        if cutoffs and self.tokenizer.from_model is None and cutoffs[-1] >= most:
            raise ValueError(
                f"pretrain.model.embedding.cutoffs: {cutoffs[-1]} is not below tokenizer.vocab_size {most}; lower it"
            )
        return self

    @property
    def digest(self) -> str:
        """The sha256 of all values, whatever the file's comments and order."""
        return sha256_text(canonical_json(self.model_dump(mode="json")))

    def flat(self) -> dict[str, Any]:
        """Every value by its dotted name: `{"pretrain.learning_rate": 0.003, ...}`; lists stay whole."""
        return flatten(self.model_dump(mode="json"))


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one mapping of dotted names; an empty one is a value."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def read_params(path: Path) -> Params:
    """Read and validate a params file.

    Raises:
        ConfigError: The file is missing, is not YAML, or a value is wrong; the message names the key, the value,
            the range and unit, and for an unknown key the nearest valid one.
    """
    values, places = read_params_text(path)
    return parse_params(values, str(path), places)


def read_params_text(path: Path) -> tuple[dict[str, Any], dict[Names, Place]]:
    """The raw mapping in a params file, and where its values stand.

    Raises:
        ConfigError: The file is missing, is not YAML, has a key twice, or holds no sections.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; run inside a TissLM workspace") from error
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}: line {line}: not UTF-8 text; save the file as UTF-8") from error
    return sections_in(text, str(path))


def sections_in(text: str, where: str) -> tuple[dict[str, Any], dict[Names, Place]]:
    """The sections of a params text, and where its values stand; see `read_params_text`."""
    values, places = read_yaml(text, where)
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: expected sections like `pretrain:`, got {type(values).__name__}")
    return values, places


def parse_params(
    values: Mapping[str, Any], where: str = "params.yaml", places: Mapping[Names, Place] | None = None
) -> Params:
    """Validate a mapping of sections; see `read_params` for the errors. `places` gives messages their lines."""
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{where}: " + "; ".join(explain(e, places or {}) for e in error.errors()[:3])) from error


def explain(error: Any, places: Mapping[Names, Place] = MappingProxyType({})) -> str:
    """One line for one pydantic error: line, key, value, what is expected, the unit, and the nearest key."""
    if not error["loc"]:  # of sections that do not go together
        return str(error["msg"]).removeprefix("Value error, ")
    model, field, location = _find_field([str(part) for part in error["loc"]])
    place = places.get(tuple(location))
    line = f"line {place.line}: " if place is not None else ""
    return line + _explained(error, model, field, location, place)


def _explained(error: Any, model: Any, field: Any, location: list[str], place: Place | None) -> str:
    name = ".".join(location)
    if isinstance(given := error["input"], MisplacedBoolean):
        written = place.written if place is not None and place.written else repr(given)
        read = "" if written == repr(given) else f"YAML reads this as {given!r}, "
        advice = (
            "give one, or quote it if the word is meant" if given.expected == "a number" else f"quote it: '{written}'"
        )
        return f"{name} = {written}: {read}expected {given.expected}; {advice}"
    if error["type"] == "extra_forbidden":
        known = list(fields_by_key(model)) if model else []
        close = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.4)
        parent = ".".join([*location[:-1], ""])
        advice = f"did you mean {parent}{close[0]}?" if close else f"valid keys here: {', '.join(known)}"
        return f"{name}: unknown key; {advice}"
    if error["type"] == "union_tag_invalid":
        known = [tag.strip().strip("'") for tag in str(error["ctx"]["expected_tags"]).split(",")]
        key, tag = str(error["ctx"]["discriminator"]).strip("'"), str(error["ctx"]["tag"])
        close = difflib.get_close_matches(tag, known, n=1, cutoff=0.4)
        advice = f"did you mean {close[0]}? " if close else ""
        return f"{name}.{key} = {tag!r}: no such {key}; {advice}valid are {', '.join(known)}"
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    message = message[0].lower() + message[1:]
    if error["type"] == "literal_error":
        close = difflib.get_close_matches(str(error["input"]), re.findall("'([^']+)'", message), n=1, cutoff=0.4)
        message += f"; did you mean {close[0]}?" if close else ""
    extra = field.json_schema_extra if field is not None and isinstance(field.json_schema_extra, dict) else {}
    in_unit = f" ({extra['unit']})" if "unit" in extra else ""
    bounds = f", allowed range {_range(field)}" if field is not None and _range(field) else ""
    if isinstance(error["input"], dict) and error["type"] in {"missing", "value_error"}:
        return f"{name}: {message}{bounds}{in_unit}"  # a whole section as it was given tells less than the message
    given = repr(error["input"])
    given = given if len(given) <= 80 else given[:77] + "..."
    return f"{name} = {given}: {message}{bounds}{in_unit}"


def _range(field: Any) -> str:
    bounds = {type(m).__name__: m for m in field.metadata}
    low = f">= {bounds['Ge'].ge}" if "Ge" in bounds else f"> {bounds['Gt'].gt}" if "Gt" in bounds else ""
    high = f"<= {bounds['Le'].le}" if "Le" in bounds else f"< {bounds['Lt'].lt}" if "Lt" in bounds else ""
    return " and ".join(b for b in (low, high) if b)


def _find_field(location: list[str]) -> tuple[type[BaseModel] | None, Any, list[str]]:
    """The model class that holds the last part of a location, its field if it has one, and the keys as written.

    Inside a union of configs pydantic puts the kind into the location (`sources.0.path.glob`); nobody wrote it.
    """
    model: type[BaseModel] | None = Params
    kinds: dict[str, type[BaseModel]] = {}
    written: list[str] = []
    for part in location[:-1]:
        if model is not None and part in fields_by_key(model):
            kinds = models_in(fields_by_key(model)[part].annotation)
            model = kinds.get("")
            written.append(part)
        elif part in kinds:
            model = kinds[part]
        else:
            written.append(part)
    return model, fields_by_key(model).get(location[-1]) if model else None, [*written, location[-1]]


def models_in(annotation: Any, kind: str = "") -> dict[str, type[BaseModel]]:
    """The config classes in an annotation, those of a tagged union by their tags."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {kind: annotation}
    if get_origin(annotation) is Annotated:
        annotation, *marks = get_args(annotation)
        return models_in(annotation, next((mark.tag for mark in marks if isinstance(mark, Tag)), kind))
    found: dict[str, type[BaseModel]] = {}
    for inner in get_args(annotation):
        found |= models_in(inner, kind or _tag_of(inner))
    return found


def _tag_of(annotation: Any) -> str:
    """The value by which a union knows a config class, from its field of one literal; empty if it has none."""
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return ""
    literals = (get_args(field.annotation) for field in annotation.model_fields.values() if _is_literal(field))
    return next((str(values[0]) for values in literals if len(values) == 1), "")


def _is_literal(field: Any) -> bool:
    return get_origin(field.annotation) is Literal

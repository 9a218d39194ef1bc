"""What every configuration class has in common: strict, frozen, with units.

A field states its range by pydantic constraints and its unit by `unit(...)`, so that an error message, the JSON
schema and the documentation all say the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.fields import FieldInfo


@dataclass(frozen=True)
class MisplacedBoolean:
    """Stands for a boolean where none may stand: no field takes it, so pydantic refuses it and says where it was.

    Attributes:
        value: What was given.
        expected: What belongs there.
    """

    value: bool
    expected: str

    def __repr__(self) -> str:
        """As it was given."""
        return str(self.value).lower()


class StrictConfig(BaseModel):
    """A frozen configuration: unknown keys are refused, equal settings compare and hash equal.

    A key that is a word of Python (`from`) is an alias: files and dumps say the alias, code the field's name.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, validate_by_name=True, validate_by_alias=True,
        serialize_by_alias=True, allow_inf_nan=False,
    )  # fmt: skip

    @model_validator(mode="before")
    @classmethod
    def _no_boolean_as_number_or_text(cls, values: Any) -> Any:
        """Refuse what pydantic would read as 1 or 0, and what YAML makes of `no` and `on`."""
        if not isinstance(values, dict):
            return values
        fields = cls.model_fields | fields_by_key(cls)
        return {
            key: _marked(value, fields[key].annotation) if key in fields and _holds_boolean(value) else value
            for key, value in values.items()
        }

    def __hash__(self) -> int:
        """A hash of all values; fields may hold mappings, which have none of their own."""
        return hash(self.model_dump_json())


def fields_by_key(config: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a config class by the keys that files say."""
    return {field.alias or name: field for name, field in config.model_fields.items()}


def unit(name: str) -> dict[str, Any]:
    """JSON-schema extra that carries a field's unit, e.g. `Field(ge=1, json_schema_extra=unit("tokens"))`."""
    return {"unit": name}


def _marked(value: Any, annotation: Any) -> Any:
    """A value with its booleans marked, where its field has no place for any; configs inside see for themselves."""
    parts = _parts(annotation)
    if parts & {bool, Any} or any(isinstance(part, type) and issubclass(part, BaseModel) for part in parts):
        return value
    return _replaced(value, "a number" if parts & {int, float} else "text")


def _parts(annotation: Any) -> set[Any]:
    """The types that an annotation is made of; of literals the types of their values."""
    if get_origin(annotation) is Literal:
        return {type(value) for value in get_args(annotation)}
    if get_origin(annotation) is Annotated:
        return _parts(get_args(annotation)[0])
    arguments = get_args(annotation)
    return {part for inner in arguments for part in _parts(inner)} if arguments else {annotation}


def _replaced(value: Any, expected: str) -> Any:
    if isinstance(value, bool):
        return MisplacedBoolean(value, expected)
    if isinstance(value, dict):
        return {_replaced(key, "text"): _replaced(inner, expected) for key, inner in value.items()}
    return [_replaced(inner, expected) for inner in value] if isinstance(value, list | tuple) else value


def _holds_boolean(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_boolean, (*value, *value.values())))
    return isinstance(value, bool) or (isinstance(value, list | tuple) and any(map(_holds_boolean, value)))

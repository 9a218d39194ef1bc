"""What every configuration class has in common: strict, frozen, with units.

A field states its range by pydantic constraints and its unit by `unit(...)`, so that an error message, the JSON
schema and the documentation all say the same.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo


class StrictConfig(BaseModel):
    """A frozen configuration: unknown keys are refused, equal settings compare and hash equal.

    A key that is a word of Python (`from`) is an alias: files and dumps say the alias, code the field's name.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, validate_by_name=True, validate_by_alias=True,
        serialize_by_alias=True, allow_inf_nan=False,
    )  # fmt: skip

    def __hash__(self) -> int:
        """A hash of all values; fields may hold mappings, which have none of their own."""
        return hash(self.model_dump_json())


def fields_by_key(config: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a config class by the keys that files say."""
    return {field.alias or name: field for name, field in config.model_fields.items()}


def unit(name: str) -> dict[str, Any]:
    """JSON-schema extra that carries a field's unit, e.g. `Field(ge=1, json_schema_extra=unit("tokens"))`."""
    return {"unit": name}

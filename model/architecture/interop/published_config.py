"""Reading a published `config.json`: required keys, values that must be plain, rotary scaling; and writing the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from model.architecture.config import MOST_LAYERS, ModelConfig
from model.errors import ConfigError

Published = Mapping[str, Any]


def require_plain(published: Published, plain: Mapping[str, Any], where: str) -> None:
    """Refuse what no part of ours computes.

    Args:
        published: The keys of `config.json`.
        plain: Keys with the value that is supported, which is also what a missing key means.
        where: Names the file.

    Raises:
        ConfigError: A key has another value.
    """
    for key, value in plain.items():
        if published.get(key, value) != value:
            raise ConfigError(f"{where}: {key} = {published[key]!r} is not supported, expected {value!r}")


def build(values: Mapping[str, Any], where: str) -> ModelConfig:
    """A configuration from translated values.

    Raises:
        ConfigError: They do not fit each other.
    """
    try:
        return ModelConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        which = f"{name} = {first['input']!r}: " if name else ""
        raise ConfigError(f"{where}: {which}{first['msg'].removeprefix('Value error, ')}") from error


def number(published: Published, key: str, where: str) -> Any:
    """A key that must be there and be a number.

    Raises:
        ConfigError: It is missing or of another type.
    """
    if key not in published:
        raise ConfigError(f"{where}: has no {key}")
    if isinstance(published[key], bool) or not isinstance(published[key], int | float):
        raise ConfigError(f"{where}: {key} = {published[key]!r}, expected a number")
    return published[key]


def layer_count(published: Published, key: str, where: str) -> int:
    """How many layers; checked here already, because some files are read layer by layer.

    Raises:
        ConfigError: It is missing, no whole number, or more than can be meant.
    """
    n = number(published, key, where)
    if not 1 <= n <= MOST_LAYERS or n != int(n):  # NaN is not between them
        raise ConfigError(f"{where}: {key} = {n!r}, expected a whole number from 1 to {MOST_LAYERS}")
    return int(n)


def head_dim(published: Published, d_model: int, n_heads: int) -> int | None:
    """The head size where it is another than d_model / n_heads."""
    size: int | None = published.get("head_dim")
    return None if size is None or (n_heads and size * n_heads == d_model) else size


def rotary(published: Published, where: str) -> tuple[float, dict[str, Any]]:
    """Base of the rotary frequencies, and our `position.scaling`.

    Raises:
        ConfigError: A kind of scaling that has no equivalent here.
    """
    # transformers takes the older key where both are there, and the outer context before the one inside
    rope = published.get("rope_scaling") or published.get("rope_parameters") or {}
    if not isinstance(rope, Mapping):
        raise ConfigError(f"{where}: rope_parameters is a {type(rope).__name__}, expected a mapping")
    if any(isinstance(value, Mapping) for value in rope.values()):
        raise ConfigError(
            f"{where}: rope_parameters differ by layer type, which is not supported; expected one mapping"
        )
    theta = float(rope.get("rope_theta", published.get("rope_theta", 10000.0)))
    kind = rope.get("rope_type", rope.get("type", "default"))
    if rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise ConfigError(
            f"{where}: partial_rotary_factor {rope['partial_rotary_factor']} is not supported, expected 1"
        )
    context = published.get(
        "original_max_position_embeddings",
        rope.get("original_max_position_embeddings", published.get("max_position_embeddings")),
    )
    if kind == "default":
        return theta, {"kind": "none"}
    factor = number(rope, "factor", f"{where}: rope_parameters")
    if kind == "linear":
        return theta, {"kind": "linear", "factor": factor}
    if kind == "llama3":
        names = {name: rope[name] for name in ("low_freq_factor", "high_freq_factor") if name in rope}
        return theta, {"kind": "llama3", "factor": factor, "original_context": context, **names}
    plain = {"attention_factor": None, "mscale": None, "mscale_all_dim": None, "truncate": True}
    if kind == "yarn":
        require_plain(rope, plain, f"{where}: rope_parameters")
        names = {name: rope[name] for name in ("beta_fast", "beta_slow") if rope.get(name) is not None}
        return theta, {"kind": "yarn", "factor": factor, "original_context": context, **names}
    raise ConfigError(
        f"{where}: rope_type {kind!r} is not supported, expected one of 'default', 'linear', 'llama3', 'yarn'"
    )


def published_rotary(config: ModelConfig) -> dict[str, Any]:
    """`rope_parameters` of a configuration; for NTK scaling, which has no published name, as if it were not there."""
    scaling = config.position.scaling
    if scaling.kind in {"none", "ntk"}:
        return {"rope_type": "default", "rope_theta": config.rope_theta}
    values = {"original_max_position_embeddings" if k == "original_context" else k: v for k, v in scaling}
    del values["kind"]
    return {"rope_type": scaling.kind, "rope_theta": config.rope_theta, **values}


def spans(layer_types: Sequence[str] | None, window: int | None, context_length: int, where: str) -> dict[str, Any]:
    """Our `attention.pattern` and `attention.window` from the types of layers, a list that may repeat.

    A window that holds the whole context is no window.

    Raises:
        ConfigError: An unknown type, or sliding attention without a window.
    """
    letters = {"full_attention": "L", "sliding_attention": "S"}
    for kind in layer_types or ():
        if not isinstance(kind, str) or kind not in letters:
            raise ConfigError(f"{where}: layer type {kind!r} is not supported, expected one of {', '.join(letters)}")
    pattern = shortest("".join(letters[kind] for kind in layer_types or ()) or "L")
    if "S" in pattern and window is None:
        raise ConfigError(f"{where}: layer_types names sliding_attention, but sliding_window is empty; give it")
    if "S" not in pattern or window is None or window >= context_length:
        return {"pattern": "L", "window": None}
    return {"pattern": pattern, "window": window}


def written_layer_types(published: Published, n_layers: int, where: str) -> list[str] | None:
    """The list of all layers' types that newer files have.

    Raises:
        ConfigError: It is no list with one type for each layer.
    """
    kinds = published.get("layer_types")
    if kinds is None:
        return None
    if not isinstance(kinds, list) or len(kinds) != n_layers:
        told = f"{len(kinds)} entries" if isinstance(kinds, list) else f"a {type(kinds).__name__}"
        raise ConfigError(f"{where}: layer_types is {told}, expected a list of one type for each of {n_layers} layers")
    return kinds


def layer_types(config: ModelConfig) -> list[str]:
    """The published names of each layer's span; what has none is called full."""
    return ["sliding_attention" if config.span(i) == "sliding" else "full_attention" for i in range(config.n_layers)]


def shortest(pattern: str) -> str:
    """The shortest pattern that repeats to this one."""
    return next(pattern[:n] for n in range(1, len(pattern) + 1) if pattern[:n] * (len(pattern) // n) == pattern)

"""`tisslm model`: a network before it is built, and models of others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.tables import print_json, print_rows

if TYPE_CHECKING:
    from model.architecture.config import ModelConfig

model = typer.Typer(
    help="Describe a network before it is built; import models of others.", no_args_is_help=True, rich_markup_mode=None
)
AsJson = Annotated[bool, typer.Option("--json", help="print as JSON")]

DESCRIBE_EXAMPLES = """\b
Examples:
  tisslm model describe                          what params.yaml says
  tisslm model describe Llama-3.2-1B --memory-gb 16
  tisslm model describe model.gguf --json
"""
IMPORT_EXAMPLES = """\b
Examples:
  tisslm model import SmolLM2-135M-Instruct.Q4_1.gguf data/imported
  tisslm model import ./gpt2 data/imported
"""


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.add_typer(model, name="model")


@model.command(epilog=DESCRIBE_EXAMPLES)
def describe(
    source: Annotated[
        str,
        typer.Argument(help="a model folder, a config.json or a GGUF file; left out: pretrain.model of params.yaml"),
    ] = "",
    memory_gb: Annotated[float | None, typer.Option(help="memory that is there; default: this machine's")] = None,
    batch_sequences: Annotated[int, typer.Option(min=1, help="sequences of a training step")] = 8,
    as_json: AsJson = False,
) -> None:
    """Show what a network is made of, its sizes, and whether it fits; nothing is built."""
    from dataclasses import asdict

    from model.architecture.description import describe as describe_config
    from model.architecture.description import diagram, layer_rows

    config, optimizer = _config(source)
    memory = memory_gb * 1e9 if memory_gb is not None else _memory_bytes()
    figures, needs = describe_config(config, batch_sequences=batch_sequences, optimizer=optimizer, memory_bytes=memory)
    if as_json:
        print_json(
            {
                "figures": figures,
                "memory_bytes": memory,
                "needs": [asdict(n) for n in needs],
                "layers": layer_rows(config),
            }
        )
        return
    print(diagram(config))
    print_rows([{k: f"{v:,}" if isinstance(v, int) else v for k, v in row.items()} for row in layer_rows(config)])
    print_rows([{"figure": name.replace("_", " "), "value": f"{value:,}"} for name, value in figures.items()])
    rows = [{"use": n.use, "GB": round(n.n_bytes / 1e9, 3), "fits": "yes" if n.fits else "no"} for n in needs]
    print_rows(rows, f"does it fit {memory / 1e9:.1f} GB?")


@model.command(name="import", epilog=IMPORT_EXAMPLES)
def import_(
    source: Annotated[Path, typer.Argument(help="a Hugging Face folder or a GGUF file")],
    out: Annotated[Path, typer.Argument(help="a new folder for the model")],
) -> None:
    """Check a model of others and write it as a folder that every command opens."""
    from model.architecture.config.sizes import num_params
    from model.architecture.interop.families import published_name
    from model.architecture.interop.importing import import_model

    config = import_model(source, out)
    print(f"{out}: {num_params(config):,} parameters, {published_name(config) or 'our own layout'}")


def _config(source: str) -> tuple[ModelConfig, str]:
    """The shape, and the optimizer that training it would take."""
    from tasks.params import read_params
    from tasks.workspace import find_workspace

    if source:
        from model.architecture.interop.importing import read_config

        return read_config(Path(source)), "adamw"
    params = read_params(find_workspace() / "params.yaml")
    shape = params.pretrain.model.model_copy(update={"vocab_size": params.tokenizer.vocab_size})
    return shape, params.pretrain.optimizer


def _memory_bytes() -> float:
    import psutil

    return float(psutil.virtual_memory().total)

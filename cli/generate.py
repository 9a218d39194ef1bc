"""`tisslm generate`: text from a registered model or a model folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import completion
from cli.registered import registered_name
from cli.tables import print_json

if TYPE_CHECKING:
    from model.architecture.decoder import Decoder
    from model.tokenizer.tokenizer import Tokenizer

GENERATE_EXAMPLES = """\b
Examples:
  tisslm generate "The state of the Union is"
  tisslm generate "Our relations with" "My fellow citizens" --temperature 0.5 --seed 7
  tisslm generate --model data/pretrained --max-new-tokens 50 --json "Peace"
  echo "It is with pride" | tisslm generate -
"""


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command(epilog=GENERATE_EXAMPLES)(generate)


def generate(
    prompts: Annotated[list[str] | None, typer.Argument(help="texts to go on with; - reads one from stdin")] = None,
    model: Annotated[
        str,
        typer.Option(
            help="an alias (champion, candidate, previous), a version number, or a model folder",
            autocompletion=completion.versions,
        ),
    ] = "champion",
    max_new_tokens: Annotated[int | None, typer.Option(help="end after this many tokens (default 200)")] = None,
    temperature: Annotated[float | None, typer.Option(help="0 always takes the likeliest token (default 0.8)")] = None,
    top_k: Annotated[int | None, typer.Option(help="keep the k likeliest tokens; 0 is off (default 0)")] = None,
    top_p: Annotated[float | None, typer.Option(help="keep the likeliest up to p; 1 is off (default 0.95)")] = None,
    top_a: Annotated[float | None, typer.Option(help="drop below a times the square of the best; 0 is off")] = None,
    min_p: Annotated[float | None, typer.Option(help="drop below this share of the best; 0 is off")] = None,
    typical_p: Annotated[float | None, typer.Option(help="keep the most typical that reach p; 1 is off")] = None,
    exit_confidence: Annotated[
        float | None, typer.Option(help="models with early exits: leave when so sure; 1 is off (default 1)")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="the same seed draws the same text (default 0)")] = None,
    stop: Annotated[list[str] | None, typer.Option(help="cut before this text; may be given several times")] = None,
    n_logprobs: Annotated[int | None, typer.Option(help="likeliest tokens to report per step, with --json")] = None,
    stream: Annotated[
        bool | None, typer.Option("--stream/--no-stream", help="show text as it grows (default: on a terminal)")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print texts, tokens and log probabilities as JSON")] = False,
) -> None:
    """Let a model go on with your texts."""
    from model.generation.config import GenerationConfig

    asked: dict[str, Any] = {
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "top_a": top_a,
        "min_p": min_p,
        "typical_p": typical_p,
        "exit_confidence": exit_confidence,
        "seed": seed,
        "stop": tuple(stop or ()) or None,
        "n_logprobs": n_logprobs,
    }
    config = GenerationConfig.checked({key: value for key, value in asked.items() if value is not None})
    texts = [sys.stdin.read() if text == "-" else text for text in prompts or [""]]
    decoder, tokenizer = open_model(model)
    if as_json:
        from dataclasses import asdict

        from model.generation.generate import generate as generate_texts

        found = generate_texts(decoder, tokenizer, texts, config)
        print_json([{"prompt": text} | asdict(generation) for text, generation in zip(texts, found, strict=True)])
        return
    live = sys.stdout.isatty() if stream is None else stream
    _print_texts(decoder, tokenizer, texts, config, live)


def _print_texts(decoder: Decoder, tokenizer: Tokenizer, texts: list[str], config: Any, live: bool) -> None:
    from model.generation.generate import generate as generate_texts
    from model.generation.generate import stream as stream_text

    for index, text in enumerate(texts):
        if index:
            print("\n---")
        if live:
            print(text, end="", flush=True)
            for piece in stream_text(decoder, tokenizer, text, config):
                print(piece, end="", flush=True)
            print()
        else:
            (generation,) = generate_texts(decoder, tokenizer, [text], config)
            print(text + generation.text)


def open_model(reference: str) -> tuple[Decoder, Tokenizer]:
    """Open a model folder or a registered version, its bytes checked first.

    Raises:
        RegistryError: The registry has no such version, or none at all.
        IntegrityError: The folder's bytes are not those that its manifest promises.
    """
    from tasks.settings import read_settings
    from tasks.stage import limit_threads

    settings = read_settings()
    limit_threads(settings.threads)
    folder = model_folder(reference)
    from model.compression.storage import open_model as open_decoder
    from model.tokenizer.tokenizer import Tokenizer
    from tasks.settings import resolved_device

    return open_decoder(folder, device=resolved_device(settings)), Tokenizer.open(folder)


def model_folder(reference: str) -> Path:
    """The checked folder of a model; see `open_model`."""
    from model.files import MANIFEST, verify_manifest

    path = Path(reference)
    if path.is_dir():
        if (path / MANIFEST).is_file():
            verify_manifest(path)
        return path
    from tasks.registry import resolve

    root, name = registered_name()
    return resolve(root, name, reference).folder

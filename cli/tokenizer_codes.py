"""`tisslm tokenizer codes`: images, sound and music as tokens."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.tables import print_rows
from cli.user_texts import Folder

codes = typer.Typer(help="Images, sound and music as code tokens.", no_args_is_help=True, rich_markup_mode=None)
Files = Annotated[list[Path], typer.Argument(help="files to learn from, and to measure on")]
IMAGES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"}
CODE_FILES = [f"{name}_codes.{kind}" for name in ("image", "audio", "music") for kind in ("json", "safetensors")]
Out = Annotated[Path, typer.Option("--out", "-o", help="folder for the codes")]
NCodes = Annotated[int, typer.Option("--codes", help="codes of each stage")]
Stages = Annotated[int, typer.Option("--stages", help="codes for each patch or frame")]
Test = Annotated[list[Path] | None, typer.Option("--test", help="measure on these files instead")]
CodeFolder = Annotated[Path, typer.Argument(help="folder that `codes image`, `audio` or `music` wrote")]

IMAGE_EXAMPLES = """\b
Examples:
  tisslm tokenizer codes image photos/*.png --out image-codes --patch 4 --codes 1024
"""
ENCODE_EXAMPLES = """\b
Examples:
  tisslm tokenizer codes encode multimodal-model "A cat: " cat.png --out cat.json
  tisslm tokenizer codes decode multimodal-model cat.json --out parts
"""
RESERVE_EXAMPLES = """\b
Examples:
  tisslm tokenizer codes reserve image-codes music-codes --model data/pretrained --out multimodal-model
"""


def register(group: typer.Typer) -> None:
    """Add this module's commands."""
    group.add_typer(codes, name="codes")


@codes.command(epilog=IMAGE_EXAMPLES)
def image(
    files: Files,
    out: Out,
    patch: Annotated[int, typer.Option("--patch", help="side of a patch in pixels")] = 4,
    n_codes: NCodes = 512,
    stages: Stages = 1,
    test: Test = None,
) -> None:
    """Learn codes for the patches of images; PSNR of the round trip for each."""
    from cli.user_texts import valid_config
    from model.codes.config import ImageCodesConfig
    from model.codes.images import psnr, read_image, train_image_codes

    book = {"n_codes": n_codes, "n_stages": stages}
    config = valid_config(ImageCodesConfig, {"patch_size": patch, "codebook": book})
    made = train_image_codes([read_image(path) for path in files], config)
    out.mkdir(parents=True, exist_ok=True)
    made.save(out)
    rows = []
    for path in test or files:
        pixels = read_image(path)
        coded = made.encode(pixels)
        rebuilt = made.decode(coded)[: pixels.shape[0], : pixels.shape[1]]
        rows.append({"image": path.name, "tokens": coded.size, "PSNR (dB)": round(psnr(pixels, rebuilt), 2)})
    print(f"{out}: {made.codebook.size:,} codes for patches of {patch} x {patch}")
    print_rows(rows)


@codes.command()
def audio(
    files: Files,
    out: Out,
    n_codes: NCodes = 256,
    stages: Stages = 1,
    sample_rate: Annotated[int, typer.Option("--rate", help="samples per second")] = 16_000,
    features: Annotated[str, typer.Option("--features", help="log_mel or mfcc")] = "log_mel",
    test: Test = None,
) -> None:
    """Learn codes for the frames of WAV files; how far the spectrum of the round trip is off."""
    import numpy as np

    from cli.user_texts import valid_config
    from model.codes.audio import train_audio_codes
    from model.codes.config import AudioCodesConfig
    from model.codes.spectrum import log_mel
    from model.codes.wave_file import read_wave

    values = {"sample_rate": sample_rate, "features": features, "codebook": {"n_codes": n_codes, "n_stages": stages}}
    config = valid_config(AudioCodesConfig, values)
    made = train_audio_codes([read_wave(path, sample_rate) for path in files], config)
    out.mkdir(parents=True, exist_ok=True)
    made.save(out)
    rows = []
    for path in test or files:
        sound = read_wave(path, sample_rate)
        coded = made.encode(sound)
        bands = log_mel(sound, sample_rate, config.window, config.hop, config.n_mels)
        off = float(np.sqrt(((made.decode_log_mel(coded) - bands) ** 2).mean())) * 20 / np.log(10)
        rows.append({"sound": path.name, "tokens": coded.size, "spectrum off by (dB)": round(off, 2)})
    print(f"{out}: {made.codebook.size:,} codes")
    print_rows(rows)


@codes.command()
def music(files: Files, out: Out, n_codes: NCodes = 512) -> None:
    """Learn codes for the signs of tunes in ABC notation; nothing is lost."""
    from cli.user_texts import valid_config
    from model.codes.config import MusicCodesConfig
    from model.codes.music import train_music_codes

    config = valid_config(MusicCodesConfig, {"n_codes": n_codes})
    tunes = [_read_tune(path) for path in files]
    made = train_music_codes(tunes, config)
    out.mkdir(parents=True, exist_ok=True)
    made.save(out)
    rows = [
        {"tune": path.name, "bytes": len(tune.encode()), "tokens": len(made.encode(tune))}
        for path, tune in zip(files, tunes, strict=True)
    ]
    print(f"{out}: {made.size:,} codes")
    print_rows(rows)


@codes.command(name="round-trip")
def round_trip(
    folder: CodeFolder,
    file: Annotated[Path, typer.Argument(help="an image (.png, ...), sound (.wav) or tune (.abc)")],
    out: Annotated[Path, typer.Argument(help="what is left of it: .png, .wav or .abc")],
) -> None:
    """Turn a file into codes and back, to look at or listen to what they keep."""
    from model.codes.audio import AudioCodes
    from model.codes.images import ImageCodes, read_image, write_image
    from model.codes.music import MusicCodes
    from model.codes.wave_file import read_wave, write_wave
    from model.files import write_text

    if (folder / "image_codes.json").is_file():
        images = ImageCodes.open(folder)
        pixels = read_image(file)
        coded = images.encode(pixels)
        write_image(out, images.decode(coded)[: pixels.shape[0], : pixels.shape[1]])
    elif (folder / "audio_codes.json").is_file():
        sounds = AudioCodes.open(folder)
        coded = sounds.encode(read_wave(file, sounds.config.sample_rate))
        write_wave(out, sounds.decode(coded), sounds.config.sample_rate)
    else:
        tunes = MusicCodes.open(folder)
        coded = tunes.encode(_read_tune(file))
        write_text(out, tunes.decode(coded))
    print(f"{out}: from {coded.size:,} tokens")


@codes.command(epilog=RESERVE_EXAMPLES)
def reserve(
    folders: Annotated[list[Path], typer.Argument(help="folders of codes")],
    model: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="new folder; the old one stays as it is")],
) -> None:
    """Give codes ids of their own in a tokenizer, and rows in its model's embedding."""
    from model.codes.space import reserve_tokens
    from model.tokenizer.editing.folder import write_edited
    from model.tokenizer.tokenizer import Tokenizer

    sizes = {name: size for folder in folders for name, size in _sizes(folder).items()}
    space, edit = reserve_tokens(Tokenizer.open(model), sizes)

    def also(folder: Path) -> None:
        space.save(folder)
        for name in CODE_FILES:
            for codes_folder in folders:
                if (codes_folder / name).is_file():
                    shutil.copyfile(codes_folder / name, folder / name)

    write_edited(model, edit, out, also)
    rows = [
        {"codes": name, "first id": own.codes.start, "last id": own.codes.stop - 1, "start": own.start, "end": own.end}
        for name, own in space.ranges.items()
    ]
    print(f"{out}: {space.size:,} ids, text below {space.text_size:,}")
    print_rows(rows)


@codes.command(epilog=ENCODE_EXAMPLES)
def encode(
    folder: Annotated[Path, typer.Argument(help="folder that `codes reserve` wrote")],
    parts: Annotated[list[str], typer.Argument(help="texts, and files: .png .jpg .wav .abc ...")],
    out: Annotated[Path, typer.Option("--out", "-o", help="write the ids here, as JSON")],
) -> None:
    """Turn texts, images, sounds and tunes into one sequence of ids."""
    from model.codes.images import read_image
    from model.codes.mixed import MixedTokenizer, Tune
    from model.codes.wave_file import read_wave
    from model.files import write_text

    opened = MixedTokenizer.open(folder)
    found: list[Any] = []
    for part in parts:
        path = Path(part)
        if path.suffix.lower() == ".wav":
            found.append(read_wave(path, opened.sounds.config.sample_rate if opened.sounds else 16_000))
        elif path.suffix.lower() == ".abc":
            found.append(Tune(_read_tune(path)))
        elif path.suffix.lower() in IMAGES:
            found.append(read_image(path))
        else:
            found.append(part)
    ids = opened.encode(found)
    write_text(out, json.dumps(ids) + "\n")
    print(f"{out}: {len(ids):,} ids")


@codes.command()
def decode(
    folder: Annotated[Path, typer.Argument(help="folder that `codes reserve` wrote")],
    ids: Annotated[Path, typer.Argument(help="ids as `codes encode` writes them")],
    out: Annotated[Path, typer.Option("--out", "-o", help="new folder for the parts")],
) -> None:
    """Turn a sequence of ids back into files: part-1.txt, part-2.png, ..."""
    from cli.user_texts import new_folder
    from model.codes.images import write_image
    from model.codes.mixed import MixedTokenizer, Tune
    from model.codes.wave_file import write_wave
    from model.errors import TokenizerError
    from model.files import read_json, write_text

    opened = MixedTokenizer.open(folder)
    sequence = read_json(ids)
    if not isinstance(sequence, list) or not all(type(token_id) is int for token_id in sequence):
        raise TokenizerError(f"{ids}: expected a list of ids")
    parts = opened.decode(sequence)
    new_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(parts, 1):
        if isinstance(part, str | Tune):
            name, text = ("txt", part) if isinstance(part, str) else ("abc", part.abc)
            write_text(out / f"part-{number}.{name}", text)
        elif part.ndim == 3:
            write_image(out / f"part-{number}.png", part.astype("uint8", copy=False))
        elif opened.sounds is not None:
            write_wave(out / f"part-{number}.wav", part.astype("float64", copy=False), opened.sounds.config.sample_rate)
    print(f"{out}: {len(parts)} parts")


def _sizes(folder: Path) -> dict[str, tuple[int, int]]:
    """(codes, codes per vector) of what is in a folder of codes, by its name."""
    from model.codes.codebook import load_codebook
    from model.codes.music import MUSIC_FILE, MusicCodes
    from model.errors import TokenizerError

    found: dict[str, tuple[int, int]] = {}
    for name in ("image", "audio"):
        if (folder / f"{name}_codes.json").is_file():
            book = load_codebook(folder, name)[0]
            found[name] = (book.size, book.n_stages)
    if (folder / MUSIC_FILE).is_file():
        found["music"] = (MusicCodes.open(folder).size, 1)
    if not found:
        raise TokenizerError(f"{folder}: holds no codes; learn some with `tisslm tokenizer codes image`")
    return found


def _read_tune(path: Path) -> str:
    from model.errors import CorpusError

    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from error

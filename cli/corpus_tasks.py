"""`tisslm corpus synthesize` and `tisslm corpus datasheet`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.corpus_texts import Texts, check_target, progress, write_json_lines
from cli.tables import print_json, print_rows

AsJson = Annotated[bool, typer.Option("--json", help="print as JSON")]
SHOWN = 5

SYNTHESIZE_EXAMPLES = """\b
Examples:
  tisslm corpus synthesize arithmetic --count 5                   shows five
  tisslm corpus synthesize arithmetic sorting json --count 10000 --difficulty 2-6 --out tasks.jsonl
  tisslm corpus synthesize arithmetic --side test --seed 7 --out held-out.jsonl
  tisslm corpus synthesize --verify answered.jsonl                lines with verifier and answer, judged
Tasks: arithmetic, json, copying, reversing, sorting, counting, instructions
"""
DATASHEET_EXAMPLES = """\b
Examples:
  tisslm corpus datasheet my-texts/ --title "Letters of my aunt"
  tisslm corpus datasheet my-texts/ --answers answers.yaml --out datasheet.html
"""


def register(corpus: typer.Typer) -> None:
    """Add these commands to the group."""
    corpus.command(epilog=SYNTHESIZE_EXAMPLES)(synthesize)
    corpus.command(epilog=DATASHEET_EXAMPLES)(datasheet)


def synthesize(
    tasks: Annotated[list[str] | None, typer.Argument(help="tasks, see below")] = None,
    count: Annotated[int, typer.Option("--count", "-n", help="examples of each task")] = 1000,
    difficulty: Annotated[str, typer.Option("--difficulty", help="easiest and hardest, from 1 to 10")] = "1-5",
    seed: Annotated[int, typer.Option("--seed", help="another seed gives other examples")] = 0,
    side: Annotated[str, typer.Option("--side", help="all; or train or test, which never share a prompt")] = "all",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="file .jsonl, .jsonl.gz or .jsonl.zst")] = None,
    verify: Annotated[Path | None, typer.Option("--verify", help="judge the answers in this file instead")] = None,
    force: Annotated[bool, typer.Option("--force", help="replace what stands at --out")] = False,
    as_json: AsJson = False,
) -> None:
    """Make tasks whose answers a program can judge; or judge answers to them."""
    from cli.user_texts import valid_config
    from model.corpus.synthetic.config import SyntheticSource
    from model.corpus.synthetic.source import generate
    from model.errors import ConfigError

    if verify is not None:
        _print_judgement(verify, as_json)
        return
    if not tasks:
        raise ConfigError("corpus synthesize: got no task, expected one or more like arithmetic, sorting, json")
    easiest, _, hardest = difficulty.partition("-")
    try:
        levels = (int(easiest), int(hardest or easiest))
    except ValueError as error:
        raise ConfigError(f"--difficulty {difficulty}: expected a number from 1 to 10 or two, like 2-6") from error
    values = {"count": count, "difficulty": levels, "seed": seed, "side": side}
    sources = [valid_config(SyntheticSource, {"synthetic": task, **values}) for task in tasks]
    check_target(out, force)
    total = count * len(sources)

    def rows() -> Iterator[dict[str, Any]]:
        n = 0
        with progress("making") as tell:
            for source in sources:
                for example in generate(source):
                    n += 1
                    if n % 256 == 0:
                        tell(n, total)
                    yield example.row()

    if out is not None:
        print(f"{out}: {write_json_lines(rows(), out):,} examples")
    elif as_json:
        print_json(list(rows()))
    else:
        shown, n = [], Counter[str]()
        for row in rows():
            n[row["task"]] += 1
            if n[row["task"]] <= SHOWN:
                shown.append({key: row[key] for key in ("task", "difficulty", "prompt", "answer")})
        print_rows(shown)
        print(f"{n.total():,} examples made, nothing written; --out FILE.jsonl writes them")


def _print_judgement(path: Path, as_json: bool) -> None:
    """Judge the lines of a file: each has `verifier` and `answer`."""
    from model.corpus.synthetic.verify import judge
    from model.errors import CorpusError

    right, of, number = Counter[str](), Counter[str](), 0
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                number += 1
                row = json.loads(line)
                task = str(row.get("task", ""))
                of[task] += 1
                right[task] += judge(row["verifier"], str(row["answer"]))
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorpusError(f"{path}, line {number}: expected JSON with `verifier` and `answer`, got {error}") from error
    rows = [
        {"task": task, "answers": n, "right": right[task], "share": right[task] / n} for task, n in sorted(of.items())
    ]
    if as_json:
        print_json(rows)
    else:
        print_rows(rows)


def datasheet(
    paths: Annotated[list[str], typer.Argument(help="files, folders or addresses of texts")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="file .md or .html, or a folder for both")] = None,
    answers: Annotated[Path | None, typer.Option("--answers", help="YAML with answers by section and question")] = None,
    title: Annotated[str, typer.Option("--title", help="name of the dataset")] = "",
    glob: Annotated[str, typer.Option("--glob", help="files to take inside folders")] = "**/*",
    text_field: Annotated[str, typer.Option("--text-field", help="field or column that holds the text")] = "text",
    language: Annotated[str, typer.Option("--language", help="tag of texts that bring none along")] = "en",
    force: Annotated[bool, typer.Option("--force", help="replace what stands at --out")] = False,
) -> None:
    """Write a datasheet (Gebru et al.) from what can be measured and from your answers."""
    from cli.user_texts import valid_config
    from model.corpus.datasheet.config import DatasheetConfig
    from model.corpus.datasheet.facts import facts_of_documents
    from model.corpus.datasheet.render import datasheet_of_folder
    from model.errors import ConfigError
    from model.files import write_text
    from tasks.params import read_params_text

    given = read_params_text(answers)[0] if answers else {}
    given = given.get("datasheet", given)
    values = given if "answers" in given else {"answers": given}
    config = valid_config(DatasheetConfig, values | ({"title": title} if title else {}))
    if out is not None and out.suffix not in {".md", ".html", ""}:
        raise ConfigError(f"--out {out}: expected a file .md or .html, or a folder")
    targets = [out] if out and out.suffix else [out / "datasheet.md", out / "datasheet.html"] if out else []
    for target in targets:
        check_target(target, force)
    facts = facts_of_documents(Texts(paths, glob, language, text_field).documents("measuring"))
    name = config.title or " and ".join(Path(path).name or path for path in paths)
    markdown, html = datasheet_of_folder({**facts, "title": name}, config.answers)
    for target in targets:
        write_text(target, html if target.suffix == ".html" else markdown)
        print(f"wrote {target}")
    if not targets:
        print(markdown)

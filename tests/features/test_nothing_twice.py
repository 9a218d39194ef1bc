"""Steps of `nothing_twice.feature`."""

from __future__ import annotations

import re

import pytest
from pytest_bdd import parsers, scenarios, then, when
from story import Story

pytestmark = [
    pytest.mark.xdist_group("finished_toy_workspace"),
    pytest.mark.slow,
    pytest.mark.feature("PIPE-04"),
    pytest.mark.feature("DX-05"),
]
scenarios("nothing_twice.feature")


@when("a text is added to the folder of texts")
def add_a_text(story: Story) -> None:
    text = "A late letter about the harbour and its ships. " * 20
    (story.workspace.root / "my-texts" / "late.txt").write_text(text, encoding="utf-8")


@then(parsers.parse("it says that {words}"))
def says(story: Story, words: str) -> None:
    found = {
        "nothing changed": r"nothing changed",
        "data and pipelines are up to date": r"up to date",
        "stage ingest has changed": r"(?s)ingest:.*changed deps.*my-texts",
    }[words]
    assert re.search(found, story.output), story.output[-4000:]


@then(parsers.parse("these stages worked: {names}"))
def worked(story: Story, names: str) -> None:
    for name in names.split(", "):
        assert re.search(rf"^{name} +(?!unchanged)\S.*\d s\s*$", story.output, flags=re.MULTILINE), story.output[-4000:]


@then(parsers.parse("these stages were unchanged: {names}"))
def unchanged(story: Story, names: str) -> None:
    for name in names.split(", "):
        assert re.search(rf"^{name} +unchanged", story.output, flags=re.MULTILINE), story.output[-4000:]
        written = (story.workspace.root / "data" / "reports" / f"{name}.json").stat().st_mtime_ns
        assert written == story.data_before[str(story.workspace.root / "data" / "reports" / f"{name}.json")]

"""Steps that several features share: run a command in a workspace and look at how it ended."""

from __future__ import annotations

import shlex

from pytest_bdd import given, parsers, then, when
from story import Story, written_at
from workspaces import Workspace


@given("a finished workspace", target_fixture="story")
def finished(own_finished_workspace: Workspace) -> Story:
    story = Story(own_finished_workspace)
    story.remember()
    return story


@given("a fresh workspace", target_fixture="story")
def fresh(toy_workspace: Workspace) -> Story:
    story = Story(toy_workspace)
    story.remember()
    return story


@when(parsers.re(r'I run "(?P<command>[^"]+)"'))
def run_command(story: Story, command: str) -> None:
    story.runs.append(story.workspace.run(*shlex.split(command)))


@then("it ends well")
@then("it ended well")
def ends_well(story: Story) -> None:
    assert story.last.returncode == 0, story.output[-4000:]


@then(parsers.parse("it ends with exit code {code:d}"))
def ends_with_code(story: Story, code: int) -> None:
    assert story.last.returncode == code, story.output[-4000:]


@then(parsers.re(r'the error is one line that contains "(?P<words>.+)"'))
def one_line_error(story: Story, words: str) -> None:
    lines = [line for line in story.last.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, story.last.stderr[-4000:]
    assert words in lines[0]


@then(parsers.re(r"(?P<name>dvc\.lock|params\.yaml) has the same bytes as before"))
def same_bytes(story: Story, name: str) -> None:
    assert (story.workspace.root / name).read_bytes() == story.before[name]


@then("nothing has run")
@then("no data has been written")
def no_data(story: Story) -> None:
    assert written_at(story.workspace.root / "data") == story.data_before

"""Steps of `first_model.feature`: all scenarios look at one run of the session."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from pytest_bdd import given, parsers, scenarios, then, when
from workspaces import Workspace

pytestmark = [
    pytest.mark.xdist_group("finished_toy_workspace"),
    pytest.mark.slow,
    pytest.mark.feature("PIPE-01"),
    pytest.mark.feature("DX-05"),
]
scenarios("first_model.feature")


@given("a workspace with a folder of texts, in which nothing had run", target_fixture="workspace")
def workspace(finished_toy_workspace: Workspace) -> Workspace:
    return finished_toy_workspace


@when('"tisslm run" has ended', target_fixture="said")
def said(workspace: Workspace) -> str:
    return (workspace.root / ".tisslm" / "first-run.txt").read_text(encoding="utf-8")


@then("it ended well")
def ended_well(workspace: Workspace, said: str) -> None:
    assert workspace.run("dvc", "status").stdout.strip().endswith("up to date."), said


@then("there was one line for every stage")
def a_line_for_every_stage(workspace: Workspace, said: str) -> None:
    for stage in yaml.safe_load((workspace.root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]:
        lines = [line for line in said.splitlines() if re.match(rf"{stage} .* [\d.]+ (s|min)", line)]
        assert len(lines) == 1, f"{stage}: {lines}\n{said}"


@then("a table showed bits per byte beside the baselines")
def a_table_of_results(said: str) -> None:
    assert "bits per byte" in said.lower() or "bits/byte" in said.lower(), said
    assert "xz" in said, said


@then("the registered model wrote a sample")
def a_sample(workspace: Workspace, said: str) -> None:
    details = json.loads((workspace.root / "data/reports/evaluate/details.json").read_text(encoding="utf-8"))
    prompt = workspace.params()["evaluate"]["sample_prompts"][0]
    assert prompt in json.dumps(details, ensure_ascii=False)
    assert "sample" in said.lower(), said


@then("the registry has a champion")
def a_champion(workspace: Workspace) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{workspace.root / 'mlflow.db'}")
    champion = client.get_model_version_by_alias("toy", "champion")
    assert champion.version == client.get_model_version_by_alias("toy", "candidate").version


@then("git sees no change but in params.yaml, dvc.lock and the stage's list of texts")
def git_is_clean(workspace: Workspace) -> None:
    changed = {line[3:] for line in workspace.run("git", "status", "--porcelain").stdout.splitlines()}
    assert changed <= {"params.yaml", "dvc.lock", "dvc.yaml"}


@then("transformers opens the published folder as a Llama and continues a text with it")
def transformers_opens(workspace: Workspace) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = workspace.root / "data" / "published"
    folder = folder if (folder / "config.json").exists() else next(folder.rglob("config.json")).parent
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert type(model).__name__ == "LlamaForCausalLM"
    ids = tokenizer("The farmer", return_tensors="pt").input_ids
    with torch.no_grad():
        longer = model.generate(ids, max_new_tokens=4, do_sample=False, pad_token_id=1)
    assert tokenizer.decode(longer[0]).startswith("The farmer")


@then("the report is one page that loads nothing from a network")
def report_is_whole(workspace: Workspace) -> None:
    shown = workspace.run("tisslm", "report").stdout
    page = Path(next(word for word in shown.split() if word.endswith(".html")))
    html = (workspace.root / page).read_text(encoding="utf-8")
    assert (
        re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=[\"']?(?:https?:)?//|@import|url\(['\"]?http", html)
        == []
    )
    assert "bits" in html


@when(parsers.re(r'I run "(?P<command>[^"]+)" twice'), target_fixture="texts")
def run_twice(workspace: Workspace, command: str) -> list[subprocess.CompletedProcess[str]]:
    return [workspace.run(*shlex.split(command)) for _ in range(2)]


@then("both times the same text comes out")
def same_text(texts: list[subprocess.CompletedProcess[str]]) -> None:
    assert [done.returncode for done in texts] == [0, 0], texts[0].stderr
    assert texts[0].stdout == texts[1].stdout
    assert texts[0].stdout.strip()

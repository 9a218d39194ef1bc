"""A pipeline of toy stages: the real names and sections, but each stage only writes what it read; seconds, not minutes.

ingest -> clean -> tokenizer -> pretrain
                -> tokenize
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from model.errors import TissLMError
from tasks.params import Params
from tasks.settings import TELEMETRY_OFF
from tasks.workspace import initialise_workspace

AFTER = {"ingest": [], "clean": ["ingest"], "tokenizer": ["clean"], "tokenize": ["clean"], "pretrain": ["tokenizer"]}
FOLDERS = {"ingest": "raw", "clean": "clean", "tokenizer": "tokenizer", "tokenize": "tokens", "pretrain": "pretrained"}
VOCABULARY, STEPS = Params().tokenizer.vocab_size, Params().pretrain.steps
SECTIONS = (*AFTER, "datasheet", "evaluate", "quantize", "publish")

STAGE = """
import json, os, pathlib, sys, time
import yaml
name, folder, *inputs = sys.argv[1:]
plan = json.loads(pathlib.Path("plan.json").read_text()).get(name, {})
count = pathlib.Path(f"count-{name}")
times = int(count.read_text()) + 1 if count.exists() else 1
count.write_text(str(times))
print(f"{name} says hello", flush=True)
total = int(plan.get("seconds", 0) * 10)
for step in range(total):
    event = {"done": step + 1, "total": total, "unit": "steps", "figures": {"loss": 2.5}}
    print("@progress " + json.dumps(event), flush=True)
    time.sleep(0.1)
time.sleep(plan.get("silent_s", 0))
error = plan.get("error")
if error and times <= plan.get("fails", 1000):
    if "type" in error:
        pathlib.Path(os.environ["TISSLM_ERROR_FILE"]).write_text(json.dumps({"stage": name, **error}))
    print(error["message"], file=sys.stderr)
    sys.exit(error["exit_code"])
section = yaml.safe_load(pathlib.Path("params.yaml").read_text())[name]
read = {i: pathlib.Path("data", i, "made.json").read_text() for i in inputs}
out, reports = pathlib.Path("data", folder), pathlib.Path("data/reports")
out.mkdir(parents=True, exist_ok=True)
(out / "made.json").write_text(json.dumps([section, read]))
(reports / name).mkdir(parents=True, exist_ok=True)
(reports / f"{name}.json").write_text(json.dumps({"inputs": len(inputs)}))
tables = {"What was read": [{"input": i} for i in inputs]}
details = {"headline": f"{name} made {folder}", "tables": tables, "facts": {}}
(reports / name / "details.json").write_text(json.dumps(details))
"""


@dataclass(frozen=True)
class ToyPipeline:
    """A workspace with toy stages."""

    root: Path

    def counts(self) -> dict[str, int]:
        """How often each stage has worked."""
        return {p.name.removeprefix("count-"): int(p.read_text()) for p in self.root.glob("count-*")}

    def forget_counts(self) -> None:
        """Count from zero again."""
        for path in self.root.glob("count-*"):
            path.unlink()

    def plan(
        self,
        stage: str,
        seconds: float = 0.0,
        silent_s: float = 0.0,
        error: TissLMError | str | None = None,
        fails: int = 1000,
    ) -> None:
        """Let a stage take time, or fail `fails` times with an error of ours, or without one as a crash does."""
        path = self.root / "plan.json"
        plan = json.loads(path.read_text())
        plan[stage] = {"seconds": seconds, "silent_s": silent_s, "fails": fails}
        if isinstance(error, TissLMError):
            record = {"type": type(error).__name__, "message": str(error), "exit_code": error.exit_code}
            plan[stage]["error"] = record | {"transient": error.transient}
        elif error is not None:
            plan[stage]["error"] = {"message": error, "exit_code": 9}
        path.write_text(json.dumps(plan))

    def set_value(self, section: str, key: str, value: object) -> None:
        """Change one value of params.yaml."""
        path = self.root / "params.yaml"
        values = yaml.safe_load(path.read_text())
        values[section][key] = value
        path.write_text(yaml.safe_dump(values, sort_keys=False))

    def environment(self, **more: str) -> dict[str, str]:
        """What a process here is started with: only what the test says of Prefect and MLflow."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MLFLOW_", "TISSLM_"))}
        return {**inherited, **TELEMETRY_OFF, **more}

    def command(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `tisslm WORDS` here and wait for it."""
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *words],
            cwd=self.root,
            env=self.environment(**{"PYTHONPATH": str(Path(__file__).parents[1]), **environment}),
            capture_output=True,
            text=True,
            timeout=300,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Start `tisslm WORDS` here; its standard output and error come in one pipe."""
        return subprocess.Popen(
            [sys.executable, "-m", "cli.main", *words],
            cwd=self.root,
            env=self.environment(**{"PYTHONPATH": str(Path(__file__).parents[1]), **environment}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    def dvc(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `dvc WORDS` here and wait for it."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return subprocess.run(
            [sys.executable, "-m", "dvc", *words],
            cwd=self.root,
            env=self.environment(PATH=path),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


def make_toy_pipeline(root: Path) -> ToyPipeline:
    """A workspace with toy stages in which nothing has run."""
    root.mkdir(parents=True, exist_ok=True)
    stages = {}
    for name, before in AFTER.items():
        inputs = [FOLDERS[other] for other in before]
        stages[name] = {
            "cmd": " ".join(["python", "toy_stage.py", name, FOLDERS[name], *inputs]),
            "params": [name],
            "deps": [f"data/{i}" for i in inputs],
            "outs": [f"data/{FOLDERS[name]}", f"data/reports/{name}"],
            "metrics": [f"data/reports/{name}.json"],
        }
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False), encoding="utf-8")
    sections: dict[str, dict[str, object]] = {name: {} for name in SECTIONS}
    sections["tokenizer"] = {"vocab_size": VOCABULARY}
    sections["pretrain"] = {"steps": STEPS}
    (root / "params.yaml").write_text(yaml.safe_dump(sections, sort_keys=False), encoding="utf-8")
    (root / "toy_stage.py").write_text(STAGE, encoding="utf-8")
    (root / "plan.json").write_text("{}", encoding="utf-8")
    initialise_workspace(root)
    return ToyPipeline(root)

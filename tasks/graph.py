"""The graph of stages, read from `dvc.yaml`: the one place where it is defined."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from model.errors import ConfigError, WorkspaceError

DATA = "data"
REPORTS = "data/reports"


@dataclass(frozen=True)
class Stage:
    """One stage of `dvc.yaml`.

    Attributes:
        name: The stage's name, also its section in `params.yaml` and its module in `tasks/`.
        inputs: Folders under `data/` that it reads, by their last name: `{"clean": Path("data/clean")}`.
        output: The folder that it makes.
        kept: Folders that survive a kill (`persist: true`), by their last name: `{"checkpoints": ...}`.
        after: Names of the stages that must be done before it.
        reports: Stages whose reports it reads.
        has_side_effects: It changes something outside `data/` (`meta: {side_effects: ...}`), so its output must not be
            restored from DVC's run cache in its stead.
    """

    name: str
    inputs: dict[str, Path]
    output: Path
    kept: dict[str, Path]
    after: tuple[str, ...]
    reports: tuple[str, ...] = ()
    has_side_effects: bool = False

    @property
    def metrics_file(self) -> Path:
        """Where its figures go (DVC metrics)."""
        return Path(REPORTS) / f"{self.name}.json"

    @property
    def report_folder(self) -> Path:
        """Where its series, tables and pages go."""
        return Path(REPORTS) / self.name


def read_graph(root: Path = Path()) -> dict[str, Stage]:
    """All stages, each after those that it depends on.

    Raises:
        WorkspaceError: There is no readable `dvc.yaml`.
        ConfigError: The stages form a circle.
    """
    path = root / "dvc.yaml"
    try:
        stages = yaml.safe_load(path.read_text(encoding="utf-8"))["stages"]
    except FileNotFoundError as error:
        raise WorkspaceError(f"{path.resolve()}: no such file; run this inside a TissLM workspace") from error
    except (yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise WorkspaceError(f"{path}: is not a DVC pipeline ({error}); restore it from git") from error
    makers = {path: name for name, stage in stages.items() for path, _ in _outputs(stage)}
    parsed = {name: _parse(name, stage, makers) for name, stage in stages.items()}
    return _sorted(parsed)


def _outputs(stage: dict[str, object]) -> list[tuple[str, dict[str, object]]]:
    outputs = []
    for kind in ("outs", "metrics", "plots"):
        for entry in stage.get(kind, []) or []:  # type: ignore[attr-defined]
            outputs.append((entry, {}) if isinstance(entry, str) else next(iter(entry.items())))
    return outputs


def _parse(name: str, stage: dict[str, object], makers: dict[str, str]) -> Stage:
    dependencies = [d for d in stage.get("deps", []) or [] if isinstance(d, str)]  # type: ignore[attr-defined]
    inputs = {
        Path(d).name: Path(d)
        for d in dependencies
        if d in makers and d.startswith(f"{DATA}/") and not d.startswith(f"{REPORTS}/")
    }
    folders = [(p, o) for p, o in _outputs(stage) if p.startswith(f"{DATA}/") and not p.startswith(f"{REPORTS}/")]
    kept = {Path(p).name: Path(p) for p, options in folders if options.get("persist")}
    made = [Path(p) for p, options in folders if not options.get("persist")]
    if len(made) != 1:
        raise ConfigError(f"dvc.yaml: stage {name} has {len(made)} output folders under {DATA}/, expected exactly one")
    after = tuple(dict.fromkeys(makers[d] for d in dependencies if d in makers))
    reports = tuple(dict.fromkeys(makers[d] for d in dependencies if d in makers and d.startswith(f"{REPORTS}/")))
    meta = stage.get("meta")
    return Stage(name, inputs, made[0], kept, after, reports, isinstance(meta, dict) and "side_effects" in meta)


def _sorted(stages: dict[str, Stage]) -> dict[str, Stage]:
    done: dict[str, Stage] = {}
    while len(done) < len(stages):
        ready = [s for s in stages.values() if s.name not in done and all(a in done for a in s.after)]
        if not ready:
            rest = ", ".join(sorted(set(stages) - set(done)))
            raise ConfigError(f"dvc.yaml: the stages {rest} wait for each other in a circle")
        done.update({s.name: s for s in ready})
    return done


def downstream(stages: dict[str, Stage], name: str) -> list[str]:
    """A stage and all stages that depend on it, in order."""
    reached = {name}
    for stage in stages.values():
        if reached & set(stage.after):
            reached.add(stage.name)
    return [s for s in stages if s in reached]

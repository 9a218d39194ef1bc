"""What happens before the first stage: workspace made usable, parameters edited and checked, stages chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flows.presets import all_presets, read_preset
from flows.processes import end_leftovers
from model.errors import ConfigError, TissLMError, WorkspaceError
from model.files import write_bytes
from tasks.graph import Stage, downstream, read_graph
from tasks.params import read_params
from tasks.params_edit import edit_params
from tasks.source_dependencies import check_new_sources, sync_source_dependencies
from tasks.starting_network import check_start
from tasks.workspace import in_git, prepare_workspace


def prepare_run(
    root: Path,
    preset: str | None,
    overrides: Mapping[str, Any],
    from_stage: str | None,
    say: Callable[[str], None],
) -> dict[str, Stage]:
    """Get everything ready that a run needs and return its stages in order; call it with the run lock held.

    Doing it twice changes nothing more.

    Raises:
        TissLMError: The workspace or a parameter is wrong; nothing has run, and params.yaml is as it was.
    """
    for ended in end_leftovers(root):
        say(f"ended what a killed run had left running: {ended}")
    prepare_workspace(root, say)  # now that they have ended, what they held is nobody's
    stages = chosen_stages(root, from_stage)
    apply_parameters(root, preset, overrides, say)
    return stages


def apply_parameters(root: Path, preset: str | None, overrides: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Edit `params.yaml` as asked, or only check it, and keep the dependencies on local texts in step.

    Raises:
        ConfigError: A key or a value is wrong, or `pretrain.from` is another network; nothing was written.
        CorpusError: A new source has no texts; nothing was written.
    """
    path = root / "params.yaml"
    before, changes = path.read_bytes(), []
    if preset is not None or overrides:
        chosen = read_preset(preset) if preset is not None else None
        changes = edit_params(path, overrides, chosen, all_presets())
    try:
        params = read_params(path)
        check_start(root, params)
        check_new_sources(root, params)
    except TissLMError:
        if changes:
            write_bytes(path, before)
        raise
    for change in changes:
        say(f"params.yaml: {change}")
    if changes and in_git(root):
        say("params.yaml: `git restore params.yaml` undoes it")
    for told in sync_source_dependencies(root, read_params(path)):
        say(told)


def chosen_stages(root: Path, from_stage: str | None) -> dict[str, Stage]:
    """The stages of a run in order: all of them, or `from_stage` and what depends on it.

    Raises:
        ConfigError: There is no such stage.
        WorkspaceError: What an earlier stage should have made is not there.
    """
    graph = read_graph(root)
    if from_stage is None:
        return graph
    if from_stage not in graph:
        raise ConfigError(f"--from {from_stage}: no such stage; dvc.yaml has {', '.join(graph)}")
    names = downstream(graph, from_stage)
    for name in names:
        for before in graph[name].after:
            if before not in names and not (root / graph[before].output).exists():
                raise WorkspaceError(
                    f"--from {from_stage}: {graph[before].output} does not exist, which stage {before} makes and "
                    f"{name} reads; run once without --from"
                )
    return {name: graph[name] for name in names}

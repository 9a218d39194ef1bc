"""Which registry the commands mean: the workspace's, under the name that `publish.name` gives."""

from __future__ import annotations

import os
from pathlib import Path


def registered_name() -> tuple[Path, str]:
    """The workspace and the model's name in its registry; MLflow is set up for it, its progress bars off."""
    from tasks.params import read_params
    from tasks.settings import workspace_environment
    from tasks.workspace import find_workspace

    root = find_workspace()
    os.environ.update(workspace_environment(root))
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    return root, read_params(root / "params.yaml").publish.name

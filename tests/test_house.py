"""The house as a whole: one graph, one vocabulary, documents that say what is there, files that fit every machine."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import tomllib
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from grimp import ImportGraph, build_graph
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from workspaces import REPOSITORY

from model import errors
from tasks.graph import read_graph
from tasks.params import Params, read_params
from tasks.params_schema import schema_text
from tasks.stage import stage_function

GRAPH = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
STAGES = list(GRAPH["stages"])


def own_files() -> list[Path]:
    """The files that git tracks or would track; without git, all files of the rooms."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode == 0:
        names = [name for name in listed.stdout.split("\0") if name]
    else:
        rooms = ("model", "tasks", "flows", "cli", "tests", "docs", "infra", "benchmarks")
        names = [str(p.relative_to(REPOSITORY)) for room in rooms for p in (REPOSITORY / room).rglob("*.*")]
    return [REPOSITORY / name for name in names if (REPOSITORY / name).is_file() and "__pycache__" not in name]


@pytest.fixture(scope="module")
def imports() -> ImportGraph:
    """Who imports whom in our own packages."""
    return build_graph("model", "tasks", "flows", "cli")


def make_targets() -> set[str]:
    """The targets of the Makefile that have a line of help."""
    return set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, flags=re.MULTILINE))


# --- one graph ---


@pytest.mark.feature("PIPE-02")
def test_stages_sections_and_configs_have_the_same_names_in_the_same_order() -> None:
    assert list(Params.model_fields) == STAGES
    assert list(yaml.safe_load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))) == STAGES
    assert list(read_graph(REPOSITORY)) == STAGES


@pytest.mark.feature("PIPE-02")
@pytest.mark.parametrize("stage", STAGES)
def test_stage_has_its_module_its_section_and_its_command(stage: str) -> None:
    definition = GRAPH["stages"][stage]
    assert definition["cmd"] == f"python -m tasks {stage}"
    assert stage in definition["params"]
    assert f"tasks/{stage}.py" in definition["deps"], "editing the stage must rerun it"
    arguments = inspect.signature(stage_function(stage)).parameters
    assert {"config", "out"} <= set(arguments)


@pytest.mark.feature("PIPE-02")
@pytest.mark.parametrize("stage", STAGES)
def test_code_that_a_stage_declares_exists_and_data_comes_from_another_stage(stage: str) -> None:
    made = {
        path if isinstance(path, str) else next(iter(path))
        for other in GRAPH["stages"].values()
        for kind in ("outs", "metrics")
        for path in other.get(kind, [])
    }
    for dependency in GRAPH["stages"][stage]["deps"]:
        if dependency.startswith("data/"):
            assert dependency in made, f"no stage makes {dependency}"
        else:
            assert (REPOSITORY / dependency).exists(), f"{dependency} does not exist"


CONFIGS = {"model.corpus.sources"}


@pytest.mark.feature("PIPE-04")
@pytest.mark.parametrize("stage", STAGES)
def test_code_that_a_stage_imports_is_declared_so_that_an_edit_reruns_it(stage: str, imports: ImportGraph) -> None:
    """Imports inside functions count too: grimp reads the source.

    Configs do not, nor what only they use to check values: a changed default changes params.
    """
    graph = deepcopy(imports)
    for module in [m for m in graph.modules if m.endswith(".config") or m in CONFIGS]:
        graph.remove_module(module)
    modules = [m for m in graph.find_upstream_modules(f"tasks.{stage}") if re.fullmatch(r"model\.\w+\..+", m)]
    files = {m.replace(".", "/") + ".py" for m in modules}
    declared = tuple(d if d.endswith(".py") else f"{d}/" for d in GRAPH["stages"][stage]["deps"])
    assert sorted(f for f in files if (REPOSITORY / f).exists() and not f.startswith(declared)) == []


@pytest.mark.feature("PIPE-07")
def test_params_yaml_states_every_default_and_nothing_else() -> None:
    path = REPOSITORY / "params.yaml"
    assert read_params(path) == Params(), "the defaults of the config classes are the laptop preset"
    written = set(read_params(path).flat())
    stated = set(_dotted(yaml.safe_load(path.read_text(encoding="utf-8"))))
    left_empty = {name for name, value in Params().flat().items() if value is None}
    assert written - stated <= left_empty, "params.yaml leaves out a value that a reader would look for"


def _dotted(values: dict[str, object], prefix: str = "") -> list[str]:
    names: list[str] = []
    for key, value in values.items():
        names += _dotted(value, f"{prefix}{key}.") if isinstance(value, dict) and value else [f"{prefix}{key}"]
    return names


@pytest.mark.feature("PIPE-07")
def test_params_yaml_names_its_schema_and_the_schema_is_the_generated_one() -> None:
    stored = (REPOSITORY / "params.schema.json").read_text(encoding="utf-8")
    assert stored == schema_text(), "run `make schema`"
    assert list(json.loads(stored)["properties"]) == sorted(STAGES)
    comments = (REPOSITORY / "params.yaml").read_text(encoding="utf-8").split("ingest:")[0]
    assert "yaml-language-server: $schema=params.schema.json" in comments


@pytest.mark.feature("PIPE-07")
def test_every_parameter_says_what_it_is_for() -> None:
    def fields(schema: dict[str, object], definition: dict[str, object]) -> list[str]:
        properties = definition.get("properties", {})
        assert isinstance(properties, dict)
        return [name for name, field in properties.items() if "description" not in field and "const" not in field]

    schema = Params.model_json_schema()
    silent = {name: fields(schema, d) for name, d in schema["$defs"].items()}
    assert {name: missing for name, missing in silent.items() if missing} == {}


# --- one vocabulary ---


@pytest.mark.feature("DX-04")
def test_every_make_command_in_the_documents_exists() -> None:
    documents = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *(REPOSITORY / "docs").rglob("*.md")]
    others = [
        REPOSITORY / ".pre-commit-config.yaml",
        REPOSITORY / ".ci" / "run",
        *(REPOSITORY / ".github").rglob("*.yml"),
    ]
    for path in documents + others:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".md":
            text = "\n".join(
                re.findall(r"^```.*?^```", text, flags=re.DOTALL | re.MULTILINE) + re.findall(r"`[^`\n]+`", text)
            )
        text = re.sub(r"(?:#|  +<!--).*", "", text)
        for words in re.findall(r"(?:^|`|&& |: |step |tests )make((?: [a-z-]+)+)", text, flags=re.MULTILINE):
            unknown = set(words.split()) - make_targets() - {"-j"}
            assert not unknown, f"{path.relative_to(REPOSITORY)}: make {' '.join(sorted(unknown))}"


@pytest.mark.feature("DX-07")
def test_make_alone_explains_every_target() -> None:
    shown = subprocess.run(["make"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    phony = set(re.findall(r"^\.PHONY: ([a-z-]+)$", MAKEFILE, flags=re.MULTILINE)) - {"moved"}
    for target in phony:
        assert re.search(rf"^  {target} +\S", shown, flags=re.MULTILINE), f"make {target} has no help"
    assert {"help", "model", "test", "lint", "types", "docs", "bench", "ui", "clean"} <= phony


@pytest.mark.feature("DX-07")
def test_make_without_python_311_says_so_in_one_line(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text((REPOSITORY / name).read_text(encoding="utf-8"), encoding="utf-8")
    alone = {name: value for name, value in os.environ.items() if name not in {"MAKELEVEL", "MAKEFLAGS", "MFLAGS"}}
    done = subprocess.run(
        ["make", "model", "PYTHON=no-such-python"], cwd=tmp_path, env=alone, capture_output=True, text=True, check=False
    )
    own_line = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert done.returncode != 0
    assert len(own_line) == 1
    assert "Python 3.11" in own_line[0]
    assert "no-such-python" in own_line[0]
    assert not (tmp_path / ".venv").exists()


# --- errors ---


def error_classes() -> list[type[errors.TissLMError]]:
    return [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.TissLMError)]


@pytest.mark.feature("DX-06")
def test_every_kind_of_error_has_its_own_exit_code_and_a_line_in_the_documentation() -> None:
    codes = Counter(c.exit_code for c in error_classes())
    assert [code for code, uses in codes.items() if uses > 1] == []
    assert all(0 < code < 126 for code in codes), "from 126 on, codes belong to the shell"
    page = (REPOSITORY / "docs" / "how-to" / "errors.md").read_text(encoding="utf-8")
    assert "<!-- exit-codes -->" in page, "the table is generated into this page"
    assert all(inspect.getdoc(c) for c in error_classes())


# --- files that fit every machine ---

PLACES = re.compile(
    r"/home/[a-z]|/Users/[a-z]|/root/|(?<![\w.])/work/|/opt/[a-z]|file:///[a-z]|C:\\\\Users"
    r"|https?://[\w.-]*(?:pypi|pythonhosted|anaconda|artifactory|nexus|jfrog)[\w.-]*/",
    flags=re.IGNORECASE,
)


@pytest.mark.feature("DX-09")
def test_no_file_names_a_place_on_one_machine_or_the_host_of_a_registry() -> None:
    found = []
    for path in own_files():
        if path == Path(__file__).resolve() or path.suffix in {".png", ".parquet", ".bin"}:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if PLACES.search(line):
                found.append(f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()[:100]}")
    assert found == []


@pytest.mark.feature("DX-07")
def test_constraints_pin_every_dependency_within_its_range() -> None:
    pinned = {}
    for line in (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            assert re.fullmatch(r"[a-z0-9][a-z0-9-]*==[0-9][0-9a-z.!]*", line), f"versions only: {line}"
            name, version = line.split("==")
            pinned[name] = Version(version)
    extras = PROJECT["project"]["optional-dependencies"].values()
    for text in [*PROJECT["project"]["dependencies"], *(d for extra in extras for d in extra)]:
        wanted = Requirement(text)
        name = canonicalize_name(wanted.name)
        assert name in pinned, f"{name} is not in constraints.txt; run `make constraints`"
        assert wanted.specifier.contains(pinned[name], prereleases=True), f"{name} {pinned[name]} is outside {wanted}"


@pytest.mark.feature("DX-09")
def test_no_module_is_a_drawer_or_too_long() -> None:
    for path in own_files():
        if path.suffix == ".py":
            assert path.stem not in {"utils", "util", "common", "helpers", "misc", "base"}, path
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, f"{path}: two concepts in one room?"


@pytest.mark.feature("DX-09")
def test_every_room_is_in_the_readme() -> None:
    rooms = {p.name for p in REPOSITORY.iterdir() if p.is_dir() and not p.name.startswith(".") and (p / "..").exists()}
    tracked = {path.relative_to(REPOSITORY).parts[0] for path in own_files()}
    for room in rooms & tracked:
        assert f"`{room}/`" in README, f"README.md does not say what {room}/ is for"


# --- quiet ---


@pytest.mark.feature("DX-06")
@pytest.mark.parametrize(
    "variable",
    [
        "DO_NOT_TRACK",
        "DVC_NO_ANALYTICS",
        "GX_ANALYTICS_ENABLED",
        "MLFLOW_DISABLE_TELEMETRY",
        "PREFECT_SERVER_ANALYTICS_ENABLED",
        "HF_HUB_DISABLE_TELEMETRY",
    ],
)
def test_every_process_that_tisslm_starts_has_telemetry_off(variable: str, tmp_path: Path) -> None:
    from tasks.settings import workspace_environment

    assert workspace_environment(tmp_path, base={})[variable] in {"1", "true", "false"}


@pytest.mark.feature("DX-06")
def test_dvc_of_this_repository_sends_and_asks_nothing() -> None:
    text = (REPOSITORY / ".dvc" / "config").read_text(encoding="utf-8")
    assert re.search(r"analytics = false", text)
    assert re.search(r"check_update = false", text)


# --- imports ---


@pytest.mark.feature("DX-09")
def test_imports_go_one_way() -> None:
    done = subprocess.run(
        [str(Path(inspect.getfile(pytest)).parents[4] / "bin" / "lint-imports")],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.feature("DX-01")
def test_configs_import_no_heavy_library(run_python: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    heavy = ("torch", "pandas", "numpy", "pyarrow", "transformers", "mlflow", "prefect", "dvc", "great_expectations")
    done = run_python(
        f"import tasks.params, sys; print([m for m in {heavy!r} if m in sys.modules])", PYTHONPATH=str(REPOSITORY)
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.feature("DX-06")
def test_nobody_is_told_to_install_a_package_that_is_not_ours() -> None:
    """A registry's `tisslm` would be somebody else's: extras are installed from the checkout."""
    wrong = re.compile(r"pip install[^\n`]*['\" ]tisslm\b")
    texts = {path: path.read_bytes().decode("utf-8", "replace") for path in own_files()}
    assert [str(path) for path, text in texts.items() if wrong.search(text) and path != Path(__file__)] == []


@pytest.mark.feature("DX-06")
def test_an_extra_that_a_message_names_exists() -> None:
    extras = set(PROJECT["project"]["optional-dependencies"])
    named = {
        match
        for path in own_files()
        if path.suffix == ".py" and path != Path(__file__)
        for match in re.findall(r"install_extra\(['\"](\w+)['\"]\)", path.read_text(encoding="utf-8"))
    }
    assert {"annotate", "names"} <= named <= extras
    assert "-e '.[dask]'" in errors.install_extra("dask")

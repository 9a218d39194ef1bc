"""What the command line prints: help that teaches, one line for a mistake, documented exit codes, JSON for programs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from toy_pipeline import STEPS, VOCABULARY, ToyPipeline, make_toy_pipeline
from typer.main import get_command
from typer.testing import CliRunner

from cli.exit_codes import exit_codes
from cli.main import app
from flows.presets import PRESETS
from model.files import write_manifest

pytestmark = pytest.mark.feature("DX-01")
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def toy(tmp_path: Path) -> ToyPipeline:
    return make_toy_pipeline(tmp_path / "toy")


def tisslm(
    folder: Path, *words: str, text: str = "", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **(environment or {})},
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_help_lists_commands_examples_and_every_exit_code() -> None:
    page = CliRunner().invoke(app, ["--help"]).output
    for word in ("run", "status", "params", "generate", "models", "trace", "verify", "ui", "deploy"):
        assert f"  {word} " in page
    for code, meaning in exit_codes().items():
        assert f"{code}  {meaning}" in page
    assert "tisslm run --set pretrain.steps=300" in CliRunner().invoke(app, ["run", "--help"]).output


def test_help_imports_nothing_heavy(run_python: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    heavy = ("torch", "prefect", "mlflow", "dvc", "pandas", "numpy", "great_expectations", "pydantic", "transformers")
    code = (
        "import sys; sys.argv = ['tisslm', '--help']\n"
        "from cli.main import main\n"
        "try: main()\n"
        f"except SystemExit: print('HEAVY', [m for m in {heavy!r} if m in sys.modules])"
    )
    assert "HEAVY []" in run_python(code).stdout


@pytest.mark.feature("DX-06")
@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["run", "--set", "pretrain.stepz=3"], 2, "pretrain.stepz: unknown key; did you mean pretrain.steps?"),
        (["run", "--set", "pretrain.steps"], 2, "--set pretrain.steps: expected section.key=value"),
        (["run", "--set", "pretrain.steps=0"], 2, "pretrain.steps = 0: "),
        (["run", "--preset", "huge"], 2, "preset huge: no such preset; choose one of smoke, laptop, hours, gpu"),
        (["run", "--from", "nowhere"], 2, "--from nowhere: no such stage; dvc.yaml has ingest, clean"),
        (["run", "--from", "pretrain"], 10, "--from pretrain: data/tokenizer does not exist, which stage tokenizer"),
        (["params", "show", "pretrain.stepz"], 2, "pretrain.stepz: no parameter begins like this"),
        (["params", "diff", "huge"], 2, "preset huge: no such preset"),
        (["verify"], 10, "holds no finished folder yet; run `tisslm run`"),
        (["report"], 10, "holds no HTML report yet; run `tisslm run`"),
        (["generate", "--temperature", "-1"], 14, "temperature = -1.0"),
    ],
)
def test_a_mistake_is_one_line_and_its_exit_code(toy: ToyPipeline, words: list[str], code: int, message: str) -> None:
    before = (toy.root / "params.yaml").read_bytes()
    done = tisslm(toy.root, *words)
    assert done.returncode == code
    assert done.stderr.startswith("tisslm: error: ")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
    assert (toy.root / "params.yaml").read_bytes() == before
    assert toy.counts() == {}


@pytest.mark.feature("DX-06")
@pytest.mark.parametrize("words", [["run"], ["status"], ["params", "check"], ["models", "list"], ["ui"]])
def test_outside_a_workspace_it_says_where_to_go(tmp_path: Path, words: list[str]) -> None:
    done = tisslm(tmp_path, *words)
    assert done.returncode == 10
    assert "neither this folder nor one above it has dvc.yaml and params.yaml" in done.stderr


@pytest.mark.feature("DX-06")
def test_a_registry_without_any_version_says_what_makes_one(toy: ToyPipeline) -> None:
    done = tisslm(toy.root, "generate", "hello")
    assert done.returncode == 9
    last = done.stderr.splitlines()[-1]
    assert last.startswith("tisslm: error: registry: no version of model 'tisslm' yet; run `tisslm run`")
    assert "Traceback" not in done.stderr


def test_debug_shows_where_and_without_it_nothing_does(toy: ToyPipeline) -> None:
    for words in (["--debug", "verify"], ["verify", "--debug"]):
        assert "Traceback" in tisslm(toy.root, *words).stderr
    assert "Traceback" not in tisslm(toy.root, "verify").stderr


def test_a_workspace_that_was_not_initialised_is_named_and_init_repairs_it(toy: ToyPipeline) -> None:
    (toy.root / ".dvc").rename(toy.root / "elsewhere")
    done = tisslm(toy.root, "run")
    assert done.returncode == 10
    assert "has no .dvc folder, so results cannot be recorded; run `tisslm init` there once" in done.stderr
    assert tisslm(toy.root, "init").returncode == 0
    assert tisslm(toy.root, "status").returncode == 0


def test_status_says_what_would_run_and_why(toy: ToyPipeline) -> None:
    assert toy.dvc("repro").returncode == 0
    assert tisslm(toy.root, "status").stdout == "nothing changed: every stage is up to date\n"
    toy.set_value("tokenizer", "vocab_size", VOCABULARY + 1)
    rows = {row["stage"]: row for row in json.loads(tisslm(toy.root, "status", "--json").stdout)}
    assert rows["clean"]["would"] == "skip"
    assert rows["tokenizer"]["would"] == "run"
    assert "tokenizer" in rows["tokenizer"]["because"]
    assert rows["pretrain"]["would"] == "run if its inputs come out different"


@pytest.mark.parametrize("words", [["status"], ["run"], ["params", "check"], ["params", "show"], ["params", "diff"]])
@pytest.mark.parametrize(
    ("slip", "message"),
    [
        ("pretrain:\n  steps: 3\n", "params.yaml: line {line}: pretrain stands there a second time"),
        ("publish:\n\tname: x\n", "column 1: not valid YAML"),
    ],
)
def test_a_slip_in_params_yaml_has_its_line_in_every_command(
    toy: ToyPipeline, words: list[str], slip: str, message: str
) -> None:
    path = toy.root / "params.yaml"
    before = path.read_text()
    path.write_text(before + slip)
    done = tisslm(toy.root, *words)
    assert done.returncode == 2
    assert message.format(line=before.count("\n") + 1) in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_changed_byte_under_data_is_found_and_named(toy: ToyPipeline) -> None:
    folder = toy.root / "data" / "tokens"
    folder.mkdir(parents=True)
    (folder / "tokens-00000.bin").write_bytes(b"0123456789")
    write_manifest(folder)
    assert tisslm(toy.root, "verify").returncode == 0
    (folder / "tokens-00000.bin").write_bytes(b"0123456780")
    done = tisslm(toy.root, "verify", "--json")
    assert done.returncode == 7
    assert "tokens-00000.bin" in done.stderr
    assert json.loads(done.stdout)[0]["state"] == "damaged"


def test_params_are_shown_compared_and_checked(toy: ToyPipeline) -> None:
    shown = json.loads(tisslm(toy.root, "params", "show", "pretrain", "--json").stdout)
    assert shown["pretrain.steps"] == STEPS
    assert json.loads(tisslm(toy.root, "params", "check", "--json").stdout)["valid"] is True
    toy.set_value("pretrain", "steps", STEPS + 1)
    (row,) = json.loads(tisslm(toy.root, "params", "diff", "--json").stdout)
    assert row == {"key": "pretrain.steps", "params.yaml": STEPS + 1, "laptop": STEPS}
    assert "optimizer steps" in tisslm(toy.root, "params", "show", "pretrain.steps").stdout


def test_the_schema_accepts_params_yaml(toy: ToyPipeline) -> None:
    import jsonschema

    schema = json.loads(tisslm(toy.root, "params", "schema").stdout)
    jsonschema.validate(yaml.safe_load((REPOSITORY / "params.yaml").read_text(encoding="utf-8")), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"pretrain": {"stepz": 3}}, schema)


def test_presets_are_listed_with_what_they_set() -> None:
    listed = json.loads(CliRunner().invoke(app, ["presets", "--json"]).output)
    assert list(listed) == list(PRESETS)
    assert listed["smoke"]["sets"]["pretrain.steps"]
    assert listed["laptop"]["sets"] == {}


def commands(command: Any, name: str = "tisslm") -> Iterator[tuple[str, Any]]:
    """A command and all commands below it, by the words that call them."""
    yield name, command
    for word, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{name} {word}")


TREE = dict(commands(get_command(app)))


def test_one_letter_means_one_thing_in_all_commands() -> None:
    meanings: dict[str, dict[str, str]] = {}
    for name, command in TREE.items():
        for parameter in command.params:
            long = " ".join(sorted(word for word in parameter.opts if word.startswith("--")))
            for letter in (word for word in parameter.opts if len(word) == 2 and word.startswith("-")):
                meanings.setdefault(letter, {}).setdefault(long, name)
    assert {letter: found for letter, found in meanings.items() if len(found) > 1} == {}
    assert set(meanings) >= {"-o", "-t", "-m"}


def test_every_command_has_its_help_behind_h() -> None:
    assert len(TREE) > 40
    for name in TREE:
        words = name.split()[1:]
        short, long = (CliRunner().invoke(app, [*words, option]) for option in ("-h", "--help"))
        assert (short.exit_code, short.output) == (0, long.output), name
        assert "Usage:" in short.output


def test_version_option_prints_the_name_and_number() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"tisslm {metadata.version('tisslm')}\n"


@pytest.mark.feature("DX-02")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("run --from pre", {"pretrain"}),
        ("run --preset s", {"smoke"}),
        ("deploy --preset l", {"laptop"}),
        ("params diff h", {"hours"}),
        ("run --set pretrain.learning_rate", {"pretrain.learning_rate="}),
        ("params show publish.na", {"publish.name"}),
        ("models show c", {"candidate", "champion"}),
        ("trace pre", {"previous"}),
        ("generate --model ch", {"champion"}),
    ],
)
def test_tab_offers_values(toy: ToyPipeline, line: str, offered: set[str]) -> None:
    words = f"tisslm {line}"
    asked = {"_TISSLM_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    done = tisslm(toy.root, environment=asked)
    assert (set(done.stdout.split()), done.stderr) == (offered, "")


def test_tab_outside_a_workspace_offers_nothing_and_says_nothing(tmp_path: Path) -> None:
    asked = {"_TISSLM_COMPLETE": "complete_bash", "COMP_WORDS": "tisslm run --from pre", "COMP_CWORD": "3"}
    done = tisslm(tmp_path, environment=asked)
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_quiet_leaves_results_and_errors(toy: ToyPipeline) -> None:
    done = tisslm(toy.root, "status", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert "ingest" in done.stdout
    assert tisslm(toy.root, "verify", "--quiet").stderr.startswith("tisslm: error: ")


def test_version_names_the_libraries() -> None:
    versions = json.loads(CliRunner().invoke(app, ["version", "--json"]).output)
    assert versions["tisslm"]
    assert versions["torch"].startswith("2.")


@pytest.mark.feature("DX-06")
@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs a folder that nobody can write")
@pytest.mark.parametrize("words", [["run"], ["status"]])
def test_a_workspace_that_cannot_be_written_is_one_line(tmp_path: Path, words: list[str]) -> None:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copyfile(REPOSITORY / name, tmp_path / name)
    (tmp_path / ".dvc").symlink_to("/sys/kernel")
    (tmp_path / ".tisslm").symlink_to("/sys/kernel")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *words],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 11, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("tisslm: error: ")
    assert "cannot be written" in line

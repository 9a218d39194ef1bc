"""What belongs to the identity of a training run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import model
from tasks.training_identity import CODE_THAT_DECIDES, code_digest

MODEL = Path(model.__file__).parent
HARMLESS = {
    "compression", "configuration", "corpus", "errors", "evaluation", "files",  # configs, messages, writing
    "tokenizer",  # what it made is an input with a digest of its own
}  # fmt: skip


def test_every_module_that_training_loads_belongs_to_the_identity_or_is_known_to_be_harmless() -> None:
    code = "import sys, tasks.pretrain; print(*{m.split('.')[1] for m in sys.modules if m.startswith('model.')})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    deciding = {name.removesuffix(".py") for name in CODE_THAT_DECIDES}
    assert set(done.stdout.split()) - HARMLESS <= deciding


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(MODEL / "kernels", tmp_path / "model" / "kernels")
    shutil.copy(MODEL / "randomness.py", tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("randomness.py", ">> 1", ">> 2", True),
        ("randomness.py", '"sha256"', '"sha512"', False),  # nowhere in it: the copy stays as it is
        ("randomness.py", "A seeded numpy generator", "A generator of numpy", False),
        ("randomness.py", "# noqa: S311", "# noqa: S311, S999", False),
        ("kernels/launch.py", "return", "return  ", False),
        ("kernels/norm_kernels.py", "+ ", "- ", True),
    ],
)
def test_code_counts_and_docstrings_comments_and_spaces_do_not(
    copy: Path, file: str, old: str, new: str, changes: bool
) -> None:
    before = code_digest(copy, ["kernels", "randomness.py"])
    path = copy / file
    path.write_text(path.read_text().replace(old, new, 1))
    assert (code_digest(copy, ["kernels", "randomness.py"]) != before) is changes


def test_a_moved_file_counts(copy: Path) -> None:
    before = code_digest(copy, ["kernels"])
    (copy / "kernels" / "norm_kernels.py").rename(copy / "kernels" / "norms_kernels.py")
    assert code_digest(copy, ["kernels"]) != before

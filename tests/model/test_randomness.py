"""Seeds by purpose: the same everywhere, different for every purpose."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from model.randomness import derive_seed, numpy_generator, python_generator, torch_generator


@given(seed=st.integers(0, 2**31), purpose=st.text(), other=st.text())
def test_equal_purposes_share_a_seed_and_different_ones_do_not(seed: int, purpose: str, other: str) -> None:
    assert derive_seed(seed, purpose) == derive_seed(seed, purpose)
    assert 0 <= derive_seed(seed, purpose) < 2**63
    if purpose != other:
        assert derive_seed(seed, purpose) != derive_seed(seed, other)


def test_a_seed_does_not_depend_on_the_process() -> None:
    code = "from model.randomness import derive_seed; print(derive_seed(7, 'weights', 3))"
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": hashing}, capture_output=True, text=True, check=True
        ).stdout
        for hashing in ("1", "2")
    }
    assert runs == {f"{derive_seed(7, 'weights', 3)}\n"}


def test_all_kinds_of_generators_repeat_themselves() -> None:
    import torch

    draws = [
        lambda: python_generator(1, "a").random(),
        lambda: float(numpy_generator(1, "a").random()),
        lambda: float(torch.rand(1, generator=torch_generator(1, "a"))),
    ]
    for draw in draws:
        assert draw() == draw()

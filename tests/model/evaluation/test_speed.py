"""Timing gives positive rates for all models, and leaves them as they were."""

from __future__ import annotations

import pytest
from judged import judged_decoder

from model.evaluation.speed import measure_speed


@pytest.mark.feature("EVAL-09")
def test_every_model_gets_positive_rates_and_progress_ends_at_all():
    seen: list[tuple[int, int]] = []
    models = {"one": judged_decoder(), "two": judged_decoder(context_length=8)}

    speed = measure_speed(models, decode_tokens=3, rounds=2, on_progress=lambda *figures: seen.append(figures))

    assert set(speed) == {"one", "two"}
    assert all(s.prefill_tokens_per_second > 0 and s.decode_tokens_per_second > 0 for s in speed.values())
    assert seen[-1] == (6, 6)

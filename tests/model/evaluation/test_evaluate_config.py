"""The `evaluate` and `quantize` sections of params.yaml: what may stand there and what a mistake is told."""

from __future__ import annotations

import pytest

from model.compression.config import QuantizeConfig
from model.errors import ConfigError
from model.evaluation.config import EvaluateConfig
from tasks.params import parse_params

pytestmark = pytest.mark.feature("DX-07")


@pytest.mark.parametrize(("value", "names"), [(True, ("xz", "ppmd6", "ppmd16")), (False, ()), (["xz"], ("xz",))])
def test_baselines_are_all_none_or_some(value, names):
    assert EvaluateConfig(baselines=value).baselines == names


@pytest.mark.parametrize(
    ("settings", "window"),
    [
        ({}, (256, 128)),
        ({"context_length": 100}, (100, 50)),
        ({"stride": 10}, (256, 10)),
        ({"stride": 1000}, (256, 256)),
        ({"context_length": 3, "stride": 3}, (3, 3)),
    ],
)
def test_window_defaults_to_the_models_and_half_of_it(settings, window):
    assert EvaluateConfig(**settings).window(256) == window


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("evaluate", {"strid": 4}, "evaluate.strid: unknown key; did you mean evaluate.stride?"),
        ("evaluate", {"stride": 0}, r"evaluate.stride = 0: .*\(tokens\)"),
        ("evaluate", {"context_length": 8, "stride": 9}, "stride 9 is larger than context_length 8; lower it"),
        ("evaluate", {"sample_prompts": ["ok", "  "]}, "a prompt is empty; give it a few words or leave it out"),
        ("evaluate", {"baselines": ["zip"]}, "should be 'xz', 'ppmd6' or 'ppmd16'"),
        ("quantize", {"method": "int3"}, "quantize.method = 'int3'"),
        ("quantize", {"max_delta_bpb": -1}, r"quantize.max_delta_bpb = -1: .*>= 0 and <= 10 \(bits per byte\)"),
    ],
)
def test_a_wrong_value_is_one_line_with_the_remedy(section, values, message):
    with pytest.raises(ConfigError, match=message) as caught:
        parse_params({section: values})
    assert "\n" not in str(caught.value)


def test_equal_settings_are_equal_and_frozen():
    assert QuantizeConfig() == QuantizeConfig(max_delta_bpb=0.01)
    with pytest.raises(ValueError, match="frozen"):
        QuantizeConfig().max_delta_bpb = 1.0

"""Steps of `wrong_parameter.feature`; most are shared and stand in conftest.py."""

from __future__ import annotations

import pytest
import yaml
from pytest_bdd import parsers, scenarios, when
from story import Story

pytestmark = [pytest.mark.feature("PIPE-07"), pytest.mark.feature("DX-06"), pytest.mark.feature("DX-05")]
scenarios("wrong_parameter.feature")


@when(parsers.parse("params.yaml says that {key} is {value}"))
def params_say(story: Story, key: str, value: str) -> None:
    section, name = key.split(".")
    story.workspace.set_params({section: {name: yaml.safe_load(value)}})
    story.remember()

"""Steps of `another_network.feature`: a finished pipeline is given other parts of the network and runs again."""

from __future__ import annotations

import json

import pytest
from pytest_bdd import parsers, scenarios, then, when
from story import Story

pytestmark = [
    pytest.mark.xdist_group("finished_toy_workspace"),
    pytest.mark.slow,
    pytest.mark.feature("ARCH-17", "ARCH-11", "COMP-01"),
]
scenarios("another_network.feature")


@when(parsers.re(r"I name the parts (?P<parts>.+)"))
def name_parts(story: Story, parts: str) -> None:
    words = [word for part in parts.split() for word in ("--set", f"pretrain.model.{part}")]
    story.runs.append(story.workspace.run("tisslm", "run", *words))


@then(parsers.parse("the published folder says {name}"))
def published_class(story: Story, name: str) -> None:
    config = json.loads((story.workspace.root / "data/published/config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == [name]


@then("its int8 weights are less than a third of the size, cost next to nothing and continue a text")
def int8_continues(story: Story) -> None:
    quantized = json.loads((story.workspace.root / "data/quantized/quantization.json").read_text(encoding="utf-8"))
    assert quantized["bytes"]["int8"] < quantized["bytes"]["float32"] / 3
    assert abs(quantized["delta_bpb"]) < 0.01
    done = story.workspace.run("tisslm", "generate", "--model", "data/published/quantized", "The farmer")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("The farmer")
    assert len(done.stdout) > len("The farmer") + 1


@then(parsers.parse("the card opens the model in {library}"))
def card_says(story: Story, library: str) -> None:
    from huggingface_hub import ModelCard

    folder = story.workspace.root / "data/published"
    card = ModelCard.load(folder / "README.md")
    assert card.data.library_name == library
    assert ("from transformers import" in card.text) == (library == "transformers")
    if library == "transformers":
        from transformers import AutoModelForCausalLM

        assert [type(AutoModelForCausalLM.from_pretrained(folder)).__name__] == json.loads(
            (folder / "config.json").read_text(encoding="utf-8")
        )["architectures"]


@then("the registry's champion or candidate is traced from the published folder")
def traced(story: Story) -> None:
    found = story.workspace.run("tisslm", "trace", "data/published")
    assert found.returncode == 0, found.stderr
    assert "toy/2" in found.stdout

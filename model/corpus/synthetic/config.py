"""Which synthetic tasks are made, how hard they are, and how many."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from model.configuration import StrictConfig, unit

TaskName = Literal["arithmetic", "json", "copying", "reversing", "sorting", "counting", "instructions"]
HARDEST = 10
MOST_EXAMPLES = 2_000_000


class SyntheticSource(StrictConfig):
    """Examples of one task as a source of texts; each has a prompt, an answer, and what a verifier needs."""

    synthetic: TaskName = Field(description="the task")
    count: int = Field(1000, ge=1, le=MOST_EXAMPLES, description="examples", json_schema_extra=unit("documents"))
    difficulty: tuple[int, int] = Field(
        (1, 5), description="easiest and hardest, from 1 to 10: digits, operators, items, depth"
    )
    seed: int = Field(0, ge=0, le=2**63 - 1, description="another seed gives other examples")
    side: Literal["all", "train", "test"] = Field(
        "all",
        description="train and test never share a prompt, whatever their seeds: a hash of the prompt gives a tenth of "
        "all prompts to test; all takes both",
    )
    name: str = Field(
        "", pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,99})?$", description="begins the ids; empty means the task's name"
    )
    language: str = Field("en", pattern=r"^[A-Za-z0-9-]{1,35}$", description="language tag; the prompts are English")

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("name") and isinstance(values.get("synthetic"), str):
            return {**values, "name": f"synthetic-{values['synthetic']}"}
        return values

    @model_validator(mode="after")
    def _difficulty_in_order(self) -> SyntheticSource:
        easiest, hardest = self.difficulty
        if not 1 <= easiest <= hardest <= HARDEST:
            raise ValueError(f"difficulty = [{easiest}, {hardest}]: expected two numbers from 1 to {HARDEST}, in order")
        return self

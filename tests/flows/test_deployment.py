"""A deployment is triggered with parameters; the API refuses wrong ones before a run exists."""

from __future__ import annotations

import contextlib
import signal
import time
from typing import Any

import cloudpickle
import jsonschema
import pytest
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from toy_pipeline import AFTER, ToyPipeline

from flows.parameters import overrides_schema
from flows.pipeline import pipeline
from tasks.params import Params

pytestmark = pytest.mark.feature("PIPE-03")


def test_every_parameter_of_a_run_can_be_overridden_and_no_other() -> None:
    schema = overrides_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    others = set(schema["properties"]) - set(Params().flat())
    choices = ("pretrain.data.mixture.", "pretrain.model.position.scaling.")  # keys of what is not chosen
    assert {name for name in others if not name.startswith(choices)} == set()
    assert set(Params().flat()) <= set(schema["properties"])
    jsonschema.validate(Params().flat(), schema)
    assert "$ref" not in str(schema)


def test_the_flow_can_be_sent_to_the_process_that_runs_it() -> None:
    assert cloudpickle.loads(cloudpickle.dumps(pipeline)).name == pipeline.name


@pytest.mark.slow
def test_a_served_deployment_runs_and_refuses(toy: ToyPipeline, prefect_api: str) -> None:
    served = toy.start("deploy", "--name", "toy", PREFECT_API_URL=prefect_api)
    try:
        with get_client(sync_client=True) as client:
            deployment = _await_deployment(client)
            for wrong in (
                {"preset": "nope"},
                {"overrides": {"pretrain.stepz": 3}},
                {"overrides": {"pretrain.steps": -3}},
                {"from_stage": "nowhere"},
            ):
                with pytest.raises(PrefectHTTPStatusError, match=r"409|422"):
                    client.create_flow_run_from_deployment(deployment, parameters=wrong)
            assert toy.counts() == {}
            run = client.create_flow_run_from_deployment(deployment, parameters={"overrides": {"pretrain.steps": 77}})
            deadline = time.monotonic() + 180
            while not (run.state and run.state.is_final()) and time.monotonic() < deadline:
                time.sleep(0.5)
                run = client.read_flow_run(run.id)
            assert run.state is not None
            assert run.state.is_completed(), run.state.message
        assert toy.counts() == dict.fromkeys(AFTER, 1)
        assert "steps: 77" in (toy.root / "params.yaml").read_text()
    finally:
        served.send_signal(signal.SIGTERM)
        output, _ = served.communicate(timeout=120)
    assert served.returncode == 0, output
    assert "Traceback" not in output


def _await_deployment(client: Any) -> Any:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        with contextlib.suppress(ObjectNotFound):
            return client.read_deployment_by_name("pipeline/toy").id
        time.sleep(0.5)
    raise TimeoutError("tisslm deploy did not make its deployment")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cron", "sometimes"], '--cron "sometimes": not a schedule'),
        (["--cron", "0 3 * * *", "--interval", "60"], "expected one of them"),
        (["--cron", "0 3 * * *", "--timezone", "Mars/Olympus"], "--timezone Mars/Olympus: no such time zone"),
        (["--preset", "nope"], "preset nope: no such preset; choose one of smoke"),
    ],
)
@pytest.mark.slow
def test_a_wrong_schedule_or_preset_is_one_line(
    toy: ToyPipeline, prefect_api: str, words: list[str], message: str
) -> None:
    done = toy.command("deploy", *words, PREFECT_API_URL=prefect_api)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1

"""Which `ShardRunner` a stage gets: processes of this machine, or Dask or Ray through Prefect's task runners.

A setting (`TISSLM_SHARD_RUNNER`) chooses; results never depend on it. The functions of the stages are submitted as
they are. A cluster has to see the same workspace under the same path (a shared file system).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from model.corpus.shard_runner import ProcessRunner, SerialRunner, ShardRunner, unit_name
from model.errors import ConfigError, CorpusError, TissLMError, install_extra
from tasks.settings import Settings, read_settings

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 4


def shard_runner(workers: int, settings: Settings | None = None) -> ShardRunner:
    """The runner that the settings choose.

    Args:
        workers: Units in work at a time.
        settings: Those of this process if None.

    Raises:
        ConfigError: The extra that the runner needs is not installed.
    """
    settings = settings or read_settings()
    if settings.shard_runner == "serial":
        return SerialRunner()
    if settings.shard_runner == "processes":
        return ProcessRunner(workers)
    return PrefectRunner(settings.shard_runner, workers, settings.cluster)


@dataclass(frozen=True)
class PrefectRunner:
    """Submits units to a Dask or Ray cluster from a small Prefect flow.

    Attributes:
        kind: `dask` or `ray`.
        workers: Workers of the local cluster that is started where no address is given.
        address: Of a running cluster; empty starts a local one that ends with the work.
    """

    kind: str
    workers: int
    address: str = ""

    def __call__(
        self, function: Callable[[T], R], units: Sequence[T], on_done: Callable[[int], None] = lambda _: None
    ) -> list[R]:
        """See `ShardRunner`. At most four units per worker are submitted ahead of those that are done."""
        if not units:
            return []
        from prefect import flow, task

        # The truth of "done" is in the unit store, so Prefect keeps no results and tries nothing twice.
        work = task(name="shard", retries=0, persist_result=False, log_prints=False)(function_of_unit)

        @flow(name="tisslm-shards", task_runner=self._task_runner(), retries=0, persist_result=False)
        def shards() -> list[Any]:
            results: list[Any] = []
            futures: list[Any] = []
            for index, unit in enumerate(units):
                futures.append(work.submit(function, unit))
                while len(futures) > self.workers * AHEAD or (index + 1 == len(units) and futures):
                    results.append(_result(futures.pop(0), len(results), units))
                    on_done(len(results))
            return results

        return shards()

    def _task_runner(self) -> Any:
        try:
            if self.kind == "dask":
                from prefect_dask import DaskTaskRunner

                if self.address:
                    return DaskTaskRunner(address=self.address)
                options = {"n_workers": self.workers, "threads_per_worker": 1, "dashboard_address": None}
                return DaskTaskRunner(cluster_kwargs=options)
            from prefect_ray import RayTaskRunner
        except ImportError as error:
            raise ConfigError(
                f"TISSLM_SHARD_RUNNER={self.kind}: {error.name} is not installed; run "
                f"{install_extra(self.kind)}, or use processes"
            ) from error
        if self.address:
            return RayTaskRunner(address=self.address)
        return RayTaskRunner(init_kwargs={"num_cpus": self.workers, "include_dashboard": False})


def function_of_unit(function: Callable[[T], R], unit: T) -> R:
    """What a cluster's worker runs."""
    return function(unit)


def _result(future: Any, index: int, units: Sequence[Any]) -> Any:
    try:
        return future.result()
    except TissLMError:
        raise
    except Exception as error:
        raise CorpusError(
            f"unit {index + 1:,} of {len(units):,}, {unit_name(units[index])}, failed on the cluster: "
            f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        ) from error

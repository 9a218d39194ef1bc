"""Prefect flows: the order of the stages, retries, deployments. Thin; the work is in `tasks` and `model`."""

"""The library: a corpus, a tokenizer, a network, its training and its uses.

Knows no Prefect, DVC, MLflow, FastAPI or Typer; imports only downwards (see docs/architecture.md).
"""

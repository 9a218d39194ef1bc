"""Kernels of the network: passes over memory that torch would make several of, compiled by numba.

Each `*_kernels.py` has the loops, over raw memory in bfloat16 or float32; `launch.py` runs them on torch's own threads.
The parts in `architecture/`, `training/` and `compression/` say when one is used and what computes the same elsewhere.
"""

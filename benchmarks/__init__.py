"""Speed and memory, every figure a ratio against a peer in the same run. `python -m benchmarks` runs all of them."""

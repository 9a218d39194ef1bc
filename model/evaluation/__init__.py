"""Judge a model: bits per byte, baselines that any reader can repeat, speed, and the report for people."""

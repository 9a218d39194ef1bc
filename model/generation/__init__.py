"""Text from a trained decoder: sampling, caches, batches, streams."""

"""What training reads: memory-mapped token shards and the loader that resumes exactly."""

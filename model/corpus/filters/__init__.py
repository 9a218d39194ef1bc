"""Quality filters: each keeps a text, or drops it with a reason."""

"""Near-duplicate documents: signatures, clusters of documents that are almost the same, and which of them stay."""

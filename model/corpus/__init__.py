"""Documents: read from sources, cleaned, split, described. Always a stream, never a whole corpus in memory."""

"""Optional side features, one value for each token: part of speech, sentiment, semantic cluster."""

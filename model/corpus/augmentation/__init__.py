"""Altered copies of training documents: synonyms, typing errors, masks, deletions, shuffles, back-translation."""

"""Look at a tokenizer: coloured tokens, trees of merges, fertility, the vocabulary; in a terminal and as a page."""

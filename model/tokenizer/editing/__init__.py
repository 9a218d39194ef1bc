"""Change the vocabulary of a trained tokenizer, and of the model that was trained with it."""
